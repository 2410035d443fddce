#!/bin/bash
# Each call of a run that touches its folder fails, tears or is the last (tests/faults.c): what is said names a file, and going on
# gives the metrics and the weights of a run that nothing befell, to the bit.
# VKD_FAULTS=N: every N-th call, with the kinds in turn; VKD_FAULTS=all: every call with every kind.
. "$(dirname "$0")/../cli.bash"
cd "$folder" || exit 1
faults=$(dirname "$vkdit")/faults.so
kinds=(eio full tear exit torn)
run=$folder/run

cat > tiny.yaml << 'YAML'
model: {dim: 16, depth: 1, heads: 2, patch: [1, 2, 2]}
data: {synthetic: true, count: 12, frames: 2, size: [8, 8], codec: pixel}
train: {steps: 3, batch: 2, lr: 3e-3, warmup: 1, ema: 0.9}
eval: {every: 3, holdout: 2}
checkpoint: {every: 1, keep: 2}
YAML

train() { "$vkdit" -q train tiny.yaml "$@" > out 2> err; }
faulty() { # faulty KIND K ARGS...
  local kind=$1 k=$2
  shift 2
  env LD_PRELOAD="$faults" ASAN_OPTIONS="verify_asan_link_order=0:${ASAN_OPTIONS:-}" VKD_FAULT_ROOT="$run" VKD_FAULT_LOG="$folder/log" \
    VKD_FAULT_KIND="$kind" VKD_FAULT_AT="$k" "$vkdit" -q train tiny.yaml -o "$run" "$@" > out 2> err
}

# What the run holds is what the undisturbed one holds.
same() {
  local step=step-000000003
  cmp metrics.jsonl "$run/metrics.jsonl" && cmp config.yaml "$run/config.yaml" && [ -s "$run/summary.json" ] || return 1
  for name in weights ema m v; do cmp "reference/checkpoints/$step/$name.safetensors" "$run/checkpoints/$step/$name.safetensors" || return 1; done
}
# And nothing half-made is left.
whole() {
  same && [ "$(ls -A "$run/checkpoints" | tr '\n' ' ')" = "step-000000002 step-000000003 " ] && ! compgen -G "$run/*.tmp-*"
}
check_run() { # check_run same|whole WHAT
  local said
  if said=$($1 2>&1); then note 0 ""; else fail "$2: $said $(ls -A "$run/checkpoints")"; fi
}

injected=0 through=0 ended=0 refused=0 turn=0
inject() { # inject NAME KIND K BASE: BASE is the folder to start from, - none
  local what status
  what="$1, $2 at call $3 ($(sed -n "$3p" "$1.log"))"
  rm -rf "$run"
  if [ "$4" != - ]; then cp -a "$4" "$run"; fi
  faulty "$2" "$3" --resume
  status=$?
  injected=$((injected + 1))
  case $status in
  0) through=$((through + 1)) ;;
  99) ended=$((ended + 1)) ;;
  1 | 2)
    refused=$((refused + 1))
    check "$what: says $(cat err)" eval '[ "$(grep -c "^vkdit: " err)" = 1 ] && grep "^vkdit: " err | grep -qF "$run"'
    ;;
  *) fail "$what: exit $status, $(cat err)" ;;
  esac
  if [ $status = 0 ]; then check_run same "$what: a success that is none"; fi
  check "$what: going on: $(cat err)" train -o "$run" --resume
  check_run whole "$what: after going on"
}

# scenario NAME BASE
scenario() {
  local calls k kind step
  rm -rf "$run" log
  if [ "$2" != - ]; then cp -a "$2" "$run"; fi
  faulty none 0 --resume || fail "$1, undisturbed: $(cat err)"
  mv log "$1.log"
  calls=$(wc -l < "$1.log")
  step=${VKD_FAULTS:-$((calls / 9))}
  if [ "$step" = all ]; then
    for k in $(seq "$calls"); do for kind in "${kinds[@]}"; do inject "$1" "$kind" "$k" "$2"; done; done
  else
    for k in $(seq $((1 + RANDOM % step)) "$step" "$calls"); do inject "$1" "${kinds[turn++ % 5]}" "$k" "$2"; done
  fi
  echo "$1: $calls calls"
}

if ! train -o reference; then
  skip_without_device err
  fail "the undisturbed run: $(cat err)"
fi
cp reference/metrics.jsonl reference/config.yaml .

scenario start -
# Killed on its way, between checkpoints.
rm -rf "$run"
faulty exit $(($(wc -l < start.log) * 3 / 5))
cp -a "$run" half
scenario resume half
# The newest checkpoint is damaged: its step is saved again.
cp -a reference damaged
truncate -s 100 damaged/checkpoints/step-000000003/v.safetensors
scenario damaged damaged

echo "$injected faults: $ended ended the process, $refused the run with a message, $through did no harm"
check "faults that are none" eval "[ $ended -gt 0 ] && [ $refused -gt 0 ]"
finish
