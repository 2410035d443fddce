#!/bin/bash
# Barriers: a run whose dispatches go in the opposite order between them, and one with a barrier before each, give the same weights
# and samples to the bit, in fp32 and in 16 bits, with adapters, micro-batches and blocks computed again.
. "$(dirname "$0")/../cli.bash"

cat > "$folder/run.yaml" << 'YAML'
model: {dim: 16, depth: 2, heads: 2}
data: {synthetic: true, count: 32, frames: 4, size: [16, 16]}
train: {steps: 3, batch: 4, lr: 1e-2}
eval: {holdout: 4, every: 2}
YAML
weights=checkpoints/step-000000003

# same NAME KEY=VALUE...: three runs
same() {
  local name=$1 sync
  shift
  for sync in usual reverse full; do
    VKD_SYNC=$sync "$vkdit" train "$folder/run.yaml" -q -o "$folder/$name-$sync" "$@" > "$folder/out" 2> "$folder/stderr"
    status=$?
    skip_without_device "$folder/stderr"
    note $status "$name, $sync: $(cat "$folder/stderr")"
    VKD_SYNC=$sync "$vkdit" sample "$folder/$name-$sync" -o "$folder/$name-$sync/sample.safetensors" --steps 3 -q
    note $? "$name, $sync: sample"
  done
  for sync in reverse full; do
    for file in weights.safetensors ema.safetensors; do
      check "$name, $sync: $file" cmp "$folder/$name-usual/$weights/$file" "$folder/$name-$sync/$weights/$file"
    done
    check "$name, $sync: sample" cmp "$folder/$name-usual/sample.safetensors" "$folder/$name-$sync/sample.safetensors"
  done
}

same plain
same small train.micro_batch=2 train.recompute=true
if "$vkdit" devices | grep -q 'has .*16-bit storage'; then same half train.precision=fp16; fi
finish 20
