#!/bin/bash
# A run that trains adapters on another run's weights: its checkpoints hold the adapters alone, it resumes to the bit and
# on its own base only, and its exported file gives the samples that the run gives.
set -u
vkdit=$(realpath "$1")
failed=0
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
cd "$temp" || exit 1

cat > base.yaml << 'YAML'
model: {dim: 32, depth: 1, heads: 2, patch: [1, 2, 2]}
data: {synthetic: true, count: 24, frames: 2, size: [8, 8], codec: pixel}
train: {steps: 6, batch: 4, lr: 3e-3, ema: 0.9}
eval: {every: 0, holdout: 4}
YAML
sed 's/ema: 0.9/ema: 0.9, base: base, lora_rank: 2, lora_alpha: 3, lora_targets: "q,ffn"/; s/steps: 6/steps: 8/' base.yaml > lora.yaml
echo 'checkpoint: {every: 4, keep: 0}' >> lora.yaml

fail() {
  echo "$*" >&2
  failed=1
}
refused() { # refused WHAT WORDS COMMAND...: ends with status 2 and one line that holds the words
  local what=$1 words=$2
  shift 2
  "$@" > out 2> err
  [ $? -eq 2 ] || fail "$what: is not refused: $(cat err)"
  grep -q "$words" err || fail "$what: says '$(cat err)', not '$words'"
}

if ! "$vkdit" train base.yaml -o base > out 2> err; then
  grep -q "no Vulkan d\|no usable device" err && echo "skipped: $(cat err)" && exit 77
  fail "the base: $(cat err)"
fi
"$vkdit" train base.yaml -o other train.seed=1 > out 2> err || fail "another base: $(cat err)"
"$vkdit" train lora.yaml -o whole > out 2> err || fail "adapters: $(cat err)"
# dim 32: q of two attentions 2 x 2 x 64, both layers of the feed-forward part 2 x 160 each
grep -q "^896 parameters" out || fail "what is trained: $(head -1 out)"

weights=$(stat -c %s base/checkpoints/*/weights.safetensors)
for name in weights ema m v; do
  size=$(stat -c %s "whole/checkpoints/step-000000008/$name.safetensors")
  [ "$size" -lt $((weights / 10)) ] || fail "$name.safetensors takes $size bytes, the base $weights"
done

# Resumed from the middle: the same bits.
cp -r whole parts
rm -r parts/checkpoints/step-000000008 parts/lora.safetensors
"$vkdit" train lora.yaml -o parts --resume > out 2> err || fail "resume: $(cat err)"
for name in weights ema m v; do
  cmp "whole/checkpoints/step-000000008/$name.safetensors" "parts/checkpoints/step-000000008/$name.safetensors" || failed=1
done
cmp whole/lora.safetensors parts/lora.safetensors || failed=1
cmp whole/metrics.jsonl parts/metrics.jsonl || failed=1

# The exported file on the base, on the fly: the samples of the run, to the bit.
sample() { "$vkdit" sample "$@" --steps 2 --count 2 > out 2> err || fail "sample $*: $(cat err)"; }
sample whole -o run.safetensors
sample base --lora whole/lora.safetensors --lora-mode apply -o apply.safetensors
sample base --lora whole -o merged.safetensors
sample base --lora whole,whole:-1 -o undone.safetensors
sample base -o plain.safetensors
cmp run.safetensors apply.safetensors || failed=1
cmp -s plain.safetensors apply.safetensors && fail "the adapters change nothing"
cmp -s plain.safetensors merged.safetensors && fail "merged, the adapters change nothing"
sample base --lora whole:0 --lora-mode apply -o off.safetensors
cmp plain.safetensors off.safetensors || failed=1

# Weights that are streamed from their file give the same bits, merged and on the fly.
file=$(echo base/checkpoints/*/ema.safetensors)
for mode in merge apply; do
  sample "$file" --heads 2 --latent 2x8x8 --lora whole:0.5 --lora-mode $mode -o whole.safetensors
  sample "$file" --heads 2 --latent 2x8x8 --lora whole:0.5 --lora-mode $mode --stream -o streamed.safetensors
  cmp whole.safetensors streamed.safetensors || failed=1
done

