#!/bin/bash
# Several ranks train one model: the same losses as one, the same bits each time; any number of them resumes; what one of them meets, all
# end with.
. "$(dirname "$0")/../cli.bash"
cd "$folder" || exit 1
export LP_NUM_THREADS=0 # a tiny model: ranks side by side, each with one thread
# What MPI keeps to the end is known by its libraries (cmake/lsan.supp), whose frames only a slow unwinding sees.
export ASAN_OPTIONS=fast_unwind_on_malloc=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}

if ! command -v mpirun > /dev/null; then
  echo "skipped: no mpirun (Debian: openmpi-bin, libopenmpi-dev)"
  exit 77
fi
launch=(mpirun)
if mpirun --version | grep -q "Open MPI"; then launch+=(--oversubscribe --allow-run-as-root); fi

cat > tiny.yaml << 'YAML'
model: {dim: 32, depth: 1, heads: 2, patch: [1, 2, 2]}
data: {synthetic: true, count: 48, frames: 2, size: [8, 8], codec: pixel}
train: {steps: 50, batch: 8, lr: 1e-3, warmup: 3, ema: 0.9, check_weights: 10}
eval: {every: 10, holdout: 4}
checkpoint: {every: 20, keep: 0}
YAML

train() { "$vkdit" train tiny.yaml "$@" > out 2> err; }
# ranks K ARGS...: nothing may hang
ranks() {
  local k=$1
  shift
  timeout 600 "${launch[@]}" -n "$k" "$vkdit" train tiny.yaml "$@" > out 2> err
}
started() { "${launch[@]}" -n 2 "$vkdit" -q train tiny.yaml "$@" > out 2> err & }
# rank_of PID N: process of mpirun's N-th rank
rank_of() { pgrep -P "$1" | sed -n "$2p"; }

# close RUN REFERENCE: every number of every line, but for rounding
close() {
  paste -d '\n' "$1/metrics.jsonl" "$2/metrics.jsonl" | sed 's/[^-+.0-9e]\+/ /g; s/ [eE] / /g' | awk '
    NR % 2 { n = split($0, a); next }
    { m = split($0, b)
      if (n != m) bad = "lines differ"
      for (i = 1; i <= n; i++) { d = a[i] - b[i]; if (!(d <= 1e-6 * b[i] && d >= -1e-6 * b[i])) bad = a[i] ", not " b[i] } }
    END { if (bad || NR != 110) { print "line " NR ": " bad; exit 1 } }'
}

if ! train -o one; then
  skip_without_device err
  fail "one process: $(cat err)"
fi
ranks 2 -o two
status=$?
if grep -q "built without MPI" err; then
  check "refused with $status: $(cat err)" [ "$status $(grep -c '^vkdit: started as one of 2 ranks, but built without MPI' err)" = "2 1" ]
  echo "skipped: $(grep "built without MPI" err)"
  exit $((failed ? 1 : 77))
fi
check "two ranks: $(cat err)" [ $status = 0 ]
check "four ranks" ranks 4 -o four
check "two again" ranks 2 -o again
check "micro-batches" ranks 2 -o passes train.micro_batch=2
for run in two four passes; do check "$run" close $run one; done
check "two ranks gave other bits the second time" cmp -s two/metrics.jsonl again/metrics.jsonl
for name in weights ema m v; do
  check "$name differ" cmp -s {two,again}/checkpoints/step-000000050/$name.safetensors
