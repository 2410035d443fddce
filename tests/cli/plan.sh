#!/bin/bash
# vkdit plan: the paper's table, intervals, serving, and next runs that `vkdit sweep` accepts; what wrong questions are told.
. "$(dirname "$0")/../cli.bash"

# The paper's printed numbers: loss to four digits, B and lr to three.
out=$("$vkdit" plan paper --params 1.07e9 --tokens 4e9)
has "$out" "0.518519"
has "$out" "batch 67680 tokens"
has "$out" "learning rate 0.00018578"
out=$("$vkdit" plan paper --params 1.07e9 --tokens 1e10)
has "$out" "0.51268 "
has "$out" "batch 1.419e+05 tokens"
has "$out" "learning rate 0.00017823"
has "$("$vkdit" plan paper --params 0.72e9 --tokens 140e9)" "0.5035"
out=$("$vkdit" plan paper --compute 1e22)
has "$out" "printed laws disagree"
has "$out" "N = 2.4354e+09"
has "$out" "No intervals"
out=$("$vkdit" plan paper --compute 1e22 --json)
has "$out" '"printed_size_laws"'
hasnt "$out" '_interval"'

# A table with noise: runs of 4 rows.
awk 'BEGIN {
  srand(7); print "run,params,tokens,loss"
  for (i = 0; i < 12; i++) {
    n = 0.02 * 1.6 ^ i; common = (rand() - .5) * .004
    for (j = 0; j < 4; j++) {
      t = (1 + rand()) * 2 ^ j
      l = (0.0373 * t ^ -0.2917 + 0.0082 * n ^ -0.3188 + 0.4856) * exp(common + (rand() - .5) * .002)
      printf "r%d,%.17g,%.17g,%.17g\n", i, n * 1e9, t * 1e9, l
    }
  }
}' >"$folder/runs.csv"
"$vkdit" fit "$folder/runs.csv" -o "$folder/law" --bootstrap 100 >/dev/null 2>&1
note $? "fit"
law=$folder/law/law.json

out=$("$vkdit" plan "$law" --compute 1e21 --n-ctx 1024)
has "$out" "90 % intervals from 100 resamples"
has "$out" "model.dim "
has "$out" "Within 0.1 % of the best loss"
printf '%s' "$out" | grep -qE 'N = [0-9.e+]+ \[[0-9.e+]+, [0-9.e+]+\] parameters'
note $? "no interval of N in: $out"
out=$("$vkdit" plan "$law" --compute 1e21 --n-ctx 1024 --requests 1e8 --sampler-steps 40 --latent 16x32x32)
has "$out" "requests of 4096 tokens, 40 steps, 2 passes"
has "$out" "cheapest"
has "$out" "less than the compute-optimal"
out=$("$vkdit" plan "$law" --loss 0.51 --sample-tokens 512 --requests 1e6 --cfg 1 --json)
has "$out" '"saved_interval"'
has "$out" '"compute_optimal"'
out=$("$vkdit" plan "$law" --inference-flops 1e15 --n-ctx 1024 --compute 1e21)
has "$out" "serve at most N ="

# Next runs, and their sweep.
cat >"$folder/base.yaml" <<'Y'
model: {patch: [2, 2, 2], freq_dim: 32}
data: {synthetic: true, count: 64, frames: 4, size: [16, 16], codec: pixel, holdout: 0.3}
train: {ema: 0.97, tokens: 1e6}
Y
next=(plan "$law" --next 1e20 --target-compute 1e22 --max-runs 4 --rows-per-run 3)
out=$("$vkdit" "${next[@]}" --n-ctx 128 --sweep "$folder/next.yaml" --base "$folder/base.yaml")
note $? "next runs"
has "$out" "an equal-cost grid of"
has "$out" "all in one run:"
now=$(printf '%s' "$out" | sed -n 's/.*target: +-\([0-9.]*\) % now.*/\1/p')
after=$(printf '%s' "$out" | sed -n 's/.*% now, +-\([0-9.]*\) % after/\1/p')
awk -v a="$after" -v b="$now" 'BEGIN { exit !(a > 0 && a < b) }'
note $? "+-$after % after is no less than +-$now % now"
has "$("$vkdit" "${next[@]}" --json)" '"sd_after_grid"'
has "$("$vkdit" plan "$law" --next 1e20 --target-compute 1e22 --target-size)" "N_opt at C = 1e+22"
has "$("$vkdit" plan "$law" --next 1e20 --target-params 3e9 --target-tokens 1e11)" "loss at N = 3e+09, T = 1e+11"
if [ -e "$folder/next.yaml" ]; then
  grep -q "rows: {count: 3, from: 0.2}" "$folder/next.yaml"
  note $? "rows in: $(cat "$folder/next.yaml")"
  has "$("$vkdit" sweep "$folder/next.yaml" --dry-run)" "run1"
else
  note 1 "no sweep was written"
fi

refused 2 "ask with --compute" plan paper
refused 2 "--params and --tokens go together" plan paper --params 1e9
refused 2 "--sweep and --base go together" plan "$law" --next 1e20 --sweep "$folder/x"
refused 2 "--target-size goes with --next" plan "$law" --compute 1e20 --target-size
refused 2 "one target" plan "$law" --next 1e20 --target-compute 1e21 --target-params 1e9 --target-tokens 1e9
refused 2 "--requests needs --compute" plan paper --requests 5
refused 2 "--loss goes with --requests" plan paper --loss 0.5 --compute 1e20
refused 2 "--loss L or --compute C" plan paper --loss 0.5 --compute 1e20 --requests 1
refused 2 "tokens of a sample" plan paper --compute 1e20 --requests 5
refused 2 "no whole number of patches" plan paper --compute 1e20 --requests 5 --latent 4x3x4
refused 2 "FxHxW is needed" plan paper --compute 1e20 --requests 5 --latent 4x4
refused 2 "no training reaches loss 0.4" plan paper --loss 0.4 --requests 5 --n-ctx 100
refused 2 "the printed laws have none" plan paper --next 1e20
refused 2 "train no model" plan "$law" --next 1e9
refused 2 "cannot open" plan "$law" --next 1e20 --n-ctx 128 --sweep "$folder/x" --base nonesuch.yaml
"$vkdit" fit "$folder/runs.csv" -o "$folder/bare" --bootstrap 0 >/dev/null 2>&1
refused 2 "--next needs resamples" plan "$folder/bare/law.json" --next 1e20
has "$("$vkdit" plan "$folder/bare/law.json" --compute 1e20)" "No intervals: the law has no resamples"
good='"law":"joint","params":{"E":1,"A":2,"alpha":0.3,"B":2,"beta":0.3}'
# law LINE TEXT
law() { printf '%s' "$1" >"$folder/law.json"; refused 2 "$2" plan "$folder/law.json" --compute 1e20; }
law "{$good,\"noise\":{\"row\":-1,\"run\":1}}" "noise:"
law "{$good,\"noise\":3}" "noise:"
law "{$good,\"range\":{\"params\":[2,1]}}" "range.params"
law "{$good,\"laws\":[{\"law\":\"lr\",\"params\":{\"k\":1,\"tokens_exp\":0,\"params_exp\":0},\"sample\":[[0,1,1]]}]}" "law lr: sample[0]"
[ ! -e "$folder/x" ]
note $? "a refused plan left files"

finish 50
