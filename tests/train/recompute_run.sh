#!/bin/bash
# train.recompute=true: the same weights to the bit in less memory, and offered where a step does not fit.
set -u
vkdit=$(realpath "$1")
failed=0
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
cd "$temp" || exit 1

fail() {
  echo "$*" >&2
  failed=1
}
cat > run.yaml << 'YAML'
model: {dim: 16, depth: 5, heads: 2}
data: {synthetic: true, count: 32, frames: 4, size: [16, 16]}
train: {steps: 2, batch: 8, lr: 1e-2}
eval: {holdout: 4}
YAML
if ! "$vkdit" train run.yaml -o plain > plain.out 2> err; then
  grep -q "no Vulkan d\|no usable device" err && echo "skipped: $(cat err)" && exit 77
  fail "plain: $(cat err)"
fi
"$vkdit" train run.yaml -o again train.recompute=true > again.out 2> err || fail "again: $(cat err)"
weights=checkpoints/step-000000002/weights.safetensors
cmp plain/$weights again/$weights || failed=1

flops() { sed -n 's/.*"flops_per_step": *\([0-9.e+]*\).*/\1/p' "$1/summary.json"; }
[ -n "$(flops plain)" ] && [ "$(flops plain)" = "$(flops again)" ] || fail "the model's FLOPs: $(flops plain) and $(flops again)"

peak() { sed -n 's/.*peak device memory \([0-9]*\)\.[0-9]* MiB.*/\1/p' "$1"; }
[ "$(peak again.out)" -lt "$(peak plain.out)" ] || fail "memory: $(peak plain.out) and $(peak again.out) MiB"

activations() { "$vkdit" profile --plan-only run.yaml "$@" | sed -n 's/^activations *\([0-9]*\)\..*/\1/p'; }
plain=$(activations) again=$(activations train.recompute=true)
[ "$again" -lt $((plain / 2)) ] || fail "activations: $plain and $again MiB"
"$vkdit" profile --plan-only --nodes run.yaml > nodes
grep -q "recompute\(/\|d blocks\)" nodes && fail "nodes are computed again that were not asked for"
"$vkdit" profile --plan-only --nodes run.yaml train.recompute=true > nodes
grep -q recompute/block3/ffn nodes || fail "block 3 is not computed again"
grep -q "^recomputed blocks  *[0-9.]* [MG]" nodes || fail "their FLOPs are not told apart"
grep -q recompute/block4 nodes && fail "the last block is computed again"

# what fits: blocks computed again, smaller passes, or both
refused() { # MIB TEXT ARGS...
  local limit=$1 text=$2
  shift 2
  VKD_MEMORY_LIMIT=$limit "$vkdit" train run.yaml -o x -q "$@" > out 2> err
  [ $? -eq 2 ] && [ "$(wc -l < err)" = 1 ] && grep -q "; $text" err || fail "in $limit MiB: '$(cat err)' is not '$text'"
}
size='([0-9.]* MiB)'
refused 10 "train.recompute=true would fit $size, or train.micro_batch=4 $size\$"
refused 4 "train.recompute=true with train.micro_batch=4 would fit $size, or train.micro_batch=1 $size\$"
refused 2 "train.recompute=true with train.micro_batch=2 would fit $size\$"
refused 4 "train.micro_batch=4 would fit $size\$" train.recompute=true
refused 1 "no micro-batch fits"
accepted() { # MIB ARGS...
  local limit=$1
  shift
  VKD_MEMORY_LIMIT=$limit "$vkdit" train run.yaml -o x --overwrite -q "$@" > out 2> err || fail "in $limit MiB, $*: $(cat err)"
}
accepted 10 train.recompute=true

# chosen: the largest pass that fits, and no more than that
chosen() { # MIB MICRO ARGS...
  local micro=$2
  accepted "$1" train.micro_batch=auto "${@:3}"
  grep -q "\"micro_batch\": $micro," x/summary.json || fail "in $1 MiB, ${*:3}: $(grep micro x/summary.json), not $micro"
  grep -q "micro_batch: $micro " x/config.yaml || fail "config.yaml: $(grep micro x/config.yaml)"
}
chosen 40 8
chosen 10 4
chosen 4 1
chosen 4 4 train.recompute=true
rm -r x
refused 1 "no micro-batch fits" train.micro_batch=auto
accepted 4 train.recompute=true train.micro_batch=4
exit $failed
