#!/bin/bash
# A run that trains adapters on another run's weights: its checkpoints hold the adapters alone, it resumes to the bit and
# on its own base only, and its exported file gives the samples that the run gives.
. "$(dirname "$0")/../cli.bash"
cd "$folder" || exit 1

cat > base.yaml << 'YAML'
model: {dim: 32, depth: 1, heads: 2, patch: [1, 2, 2]}
data: {synthetic: true, count: 24, frames: 2, size: [8, 8], codec: pixel}
train: {steps: 6, batch: 4, lr: 3e-3, ema: 0.9}
eval: {every: 0, holdout: 4}
YAML
sed 's/ema: 0.9/ema: 0.9, base: base, lora_rank: 2, lora_alpha: 3, lora_targets: "q,ffn"/; s/steps: 6/steps: 8/' base.yaml > lora.yaml
echo 'checkpoint: {every: 4, keep: 0}' >> lora.yaml


if ! "$vkdit" train base.yaml -o base > out 2> err; then
  skip_without_device err
  fail "the base: $(cat err)"
fi
"$vkdit" train base.yaml -o other train.seed=1 > out 2> err
note $? "another base: $(cat err)"
"$vkdit" train lora.yaml -o whole > out 2> err
note $? "adapters: $(cat err)"
# dim 32: q of two attentions 2 x 2 x 64, both layers of the feed-forward part 2 x 160 each
grep -q "^896 parameters" out
note $? "what is trained: $(head -1 out)"

weights=$(stat -c %s base/checkpoints/*/weights.safetensors)
for name in weights ema m v; do
  size=$(stat -c %s "whole/checkpoints/step-000000008/$name.safetensors")
  [ "$size" -lt $((weights / 10)) ]
  note $? "$name.safetensors takes $size bytes, the base $weights"
done

# Resumed from the middle: the same bits.
cp -r whole parts
rm -r parts/checkpoints/step-000000008 parts/lora.safetensors
"$vkdit" train lora.yaml -o parts --resume > out 2> err
note $? "resume: $(cat err)"
for name in weights ema m v; do
  check "resumed: $name.safetensors differs" cmp "whole/checkpoints/step-000000008/$name.safetensors" "parts/checkpoints/step-000000008/$name.safetensors"
done
check "resumed: lora.safetensors differs" cmp whole/lora.safetensors parts/lora.safetensors
check "resumed: metrics.jsonl differs" cmp whole/metrics.jsonl parts/metrics.jsonl

# The exported file on the base, on the fly: the samples of the run, to the bit.
sample() { "$vkdit" sample "$@" --steps 2 --count 2 > out 2> err || fail "sample $*: $(cat err)"; }
sample whole -o run.safetensors
sample base --lora whole/lora.safetensors --lora-mode apply -o apply.safetensors
sample base --lora whole -o merged.safetensors
sample base --lora whole,whole:-1 -o undone.safetensors
sample base -o plain.safetensors
check "run.safetensors differs" cmp run.safetensors apply.safetensors
! cmp -s plain.safetensors apply.safetensors
note $? "the adapters change nothing"
! cmp -s plain.safetensors merged.safetensors
note $? "merged, the adapters change nothing"
sample base --lora whole:0 --lora-mode apply -o off.safetensors
check "plain.safetensors differs" cmp plain.safetensors off.safetensors

# Weights that are streamed from their file give the same bits, merged and on the fly.
file=$(echo base/checkpoints/*/ema.safetensors)
for mode in merge apply; do
  sample "$file" --heads 2 --latent 2x8x8 --lora whole:0.5 --lora-mode $mode -o whole.safetensors
  sample "$file" --heads 2 --latent 2x8x8 --lora whole:0.5 --lora-mode $mode --stream -o streamed.safetensors
  check "whole.safetensors differs" cmp whole.safetensors streamed.safetensors
done

# Weights in 16 bits: on the fly of itself, since merging would round the adapters away; streamed ones are rounded after.
if "$vkdit" sample base --precision bf16 --steps 1 --count 1 -o x.safetensors > out 2> err; then
  sample whole --precision bf16 -o run16.safetensors
  sample base --lora whole --precision bf16 -o apply16.safetensors
  check "run16.safetensors differs" cmp run16.safetensors apply16.safetensors
  refused 2 "where most of a small change is lost" sample base --lora whole --lora-mode merge --precision bf16 -o x.safetensors
  sample "$file" --heads 2 --latent 2x8x8 --lora whole --lora-mode merge --precision bf16 --stream -o x.safetensors
else
  grep -q "16-bit" err
  note $? "bf16: $(cat err)"
fi

value() { "$vkdit" eval "$@" --data base/data.vkd --json 2> err | sed 's/"step": [0-9]*, //'; }
[ "$(value whole)" = "$(value base --lora whole --lora-mode apply)" ]
note $? "eval: $(value whole) is not $(value base --lora whole --lora-mode apply)"
[ "$(value whole)" != "$(value base)" ]
note $? "eval: the adapters change nothing"
refused 2 "adapters alone" convert whole -o x.safetensors --naming wan

apart() { refused 2 "$1" sample base -o x.safetensors --steps 1 --count 1 "${@:2}"; }
apart "nowhere" --lora nowhere
apart "holds no adapter_model" --lora base
apart "do not fit the model as low-rank adapters" --lora "$file"
apart "FILE:STRENGTH is wanted" --lora whole:inf
apart "merge, apply or auto" --lora whole --lora-mode add
apart "which is not given" --lora-mode apply
apart "from one file" --lora whole,whole --lora-mode apply
refused 2 "adapters of its own" sample whole -o x.safetensors --lora whole --lora-mode apply

refused 2 "need train.base" train lora.yaml -o x train.base=
refused 2 "nowhere" train lora.yaml -o x train.base=nowhere
refused 2 "of another shape (patch_embedding.weight [32,3,1,2,2], not [48,3,1,2,2]" train lora.yaml -o x train.base=base model.dim=48
refused 2 "2 heads, not cross_dit with 4" train lora.yaml -o x model.heads=4
"$vkdit" convert base -o base.safetensors --naming diffusers > out 2> err
note $? "convert: $(cat err)"
refused 2 "2 heads (by its metadata), not 4: set model.heads=2" train lora.yaml -o x train.base=base.safetensors model.heads=4
refused 2 "adapters alone" train lora.yaml -o x train.base=whole
refused 2 "train.lora_rank=2, not 3" train lora.yaml -o whole --resume train.lora_rank=3 train.steps=9

refused 2 "other weights" train lora.yaml -o whole --resume train.steps=9 train.base=other

# The base moves: train.base tells where to; another one is no substitute.
mv base moved
refused 2 "the base of its adapters" sample whole -o x.safetensors
refused 2 "base/checkpoints" train lora.yaml -o parts --resume train.steps=9
"$vkdit" train lora.yaml -o parts --resume train.steps=9 train.base=moved > out 2> err
note $? "a moved base: $(cat err)"
sample parts -o x.safetensors

# The same values in another naming are the same base.
mv moved/checkpoints gone
"$vkdit" train lora.yaml -o parts --resume train.steps=10 train.base=base.safetensors > out 2> err
note $? "a converted base: $(cat err)"
mv gone moved/checkpoints

# Weights to start from, all of them trained.
"$vkdit" train base.yaml -o tuned train.base=moved train.lr=0 > out 2> err
note $? "from a base: $(cat err)"
check "tuned/checkpoints/*/weights.safetensors differs" cmp tuned/checkpoints/*/weights.safetensors moved/checkpoints/*/ema.safetensors
finish
