#!/bin/bash
# vkdit reproduce: plans of the built-in pipelines, and a micro pipeline from tuning to the report, also when started again.
. "$(dirname "$0")/../cli.bash"

for name in smoke small footage paper; do
  "$vkdit" reproduce $name --dry-run >"$folder/out" 2>&1
  note $? "$name: $(cat "$folder/out")"
done
grep -qE '^  0.26B-tokens12000000000 +256901120 ' "$folder/out" && grep -qE '^  1.07B-tokens10000000000 +1064960000 ' "$folder/out"
note $? "the paper's largest sizes: $(cat "$folder/out")"
# 8.689e12 FLOPs at 10 GFLOP/s take 14.5 minutes; sizes at the rate of the row that is nearest
cat >"$folder/rates.json" <<'X'
{"device": "some GPU", "rows": [{"params": 80000, "tokens": 128, "gflops": 10}, {"params": 1e9, "tokens": 128, "gflops": 5000}]}
X
"$vkdit" reproduce small --dry-run --workers 2 --bench "$folder/rates.json" >"$folder/out" 2>&1 &&
  grep -q '^batch and learning rate: 63 runs, 8.689e+12 FLOPs, about 14.5 min by one worker' "$folder/out" &&
  tail -n 1 "$folder/out" | grep -q 'small: at most 153 runs, .* FLOPs; about 22.6 min at the rates measured on some GPU, 2 workers'
note $? "times of the plan: $(tail -n 3 "$folder/out")"
echo '{"rows": [{"params": 1, "tokens": 0, "gflops": 1}]}' >"$folder/bad.json"
refused 2 "row 1: params, tokens and gflops are needed" reproduce small --dry-run --bench "$folder/bad.json"
refused 2 "no steps were measured" reproduce small --dry-run --bench <(echo '{}')
refused 2 "did you mean 'reproduce-smoke'" reproduce smoek --dry-run
refused 2 "-o DIR is needed" reproduce smoke
refused 2 "unknown key 'train.lrr'; did you mean 'train.lr'?" reproduce smoke -o "$folder/x" train.lrr=1
[ ! -e "$folder/x" ]
note $? "a refused pipeline left files"

cat >"$folder/micro.yaml" <<'X'
model: {patch: [1, 2, 2], freq_dim: 8}
data: {synthetic: true, count: 40, frames: 2, size: [8, 8], holdout: 0.3, classes: 2}
train: {steps: 48, schedule: constant, batch: 4, lr: 1e-2, ema: 0.9, seed: 5}
eval: {every: 4, batch: 16, ema: true}
checkpoint: {every: 0}
rows: {count: 5, from: 0.2}
tune: {model.dim: [12], model.depth: [1], model.heads: [1], train.steps: [12], train.batch: [2, 4], train.lr: [1e-3, 1e-2]}
grid:
  size:
    - {name: d12, model.dim: 12, model.depth: 1, model.heads: 1}
    - {name: d16, model.dim: 16, model.depth: 1, model.heads: 1}
    - {name: d24, model.dim: 24, model.depth: 1, model.heads: 1}
  train.seed: [1, 2]
seeds:
  size: [{name: d16, model.dim: 16, model.depth: 1, model.heads: 1}]
  train.seed: [3, 4]
next: {runs: 2, flops: 3e8}
around:
  size: [{name: d20, model.dim: 20, model.depth: 1, model.heads: 1}]
holdout:
  size: [{name: d32, model.dim: 32, model.depth: 1, model.heads: 1}]
samples: {count: 3, steps: 4, cfg: 2}
X
"$vkdit" reproduce "$folder/micro.yaml" -o "$folder/a" >"$folder/out" 2>"$folder/stderr"
status=$?
skip_without_device "$folder/stderr"
note $status "micro pipeline: $(cat "$folder/out" "$folder/stderr")"
for words in "compute-optimal size" "error of the law" "held-out loss" "noise between seeds" "foretold               0" \
  "against the best of eight around" "report: $folder/a/report.html"; do
  grep -qF "$words" "$folder/out"
  note $? "no '$words' in: $(cat "$folder/out")"
done
for words in "Beside the paper" "Samples" "Foretold, then run" "What a sample costs" "Batch and learning rate" "data:image/gif;base64,R0lGOD" "FLOPs/token"; do
  grep -qF "$words" "$folder/a/report.html"
  note $? "no '$words' in the report"
done
grep -q "seconds per sample" "$folder/a/cost.svg" && grep -q "held-out loss</text>" "$folder/a/cost.svg"
note $? "the plot of costs: $(ls "$folder/a")"
[ "$(head -c 6 "$folder/a/samples.gif")" = GIF89a ] && [ "$(head -c 6 "$folder/a/clips.gif")" = GIF89a ]
note $? "GIFs: $(ls "$folder/a")"
[ "$(grep -c '"loss"' "$folder/a/prediction.json")" = 1 ] && [ "$(wc -l <"$folder/a/around/runs.csv")" -ge 10 ] &&
  [ "$(wc -l <"$folder/a/seeds/runs.csv")" -ge 3 ] && [ "$(wc -l <"$folder/a/next/runs.csv")" -ge 2 ]
note $? "stages: $(ls "$folder"/a "$folder"/a/*/runs.csv)"
[ "$(grep -c '^# cell ' "$folder/a/tune/cells.yaml")" = 4 ] && [ "$(grep -c '^# cell ' "$folder/a/sweep/cells.yaml")" = 6 ]
note $? "what vkdit watch reads of the stages: $(grep '^# cell ' "$folder"/a/*/cells.yaml)"
# every size of the ladder at one, two and four steps, each dearer than the one before in the mean
awk -F, 'NR > 1 { n[$4]++; s[$4] += $5; bad += !($3 > 0 && $5 >= 0) }
  END { exit !(n[1] == 3 && n[2] == 3 && n[4] == 3 && !bad && s[4] > s[1]) }' "$folder/a/cost.csv"
note $? "cost of samples: $(cat "$folder/a/cost.csv")"
# the prediction was made before the runs that it foretells, and they are no part of the table
if grep -q 'd32\|d20' "$folder/a/runs.csv"; then false; fi
note $? "runs that were foretold are part of the law's table"
[ "$(wc -l <"$folder/a/tune/runs.csv")" -ge 5 ] && [ "$(wc -l <"$folder/a/sweep/runs.csv")" = 31 ]
note $? "tables: $(cat "$folder"/a/*/runs.csv)"

cp "$folder/a/law.json" "$folder/a/samples.gif" "$folder"
"$vkdit" reproduce "$folder/micro.yaml" -o "$folder/a" -q >"$folder/out" 2>&1 && cmp "$folder/law.json" "$folder/a/law.json" &&
  cmp "$folder/samples.gif" "$folder/a/samples.gif"
note $? "started again: $(cat "$folder/out")"
refused 2 "choose another folder" reproduce smoke -o "$folder/a"
"$vkdit" plan "$folder/a/law.json" --params 1e4 --tokens 1e5 >/dev/null
note $? "the law cannot be planned from"

finish 20