# Weights in 16 bits: on the fly of itself, since merging would round the adapters away; streamed ones are rounded after.
if "$vkdit" sample base --precision bf16 --steps 1 --count 1 -o x.safetensors > out 2> err; then
  sample whole --precision bf16 -o run16.safetensors
  sample base --lora whole --precision bf16 -o apply16.safetensors
  cmp run16.safetensors apply16.safetensors || failed=1
  refused "merging into 16 bits" "where most of a small change is lost" \
    "$vkdit" sample base --lora whole --lora-mode merge --precision bf16 -o x.safetensors
  sample "$file" --heads 2 --latent 2x8x8 --lora whole --lora-mode merge --precision bf16 --stream -o x.safetensors
else
  grep -q "16-bit" err || fail "bf16: $(cat err)"
fi

value() { "$vkdit" eval "$@" --data base/data.vkd --json 2> err | sed 's/"step": [0-9]*, //'; }
[ "$(value whole)" = "$(value base --lora whole --lora-mode apply)" ] || fail "eval: $(value whole) is not $(value base --lora whole --lora-mode apply)"
[ "$(value whole)" != "$(value base)" ] || fail "eval: the adapters change nothing"
refused "adapters converted as a model" "adapters alone" "$vkdit" convert whole -o x.safetensors --naming wan

apart() { refused "$1" "$2" "$vkdit" sample base -o x.safetensors --steps 1 --count 1 "${@:3}"; }
apart "no such file" "nowhere" --lora nowhere
apart "a folder without adapters" "holds no adapter_model" --lora base
apart "a model's weights as adapters" "do not fit the model as low-rank adapters" --lora "$file"
apart "a strength that is none" "FILE:STRENGTH is wanted" --lora whole:inf
apart "an unknown mode" "merge, apply or auto" --lora whole --lora-mode add
apart "a mode of nothing" "which is not given" --lora-mode apply
apart "several on the fly" "from one file" --lora whole,whole --lora-mode apply
refused "adapters beside adapters" "adapters of its own" "$vkdit" sample whole -o x.safetensors --lora whole --lora-mode apply

refused "no base" "need train.base" "$vkdit" train lora.yaml -o x train.base=
refused "a base that is not there" "nowhere" "$vkdit" train lora.yaml -o x train.base=nowhere
refused "a base of another shape" "another shape\|is not\|do not fit" "$vkdit" train lora.yaml -o x train.base=base model.dim=48
refused "a base of other heads" "2 heads, not cross_dit with 4" "$vkdit" train lora.yaml -o x model.heads=4
"$vkdit" convert base -o base.safetensors --naming diffusers > out 2> err || fail "convert: $(cat err)"
refused "a file of other heads" "2 heads.*set model.heads=2" "$vkdit" train lora.yaml -o x train.base=base.safetensors model.heads=4
refused "a base of adapters" "adapters alone" "$vkdit" train lora.yaml -o x train.base=whole
refused "another rank" "train.lora_rank=2, not 3" "$vkdit" train lora.yaml -o whole --resume train.lora_rank=3 train.steps=9

refused "another base" "other weights" "$vkdit" train lora.yaml -o whole --resume train.steps=9 train.base=other

# The base moves: train.base tells where to; another one is no substitute.
mv base moved
refused "sampling without the base" "the base of its adapters" "$vkdit" sample whole -o x.safetensors
refused "resuming without the base" "base/checkpoints" "$vkdit" train lora.yaml -o parts --resume train.steps=9
"$vkdit" train lora.yaml -o parts --resume train.steps=9 train.base=moved > out 2> err || fail "a moved base: $(cat err)"
sample parts -o x.safetensors

# The same values in another naming are the same base.
mv moved/checkpoints gone
"$vkdit" train lora.yaml -o parts --resume train.steps=10 train.base=base.safetensors > out 2> err || fail "a converted base: $(cat err)"
mv gone moved/checkpoints

# Weights to start from, all of them trained.
"$vkdit" train base.yaml -o tuned train.base=moved train.lr=0 > out 2> err || fail "from a base: $(cat err)"
cmp tuned/checkpoints/*/weights.safetensors moved/checkpoints/*/ema.safetensors || failed=1
exit $failed
