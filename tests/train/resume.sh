#!/bin/bash
# A run that is killed at any moment and resumed gives the numbers and the weights of one that was not, to the bit; so do the
# same seed twice and nothing else.
. "$(dirname "$0")/../cli.bash"
cd "$folder" || exit 1

cat > tiny.yaml << 'YAML'
model: {dim: 32, depth: 1, heads: 2, patch: [1, 2, 2]}
data: {synthetic: true, count: 48, frames: 2, size: [8, 8], codec: pixel}
train: {steps: 36, batch: 4, lr: 3e-3, warmup: 3, ema: 0.9}
eval: {every: 6, holdout: 4}
checkpoint: {every: 4, keep: 2}
YAML

train() { "$vkdit" train tiny.yaml "$@" > out 2> err || { cat err >&2 && return 1; }; }

if ! train -o whole 2> /dev/null; then
  skip_without_device err
  fail "the uninterrupted run: $(cat err)"
fi

# What of a run must be equal: every line of metrics.jsonl, the last weights and all that goes on from them, the summary but for times.
same() { # same WHAT RUN REFERENCE
  local step
  step=$(ls "$3/checkpoints" | tail -1)
  check "$1: metrics differ: $(diff "$2/metrics.jsonl" "$3/metrics.jsonl" | head -4)" cmp -s "$2/metrics.jsonl" "$3/metrics.jsonl"
  for name in weights ema m v; do
    check "$1: $name.safetensors of $step differ" cmp -s "$2/checkpoints/$step/$name.safetensors" "$3/checkpoints/$step/$name.safetensors"
  done
  check "$1: summaries differ" cmp -s <(grep -v 'second\|host_share' "$2/summary.json") <(grep -v 'second\|host_share' "$3/summary.json")
  check "$1: left over: $(ls -A "$2/checkpoints")" [ "$(ls -A "$2/checkpoints" | wc -l)" -eq 2 ]
}

# Starts training and kills it once a condition holds, told by the function $1; at most so often.
kill_when() { # kill_when CONDITION ARGS...
  local condition=$1 pid
  shift
  # setsid: the launcher and its child form a group that is killed as one
  setsid "$vkdit" train tiny.yaml "$@" > out 2> err &
  pid=$!
  for _ in $(seq 4000); do
    kill -0 "$pid" 2> /dev/null || break
    if "$condition"; then
      kill -KILL -- "-$pid" 2> /dev/null && killed=$((killed + 1))
      break
    fi
    sleep 0.002
  done
  wait "$pid" 2> /dev/null
}
lines() { cat killed/metrics.jsonl 2> /dev/null | wc -l; }
enough_lines() { [ "$(lines)" -ge "$target" ]; }
partial_there() { compgen -G "killed/checkpoints/.step-*.partial/$part" > /dev/null; }

# The moments differ from run to run; none may matter.
killed=0
kill_all() { # kill_all ARGS...
  for target in 1 $((2 + RANDOM % 8)) $((12 + RANDOM % 8)) $((24 + RANDOM % 8)); do kill_when enough_lines -o killed --resume "$@"; done
}
kill_all
check "resuming" train -o killed --resume
same "killed $killed times" killed whole
check "no run was killed before its end" [ $killed -ge 2 ]

# While a checkpoint is being written: some files of it are there.
rm -rf killed
killed=0
for part in weights.safetensors ema.safetensors v.safetensors; do kill_when partial_there -o killed --resume; done
check "resuming" train -o killed --resume
same "killed $killed times at a checkpoint" killed whole

# What such a kill leaves goes at the next checkpoint, whatever its step.
rm -rf killed
mkdir -p killed/checkpoints/.step-000000003.partial
echo half > killed/checkpoints/.step-000000003.partial/weights.safetensors
check "with a partial folder" train -o killed --resume
same "beside a partial folder" killed whole

# A line that a kill cut short, and lines beyond the checkpoint.
printf '{"step": 37, "loss": 1}\n{"step": 38, "lo' >> killed/metrics.jsonl
check "with a cut line" train -o killed --resume
same "after a cut line" killed whole

# Gradient accumulation.
rm -rf killed
killed=0
check "micro-batches" train -o passes train.micro_batch=1
kill_all train.micro_batch=1
check "resuming micro-batches" train -o killed --resume train.micro_batch=1
same "micro-batches, killed $killed times" killed passes
check "no run with micro-batches was killed before its end" [ $killed -ge 2 ]

# The first losses of 4 passes of 1 and of one pass of 4 differ by rounding: sums of a few thousand fp32 in another order.
value() { sed -n "1s/.*\"$2\": \([^,}]*\).*/\1/p" "$1/metrics.jsonl"; }
for name in loss grad_norm; do
  check "$name: $(value whole $name) in one pass, $(value passes $name) in four" \
    awk -v a="$(value whole $name)" -v b="$(value passes $name)" 'BEGIN { d = (a - b) / a; exit !(d < 1e-5 && d > -1e-5) }'
done

# Seeds; a folder that is replaced takes over nothing.
check "another seed" train -o killed --overwrite train.seed=1
check "another seed gave the same losses" eval '! cmp -s killed/metrics.jsonl whole/metrics.jsonl'
check "other clips" train -o killed --overwrite "data.size=[4, 8]" train.steps=2 train.warmup=1
check "the clips of the old run were kept" [ "$("$vkdit" data info killed/data.vkd | grep -c '2, 4, 8')" -eq 1 ]
check "the same seed again" train -o killed --overwrite
same "the same seed" killed whole

finish
