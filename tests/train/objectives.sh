#!/bin/bash
# Short runs of the image family by every objective: the held-out loss falls well below that of zeros, a run that goes on
# from a checkpoint ends as one that was never stopped, to the bit, and goes on by its own objective only.
. "$(dirname "$0")/../cli.bash"
cd "$folder" || exit 1

cat > tiny.yaml << 'YAML'
model: {family: dit, dim: 32, depth: 1, heads: 2, patch: [1, 2, 2]}
data: {synthetic: true, count: 48, frames: 1, size: [8, 8], codec: pixel}
train: {steps: 40, batch: 8, lr: 3e-3, warmup: 3, ema: 0.9}
eval: {every: 20, holdout: 4}
checkpoint: {every: 20, keep: 0}
YAML

last() { sed -n "\$s/.*\"$2\": \([^,}]*\).*/\1/p" "$1/metrics.jsonl"; } # last RUN KEY

for objective in flow ddpm v hybrid; do
  if ! "$vkdit" train tiny.yaml -o $objective train.objective=$objective > out 2> err; then
    skip_without_device err
    fail "$objective: $(cat err)"
    continue
  fi
  loss=$(last $objective heldout_loss) zeros=$(last $objective heldout_zero)
  echo "$objective: held-out loss $loss, of zeros $zeros"
  # 40 steps bring each to 0.2 .. 0.65 of it; a gradient of the wrong sign or of the wrong part leaves it above 1
  awk -v a="$loss" -v b="$zeros" 'BEGIN { exit !(a > 0 && a < 0.8 * b) }'
  note $? "$objective: $loss has not fallen below $zeros"
done
! cmp -s ddpm/metrics.jsonl hybrid/metrics.jsonl
note $? "the learned variance adds nothing to the loss"

cp -r hybrid half
rm -r half/checkpoints/step-000000040
"$vkdit" train tiny.yaml -o half --resume train.objective=hybrid > out 2> err
note $? "resuming: $(cat err)"
cmp -s half/metrics.jsonl hybrid/metrics.jsonl
note $? "resumed: metrics differ: $(diff half/metrics.jsonl hybrid/metrics.jsonl | head -3)"
for name in weights ema m v; do
  cmp -s half/checkpoints/step-000000040/$name.safetensors hybrid/checkpoints/step-000000040/$name.safetensors
  note $? "resumed: $name differs"
done
"$vkdit" train tiny.yaml -o half --resume train.objective=ddpm > out 2> err
[ $? -eq 2 ] && grep -q "train.objective=hybrid, not ddpm" err
note $? "resuming by another objective: $(cat err)"

finish
