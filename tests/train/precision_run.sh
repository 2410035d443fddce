#!/bin/bash
# Training in fp16 and bf16: the loss falls as in fp32; a step that overflows changes nothing and the run recovers; runs that are
# resumed, also amid overflows, are equal to the bit.
. "$(dirname "$0")/../cli.bash"
cd "$folder" || exit 1

cat > tiny.yaml << 'YAML'
model: {dim: 32, depth: 2, heads: 2, patch: [1, 2, 2]}
data: {synthetic: true, count: 48, frames: 2, size: [8, 8], codec: pixel}
train: {steps: 24, batch: 2, lr: 3e-3, warmup: 3, ema: 0.9}
eval: {every: 0, holdout: 4}
checkpoint: {every: 12, keep: 0}
YAML

train() { # train RUN ARGS...
  local run=$1
  shift
  "$vkdit" train tiny.yaml -o "$run" "$@" > out 2> err || { cat err >&2 && return 1; }
}
value() { sed -n "s/^ *\"$2\": \([0-9.eE+-]*\).*/\1/p" "$1/summary.json" | tail -1; }

if ! train fp32 2> /dev/null; then
  skip_without_device err
  fail "fp32: $(cat err)"
fi
if ! train fp16 train.precision=fp16 2> /dev/null; then
  grep -q "lacks 16-bit storage" err && echo "skipped: $(cat err)" && exit 77
  fail "fp16: $(cat err)"
fi
train bf16 train.precision=bf16
note $? "bf16"

# So few steps do not carry roundings of 5e-4 and 4e-3 far: measured are 1e-4 of the loss.
for p in fp16 bf16; do
  awk -v a="$(value fp32 heldout_loss)" -v b="$(value $p heldout_loss)" -v z="$(value fp32 heldout_zero)" -v p=$p \
    'BEGIN { d = (b - a) / a; print p ": held-out loss " b ", fp32 " a ", v = 0 " z; exit !(d < 0.01 && d > -0.01 && b < 0.8 * z) }'
  note $? "$p: the loss does not fall as in fp32"
done
! cmp -s fp16/metrics.jsonl bf16/metrics.jsonl
note $? "fp16 and bf16 are the same"

# A run that goes on from step 12 of fp16, at a scale that overflows.
at() { printf '%s/checkpoints/step-%09d' "$1" "$2"; }
copy_until() { # copy_until FROM TO STEP: without the checkpoints after STEP
  rm -rf "$2"
  cp -r "$1" "$2"
  for i in $(seq $(($3 + 1)) 24); do rm -rf "$(at "$2" "$i")"; done
}
copy_until fp16 over 12
sed -i '0,/"scale": 65536.0/s//"scale": 16777216.0/' "$(at over 12)/state.json"
train over --resume train.precision=fp16 checkpoint.every=1
note $? "a run that overflows"
for name in weights ema m v; do
  for i in 13 14; do
    cmp -s "$(at over 12)/$name.safetensors" "$(at over $i)/$name.safetensors"
    note $? "step $i overflowed and changed $name"
  done
  ! cmp -s "$(at over 12)/$name.safetensors" "$(at over 24)/$name.safetensors"
  note $? "no step after the overflow changed $name"
done
for i in 13 14; do
  grep -q "\"step\": $i, .*\"grad_norm\": null.*\"loss_scale\": 16777216, \"skipped\": 1" over/metrics.jsonl
  note $? "step $i is not told as skipped"
done
grep -q '"step": 15, .*"loss_scale": 8388608' over/metrics.jsonl
note $? "the scale was not halved"
awk -v a="$(value over heldout_loss)" -v z="$(value fp32 heldout_zero)" 'BEGIN { print "after overflows " a; exit !(a < 0.9 * z) }'
note $? "it does not recover"

# Resumed from the middle of overflows, with checkpoints at other steps: when the host looks makes no difference.
for from in 13 14; do
  copy_until over again "$from"
  train again --resume train.precision=fp16 checkpoint.every=0
  note $? "resuming from $from"
  cmp -s over/metrics.jsonl again/metrics.jsonl
  note $? "metrics differ when resumed from $from"
  for name in weights ema m v; do
    cmp -s "$(at over 24)/$name.safetensors" "$(at again 24)/$name.safetensors"
    note $? "$name differs when resumed from $from"
  done
done

# Several passes make the same step: sums of rounded gradients in another order.
train passes train.precision=fp16 train.micro_batch=1 train.steps=1 train.warmup=0
note $? "micro-batches"
norm() { sed -n '1s/.*"grad_norm": \([^,]*\),.*/\1/p' "$1/metrics.jsonl"; }
awk -v a="$(norm fp16)" -v b="$(norm passes)" 'BEGIN { d = (a - b) / a; exit !(d < 1e-3 && d > -1e-3) }'
note $? "gradient norms of one pass and of two: $(norm fp16), $(norm passes)"

# A run is measured as it was trained, or as asked; sampled in fp32 unless asked otherwise.
measured() { "$vkdit" eval "$1" --data "$1/data.vkd" "${@:2}" 2> err || cat err; }
[ "$(measured bf16)" = "$(measured bf16 --precision bf16)" ]
note $? "eval: not as trained"
[ "$(measured bf16)" != "$(measured bf16 --precision fp32)" ]
note $? "eval: --precision makes no difference"
for p in fp32 fp16 bf16; do
  "$vkdit" sample bf16 -o $p.safetensors --steps 2 --count 2 --precision $p > out 2> err
  note $? "sample: $(cat err)"
done
"$vkdit" sample bf16 -o default.safetensors --steps 2 --count 2 > out 2> err
note $? "sample: $(cat err)"
cmp -s default.safetensors fp32.safetensors
note $? "samples are not made in fp32"
for p in fp16 bf16; do cmp -s fp32.safetensors $p.safetensors && fail "sample: --precision $p makes no difference"; done
"$vkdit" sample bf16 -o none.safetensors --precision fp8 > out 2> err
[ $? -eq 2 ] && grep -q "fp8: fp32, fp16 and bf16 are known" err
note $? "sample: --precision fp8: $(cat err)"

# Another precision is another run; a damaged state is passed over for an earlier one, and told.
! "$vkdit" train tiny.yaml -o fp16 --resume train.precision=bf16 > out 2> err
note $? "resumed in another precision"
grep -q "train.precision" err
note $? "another precision: $(cat err)"
sed -i 's/"scale": 65536.0/"scale": 65537.0/' "$(at fp16 24)/state.json"
"$vkdit" train tiny.yaml -o fp16 --resume train.precision=fp16 train.steps=25 > out 2> err
note $? "beside a damaged loss scale: $(cat err)"
grep -q "warning: .*step-000000024/state.json: loss_scale" err
note $? "a damaged loss scale: $(cat err)"

finish
