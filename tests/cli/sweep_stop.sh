#!/bin/bash
# A sweep and its ends: signals, one process or workers; two sweeps on one folder; the table is the same whatever came between, in
# whatever order runs were made and by however many workers.
. "$(dirname "$0")/../cli.bash"
cd "$folder" || exit 1

cat > grid.yaml << 'YAML'
model: {dim: 16, depth: 1, heads: 2, patch: [1, 2, 2]}
data: {synthetic: true, count: 12, frames: 2, size: [8, 8], codec: pixel}
train: {steps: 120, batch: 2, lr: 3e-3, warmup: 1, ema: 0.9}
eval: {every: 40, holdout: 2}
checkpoint: {every: 1000}
grid:
  train.seed: [1, 2]
  train.lr: [1e-3, 3e-3]
YAML

sweep() { "$vkdit" -q sweep grid.yaml "$@" > out 2> err; }
# begin ARGS...: in a group of its own, which takes SIGINT in the background too
begin() {
  set -m
  "$vkdit" -q sweep grid.yaml "$@" > out.begun 2> err.begun &
  set +m
  pid=$!
}
lines() { cat "$1"/runs/*/metrics.jsonl 2> /dev/null | wc -l; }
until_lines() { # until_lines N FOLDER
  for _ in $(seq 4000); do
    if [ "$(lines "$2")" -ge "$1" ] || ! kill -0 "$pid" 2> /dev/null; then return; fi
    sleep 0.02
  done
}
# Every run of FOLDER without a result has a checkpoint of its last step.
saved() {
  local run last
  for run in "$1"/runs/*/; do
    if [ -e "$run/cell.json" ]; then continue; fi
    last=$(grep '"loss"' "$run/metrics.jsonl" | tail -n 1 | sed 's/.*"step": \([0-9]*\).*/\1/')
    if [ -n "$last" ] && ! [ -e "$run/checkpoints/step-$(printf %09d "$last")/state.json" ]; then return 1; fi
  done
}
# No process of the group of $pid.  Mesa's cache thread runs when nothing else wants to, and so it dies: on a busy machine that takes a while.
none_left() {
  for _ in $(seq 1000); do
    if ! kill -0 -- "-$pid" 2> /dev/null; then return; fi
    sleep 0.1
  done
  return 1
}

if ! sweep -o reference; then
  skip_without_device err
  fail "the undisturbed sweep: $(cat err)"
fi

# stopped NAME SIGNAL TARGET ARGS...: TARGET is - for the group, as a terminal does, or nothing for the process alone
stopped() {
  local name=$1 signal=$2 target=$3 more status
  shift 3
  more=$(($(lines "$name") + 20))
  begin -o "$name" "$@"
  until_lines $more "$name"
  kill -"$signal" -- "$target$pid"
  wait "$pid"
  status=$?
  check "$name, SIG$signal: exit $status, $(cat err.begun)" [ $status = 0 ]
  check "$name, SIG$signal: says $(cat out.begun)" eval '[ "$(wc -l < out.begun)" = 1 ] && [ ! -s err.begun ] && grep -q "^stopped with [0-3] of 4 runs done; the same command goes on$" out.begun'
  check "$name, SIG$signal: processes are left" none_left
  check "$name, SIG$signal: no checkpoint of the last step: $(cd "$name/runs" && ls -d ./*/checkpoints/*)" saved "$name"
}
for workers in 1 2; do
  stopped w$workers TERM "" --workers $workers
  stopped w$workers INT - --workers $workers
  check "going on: $(cat err)" sweep -o w$workers --workers $workers
  check "runs.csv after signals, $workers workers" cmp reference/runs.csv w$workers/runs.csv
done

# ---- at once ----
begin -o twice --workers 2
until_lines 20 twice
# ---- meanwhile another ----
refused 2 "twice: process $pid is at work there" sweep grid.yaml -o twice
cp twice/cells.yaml cells.yaml
refused 2 "twice: process $pid is at work there" sweep grid.yaml -o twice --resume train.warmup=2
check "a refused sweep changed the folder" cmp cells.yaml twice/cells.yaml
kill -STOP "$pid" # so that both signals find it at the same step
kill -TERM "$pid"
kill -INT "$pid"
kill -CONT "$pid"
wait "$pid"
status=$?
check "two signals: exit $status" eval "[ $status = 130 ] || [ $status = 143 ]"
check "two signals: workers are left" none_left
begin -o killed --workers 2
until_lines 20 killed
kill -KILL "$pid"
wait "$pid" 2> /dev/null
check "killed: workers are left" none_left
for name in twice killed; do
  check "$name: going on with 3 workers: $(cat err)" sweep -o $name --workers 3
  check "$name: runs.csv" cmp reference/runs.csv $name/runs.csv
done

# ---- in another order: the first run is made last ----
rm -r w1/runs/"$(ls w1/runs | head -n 1)"
check "one run again: $(cat err)" sweep -o w1
check "runs.csv of another order" cmp reference/runs.csv w1/runs.csv
for run in reference/runs/*/; do
  for other in w1 w2 twice; do
    check "$run and $other's: metrics" cmp "$run/metrics.jsonl" "$other/runs/$(basename "$run")/metrics.jsonl"
  done
done

finish 30
