#!/bin/bash
# Killed at random moments and started again until it is through: the metrics and the weights of a run that was left alone, to the
# bit.  VKD_KILLS: how many kills.
. "$(dirname "$0")/../cli.bash"
cd "$folder" || exit 1
kills=${VKD_KILLS:-10}

cat > tiny.yaml << 'YAML'
model: {dim: 16, depth: 1, heads: 2, patch: [1, 2, 2]}
data: {synthetic: true, count: 12, frames: 2, size: [8, 8], codec: pixel}
train: {steps: 40, batch: 2, lr: 3e-3, warmup: 1, ema: 0.9}
eval: {every: 7, holdout: 2}
checkpoint: {every: 1, keep: 2}
YAML

train() { "$vkdit" -q train tiny.yaml "$@" > out 2> err; }
whole() {
  local step=step-000000040
  cmp reference/metrics.jsonl run/metrics.jsonl || return 1
  for name in weights ema m v; do cmp "reference/checkpoints/$step/$name.safetensors" "run/checkpoints/$step/$name.safetensors" || return 1; done
  [ "$(ls -A run/checkpoints | tr '\n' ' ')" = "step-000000039 step-000000040 " ] || return 1
  ! compgen -G 'run/*.tmp-*'
}

check_whole() {
  local said
  if said=$(whole 2>&1); then note 0 ""; else fail "$1: $said $(ls -A run/checkpoints)"; fi
}

if ! train -o reference; then
  skip_without_device err
  fail "the undisturbed run: $(cat err)"
fi
begin=$(date +%s%N)
train -o reference --overwrite
lasts=$((($(date +%s%N) - begin) / 1000000))    # ms
if [ $lasts -gt 5000 ]; then lasts=5000; fi # a machine that paused

killed=0 through=0
while [ $killed -lt "$kills" ] && [ $failed = 0 ]; do
  # setsid: the launcher and its child form a group that is killed as one
  setsid "$vkdit" -q train tiny.yaml -o run --resume > out 2> err &
  pid=$!
  wait=$((RANDOM * lasts / 32768))
  sleep "$((wait / 1000)).$(printf %03d $((wait % 1000)))"
  kill -KILL -- "-$pid" 2> /dev/null
  wait "$pid" 2> /dev/null
  case $? in
  137) killed=$((killed + 1)) ;;
  0)
    through=$((through + 1))
    check_whole "after $killed kills"
    rm -rf run
    ;;
  *) fail "after $killed kills: $(cat err)" ;;
  esac
done
check "going on: $(cat err)" train -o run --resume
check_whole "after $killed kills"
echo "killed $killed times, came through $((through + 1)) times"
finish 1
