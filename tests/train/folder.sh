#!/bin/bash
# A run's folder: one process at a time, signals that end a run well, damaged checkpoints, disks that are full or not to be written.
. "$(dirname "$0")/../cli.bash"
cd "$folder" || exit 1

cat > tiny.yaml << 'YAML'
model: {dim: 16, depth: 1, heads: 2, patch: [1, 2, 2]}
data: {synthetic: true, count: 12, frames: 2, size: [8, 8], codec: pixel}
train: {steps: 400, batch: 2, lr: 3e-3, warmup: 1, ema: 0.9}
eval: {every: 0, holdout: 2}
checkpoint: {every: 100, keep: 3}
YAML

train() { "$vkdit" -q train tiny.yaml "$@" > out 2> err; }
lines() { cat "$1/metrics.jsonl" 2> /dev/null | wc -l; }
# until LINES RUN: the run that was started has so many lines
until_lines() {
  for _ in $(seq 4000); do
    if [ "$(lines "$2")" -ge "$1" ] || ! kill -0 "$pid" 2> /dev/null; then return; fi
    sleep 0.005
  done
}

if ! train -o reference; then
  skip_without_device err
  fail "the undisturbed run: $(cat err)"
fi

# ---- signals ----
for signal in TERM INT; do
  # a shell's own child would ignore SIGINT in the background
  setsid bash -c 'trap - INT; exec "$@"' - "$vkdit" -q train tiny.yaml -o stopped --resume > out 2> err &
  pid=$!
  until_lines $(($(lines stopped) + 5)) stopped
  kill -$signal $pid
  wait $pid
  check "SIG$signal: exit $?, $(cat err)" [ $? = 0 ]
  check "SIG$signal: says $(cat out)" eval '[ "$(wc -l < out)" = 1 ] && [ ! -s err ] && grep -q "^stopped at step [0-9]*, and saved: stopped/checkpoints/step-[0-9]*; .*--resume" out'
  step=$(sed 's/^stopped at step \([0-9]*\).*/\1/' out)
  check "SIG$signal: metrics end at $(lines stopped), not $step" [ "$(lines stopped)" = "$step" ]
  check "SIG$signal: no checkpoint of step $step" [ -f "stopped/checkpoints/step-$(printf %09d "$step")/state.json" ]
  check "SIG$signal: the summary" grep -q "\"steps\": $step," stopped/summary.json
done
check "going on after signals: $(cat err)" train -o stopped --resume
check "metrics after signals" cmp reference/metrics.jsonl stopped/metrics.jsonl
for name in weights ema m v; do
  check "$name after signals" cmp {reference,stopped}/checkpoints/step-000000400/$name.safetensors
done

# ---- two processes; two signals ----
"$vkdit" -q train tiny.yaml -o owned train.steps=1000000 checkpoint.every=0 > out.owner 2> err.owner &
pid=$!
until_lines 3 owned
for option in --resume --overwrite; do
  refused 2 "owned: process $pid is at work there" train tiny.yaml -o owned $option
done
kill -STOP $pid # so that both signals find it at the same step
kill -TERM $pid
kill -INT $pid
kill -CONT $pid
wait $pid
status=$?
check "two signals: exit $status" eval "[ $status = 130 ] || [ $status = 143 ]"
check "a lock without its process: $(cat err)" train -o owned --overwrite train.steps=2

# ---- damaged checkpoints ----
"$vkdit" -q train tiny.yaml -o damaged train.steps=12 checkpoint.every=4 > out 2> err
truncate -s 100 damaged/checkpoints/step-000000012/v.safetensors
echo '{' > damaged/checkpoints/step-000000008/state.json
for command in "sample damaged -o sample.gif --steps 2" "eval damaged --data damaged/data.vkd"; do
  # shellcheck disable=SC2086
  printed "warning: damaged/checkpoints/step-000000012/state.json: v.safetensors is damaged" -q $command
  check "$command: $(cat stderr)" grep -q "^warning: damaged/checkpoints/step-000000008/state.json:.*not JSON" stderr
done
printed "step-000000004" train tiny.yaml -o damaged --resume train.steps=12 checkpoint.every=4
check "saved again: $(ls -A damaged/checkpoints)" [ "$(ls -A damaged/checkpoints | tr '\n' ' ')" = "step-000000004 step-000000008 step-000000012 " ]
check "the checkpoint saved again" "$vkdit" -q eval damaged/checkpoints/step-000000012 --data damaged/data.vkd > /dev/null
# none is removed because of ones that cannot be read
truncate -s 100 damaged/checkpoints/step-000000012/v.safetensors
train -o damaged --resume train.steps=12 checkpoint.every=2 checkpoint.keep=1
check "keep 1 beside a damaged one: $(ls -A damaged/checkpoints)" [ "$(ls -A damaged/checkpoints)" = step-000000012 ]
check "the one kept" "$vkdit" -q eval damaged --data damaged/data.vkd > /dev/null
echo '{' > damaged/checkpoints/step-000000012/state.json
refused 2 "step-000000012/state.json" eval damaged --data damaged/data.vkd
refused 2 "step-000000012/state.json" train tiny.yaml -o damaged --resume train.steps=12

# ---- disks ----
mkdir small
if mount -t tmpfs -o size=700k tmpfs small 2> /dev/null; then
  trap 'umount "$folder/small"; rm -rf "$folder"' EXIT
  refused 1 "No space left on device" -q train tiny.yaml -o small/run checkpoint.every=1 checkpoint.keep=0
  check "full: $(cat stderr)" grep -q 'vkdit: small/run/.*; the last checkpoint is safe: small/run/checkpoints/step-[0-9]* (--resume goes on from it)' stderr
  check "full: left over" eval '! compgen -G "small/run/checkpoints/.*partial"'
  rm -rf small/run/checkpoints/step-00000000{1,2} # room again
  printed "resuming from small/run" train tiny.yaml -o small/run train.steps=400 checkpoint.every=0 checkpoint.keep=1 --resume
  mount -o remount,ro small
  refused 2 "small/run/.lock: cannot open it: Read-only file system" -q train tiny.yaml -o small/run --resume
  refused 2 "Read-only file system" -q train tiny.yaml -o small/other
else
  echo "no rights to mount: a full and a read-only disk are left to faults.sh"
fi

finish 28
