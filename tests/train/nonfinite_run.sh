#!/bin/bash
# Numbers that are not finite: a clip that spoils its steps costs these steps and nothing else, in every precision, and resuming amid them
# is exact to the bit; a run whose steps are spoilt for good ends, with the steps, the tensor and the checkpoint.
. "$(dirname "$0")/../cli.bash"
cd "$folder" || exit 1

cat > tiny.yaml << 'YAML'
model: {dim: 32, depth: 2, heads: 2, patch: [1, 2, 2]}
data: {synthetic: true, count: 48, frames: 2, size: [8, 8], codec: pixel}
train: {steps: 40, batch: 4, lr: 3e-3, warmup: 3, ema: 0.9}
eval: {every: 0, holdout: 4}
checkpoint: {every: 1, keep: 0}
YAML
at() { printf '%s/checkpoints/step-%09d' "$1" "$2"; }
lines() { sed -n "s/^{\"step\": \([0-9]*\), .*$2.*/\1/p" "$1/metrics.jsonl" | tr '\n' ' '; }

if ! "$vkdit" train tiny.yaml -o good train.steps=1 train.warmup=0 > out 2> err; then
  skip_without_device err
  note 1 "training: $(cat err)"
fi

# ---- one bad clip ----
# Latents as samples of a run, the last number of the last one 1e30: its square is beyond fp32.
"$vkdit" sample good -o latents.safetensors --count 24 --steps 1 -q > out 2> err
note $? "sample: $(cat err)"
printf '\312\362\111\161' | dd of=latents.safetensors bs=1 seek=$(($(stat -c %s latents.safetensors) - 4)) conv=notrunc status=none
"$vkdit" data build latents.safetensors -o bad.vkd -q > out 2> err
note $? "data build: $(cat err)"

# spoilt RUN ARGS...: skips some steps, not 10 in a row, and is resumed from the middle of them
spoilt() {
  local run=$1 skipped from
  shift
  "$vkdit" train tiny.yaml -o "$run" data.synthetic=false data.path=bad.vkd train.steps=24 "$@" > out 2> err
  note $? "$run: $(cat err)"
  skipped=$(lines "$run" '"skipped": 1')
  from=$(echo "$skipped" | cut -d' ' -f2)
  [ "$(echo "$skipped" | wc -w)" -ge 3 ] && grep -q "$(echo "$skipped" | wc -w) steps changed nothing" out
  note $? "$run: skipped '$skipped', told $(cat out)"
  grep -q "\"step\": 24, .*\"non_finite\": $(echo "$skipped" | wc -w)}" "$run/metrics.jsonl"
  note $? "$run: $(tail -2 "$run/metrics.jsonl")"
  # while steps are skipped nothing is saved, unless fp16's scale alone is at fault
  [ ! -e "$(at "$run" "$from")" ] || [ "$run" = fp16 ]
  note $? "$run: a checkpoint at the skipped step $from"
  for i in $((from - 1)) $((from + 1)); do
    rm -rf again
    cp -r "$run" again
    for k in $(seq $((i + 1)) 24); do rm -rf "$(at again "$k")"; done
    "$vkdit" train tiny.yaml -o again --resume data.synthetic=false data.path=bad.vkd train.steps=24 checkpoint.every=0 "$@" > out 2> err
    note $? "$run: resumed from $i: $(cat err)"
    cmp -s "$run/metrics.jsonl" again/metrics.jsonl
    note $? "$run: metrics differ when resumed from $i: $(diff "$run/metrics.jsonl" again/metrics.jsonl | head -4)"
    for name in weights ema m v; do
      cmp -s "$(at "$run" 24)/$name.safetensors" "$(at again 24)/$name.safetensors"
      note $? "$run: $name differs when resumed from $i"
    done
  done
}
spoilt fp32
spoilt passes train.micro_batch=2
if "$vkdit" train tiny.yaml -o try train.steps=1 train.warmup=0 train.precision=fp16 > out 2> err; then
  spoilt fp16 train.precision=fp16
  spoilt bf16 train.precision=bf16
  grep -q '"loss_scale": 32768' fp16/metrics.jsonl
  note $? "fp16: the loss scale was not lowered"
fi

# ---- the end of a run ----
# With lr * weight_decay = 1e4 every step multiplies the weights.
hot() { "$vkdit" train tiny.yaml -o hot "$@" train.lr=100 train.weight_decay=100 train.warmup=0 > out 2> err; }
hot
[ $? -eq 1 ] && tail -1 err | grep -q "no finite loss and gradient in steps [0-9]* to [0-9]*, which changed nothing; first in .* of block0/.* numbers.*last checkpoint: hot/checkpoints/step-0"
note $? "a run that diverges: $(tail -1 err)"
[ "$(lines hot '"skipped": 1' | wc -w)" = 10 ] && [ "$(tail -1 hot/metrics.jsonl | grep -c '"non_finite": 10}')" = 1 ]
note $? "10 steps in a row: $(tail -3 hot/metrics.jsonl)"
grep -q '"diverged": true' hot/summary.json && grep -q '"non_finite": 10' hot/summary.json && grep -q '"why": "no finite' hot/summary.json
note $? "the summary: $(cat hot/summary.json)"
last=$(lines hot '"skipped": 1' | awk '{ print $NF }')
message=$(tail -1 err) before=$(cksum < hot/metrics.jsonl)
hot --resume
[ $? -eq 1 ] && [ "$(tail -1 err)" = "$message" ] && [ "$(cksum < hot/metrics.jsonl)" = "$before" ]
note $? "resumed it ends otherwise: $(tail -1 err)"
hot --resume train.max_skipped=12
[ $? -eq 1 ] && grep -q "to $((last + 2)), which" err
note $? "train.max_skipped=12: $(tail -1 err)"
for n in 1 2 3; do
  hot --overwrite train.max_skipped=$n
  [ $? -eq 1 ] && grep -q "first in .* of block0/" err && [ "$(lines hot '"skipped": 1' | wc -w)" = $n ]
  note $? "train.max_skipped=$n: $(tail -1 err)"
done

# Every tensor at once takes 40 MiB here, the step itself 16.
VKD_MEMORY_LIMIT=24 hot --overwrite model.depth=4 train.batch=32
[ $? -eq 1 ] && grep -q "which tensor was first is not known: .* needs .* has 24.0 MiB; last checkpoint" err
note $? "without memory for a trace: $(tail -1 err)"

# Weights that a run starts from: the tensor is named, and nothing was saved.
cp "$(at good 1)/weights.safetensors" base.safetensors
printf '\0\0\200\177' | dd of=base.safetensors bs=1 seek=$(($(stat -c %s base.safetensors) - 4)) conv=notrunc status=none
"$vkdit" train tiny.yaml -o base train.base=base.safetensors > out 2> err
[ $? -eq 1 ] && grep -q "in steps 1 to 10, .*first in [a-z0-9_.]*, pass 1 (1 of .*no checkpoint was written" err
note $? "a base with an infinite weight: $(cat err)"

finish 40