done
has "$(cat two/summary.json)" '"ranks": 2'
files=(two/*)
check "files: ${files[*]}" [ "${files[*]#two/}" = "checkpoints config.yaml data.vkd ${files[3]#two/} metrics.jsonl summary.json" ]

# Any number of ranks goes on from a checkpoint.
rm -rf {one,two}/checkpoints/step-000000050
check "one after two" train -o two --resume
check "one after two: numbers" close two four
check "four after one" ranks 4 -o one --resume
check "four after one: numbers" close one four

# The optimiser's state in parts: the same bits, in less memory.
# same RUN REFERENCE STEP: metrics and checkpoint
same() {
  cmp -s "$1/metrics.jsonl" "$2/metrics.jsonl" || fail "$1: other numbers than $2"
  for name in weights ema m v; do
    cmp -s {"$1","$2"}/checkpoints/step-0000000"$3"/$name.safetensors || fail "$1: other $name than $2"
  done
}
bytes() { sed -n 's/.*"device_bytes": \([0-9]*\).*/\1/p' "$1/summary.json"; }
check "in parts" ranks 2 -o parts train.shard_optimizer=true
same parts again 50
params=$(sed -n 's/.*"params": \([0-9]*\).*/\1/p' parts/summary.json)
# Of m, v and ema half is left, 6 bytes less per parameter, but for where parts are cut.
saved=$(($(bytes again) - $(bytes parts)))
check "$saved bytes less, of $params parameters" [ $((saved / params)) = 5 ]
rm -rf parts/checkpoints/step-000000050
cp -r parts alone
check "in parts after in parts" ranks 2 -o parts --resume train.shard_optimizer=true
same parts again 50
check "one after parts" train -o alone --resume train.shard_optimizer=true
check "one after parts: numbers" close alone four
rm -rf {alone,again}/checkpoints/step-000000050
check "parts after one" ranks 4 -o alone --resume train.shard_optimizer=true
check "parts after one: numbers" close alone four
check "parts after whole" ranks 2 -o again --resume train.shard_optimizer=true
same again parts 50
# What reads gradients and averaged weights while it goes on.
precision=bf16
busy=(train.steps=10 train.micro_batch=2 eval.every=5 eval.ema=true log.histograms=5 log.samples=10
  log.sample_count=1 log.sample_steps=2)
observe() { ranks 2 -o "$@" "${busy[@]}" train.precision=$precision; }
observe observed
status=$?
if grep -q "lacks 16-bit storage" err; then
  rm -rf observed
  precision=fp32
  observe observed
  status=$?
fi
check "observed: $(cat err)" [ $status = 0 ]
export VKD_UPLOAD=staging # as on a card
check "observed in parts" observe observed-parts train.shard_optimizer=true
unset VKD_UPLOAD
same observed-parts observed 10
check "other samples" cmp -s {observed-parts,observed}/samples/step-000000010.gif

# A profile of several ranks, told once: what they met, beside what was foretold, and memory by kind.
profile() { timeout 300 "${launch[@]}" -n 2 "$vkdit" -q profile tiny.yaml --runs 2 --json "$@" > out 2> err; }
number() { sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p;T;q" out; }
check "profile: $(cat err)" profile train.shard_optimizer=true
check "profile: $(head -c 600 out)" [ "$(grep -c '"\(measured\|foretold\)": {' out) $(grep -c '"comm_seconds": ' out)" = "2 2" ]
less=$(($(number gradients) - $(number moments)))
check "two moments of half the parameters: $less bytes less than their gradients" [ ${less#-} -le 8192 ]
profile --sample
check "ranks that sample: $(cat err)" [ "$(grep -c '^vkdit: profile: ranks share a training step' err)" = 1 ]

# What ranks must have in common.
timeout 300 "${launch[@]}" -n 1 "$vkdit" train tiny.yaml -o other : -n 1 "$vkdit" train tiny.yaml -o other train.lr=2e-3 > out 2> err
check "another configuration: status" [ $? = 2 ]
check "another configuration: $(cat err)" [ "$(grep -c '^vkdit: rank 1 of 2 has another configuration' err)" = 1 ]
ranks 3 -o other
check "three ranks: status" [ $? = 2 ]
check "three ranks: $(cat err)" [ "$(grep -c '^vkdit: train.batch: 8 samples cannot be shared evenly among 3 ranks' err)" = 1 ]
ranks 2 -o four
check "a folder that holds a run: $(cat err)" [ "$(grep -c '^vkdit: four holds a run already' err)" = 1 ]

# A signal to any of them ends all after the same step, with a checkpoint.
lines() { { wc -l < long/metrics.jsonl; } 2> /dev/null || echo 0; }
wait_for_lines() { for _ in $(seq 1200); do [ "$(lines)" -gt "$1" ] && return; sleep 0.05; done; }
started -o long train.steps=100000 train.shard_optimizer=true
pid=$!
wait_for_lines 3
kill -TERM "$(rank_of $pid 2)"
wait $pid
check "stopped: $(cat out err)" grep -q '^stopped at step [0-9]*, and saved' out
check "stopped: $(ls long/checkpoints)" [ -e "long/checkpoints/step-$(printf %09d "$(sed 's/.*step \([0-9]*\),.*/\1/' out)")/state.json" ]

# One that dies takes the others along, and leaves whole checkpoints.
at=$(lines)
started -o long --resume train.steps=100000 train.shard_optimizer=true
pid=$!
wait_for_lines "$at"
kill -KILL "$(rank_of $pid 2)"
for _ in $(seq 200); do kill -0 $pid 2> /dev/null || break; sleep 0.1; done
kill -0 $pid 2> /dev/null && fail "mpirun goes on without a rank"
wait $pid
check "a rank was killed, and mpirun tells of success" [ $? != 0 ]
for _ in $(seq 50); do
  train -o long --resume "train.steps=$(($(lines) + 20))" && break
  grep -q "is at work there" err || break
  sleep 0.1
done
check "going on after a kill: $(cat err)" grep -q 'loss .* held out' out

finish
