#!/bin/bash
# A sweep as a Slurm job array, against a cluster of this machine alone: what is submitted, and that the table is a local sweep's, although
# one run is told that its time is over, one is killed and one is cancelled.
. "$(dirname "$0")/../cli.bash"
. "$(dirname "$0")/../slurm.bash"
cd "$folder" || exit 1
export LP_NUM_THREADS=0

cat > grid.yaml << 'YAML'
model: {dim: 16, depth: 1, heads: 2, patch: [1, 2, 2]}
data: {synthetic: true, count: 12, frames: 2, size: [8, 8], codec: pixel}
train: {batch: 2, lr: 3e-3, warmup: 1, ema: 0.9}
eval: {every: 100, holdout: 2}
checkpoint: {every: 50, keep: 1}
grid:
  train.steps: [200, 250, 50, 150]
YAML
here="it's \$HOME 100% a sweep" # whatever a shell or Slurm would make of it
: > err
sweep() { "$vkdit" -q sweep grid.yaml "$@" > out 2> err; }

# ---- command lines ----
refused 2 "--retries is nothing without --slurm" sweep grid.yaml -o x --retries 2
refused 2 "--partition=gpu is for sbatch: nothing without --slurm" sweep grid.yaml -o x -- --partition=gpu
refused 2 "--array is the sweep's own" sweep grid.yaml -o x --slurm -- --array=3
refused 2 "of --only, --collect and --slurm one" sweep grid.yaml -o x --slurm --collect
refused 2 "-o DIR is needed" sweep grid.yaml --slurm --dry-run
refused 2 "--only: no run 'steps5'; did you mean 'steps50'?" sweep grid.yaml -o x --only steps5
refused 2 "'lr'" sweep grid.yaml -o x --slurm lr=1 -- --partition=gpu
check "a refused sweep left files" [ ! -e x ]

# ---- scripts ----
refused 1 "x/runs.csv holds 0 of 4 runs; the first that is not done: steps200" sweep grid.yaml -o x --collect train.weight_decay=0.1
check "scripts alone: $(cat err)" sweep -o x --slurm --dry-run --workers 3 --time-limit 90 "train.weight_decay=0.1" -- --gres=gpu:1 "--comment=it's"
check "something is submitted" [ ! -e x/slurm/jobs ]
check "what is printed is the script" cmp out x/slurm/submit.sh
check "submit: $(cat out)" grep -qF -- "submit --array=0-3%3 --time=90 --requeue --signal=B:USR1@120" out
check "the job that collects asks for a GPU" eval 'grep "dependency=" out | grep -v gres | grep -qF "comment"'
names() { sed -n '/^runs=(/,/^)/p' x/slurm/array.sh | tr -s ' \n' ' '; }
check "cheap first: $(names)" [ "$(names)" = "runs=( steps50 steps150 steps200 steps250 ) " ]
check "two elements: $(cat err)" sweep -o x --slurm --dry-run --jobs 2 train.weight_decay=0.1
check "shared out by their cost: $(names)" [ "$(names)" = "runs=( steps50,steps250 steps150,steps200 ) " ]
check "one run alone: $(cat err)" sweep -o x --only steps50 train.weight_decay=0.1
skip_without_device err
check "it makes a table" [ "$(wc -l < x/runs.csv)" = 1 ]
check "what is left, and for how long: $(cat err)" sweep -o x --slurm --dry-run train.weight_decay=0.1
check "three runs of ten minutes: $(cat out)" grep -qF -- "--array=0-2 --time=10 " out
echo '{"device": "x", "rows": [{"params": 4096, "tokens": 32, "gflops": 3e-4}]}' > rates.json
check "at a rate that was measured: $(cat err)" sweep -o x --slurm --dry-run train.weight_decay=0.1 --bench rates.json
# 15, 20 and 25 minutes, half as much again and five
check "a limit each: $(cat out)" eval 'grep -q "^submit --array=0-1 --time=40 " out && grep -q "^submit --array=2-2 --time=80 " out'
has "$(PATH=$folder/none "$vkdit" sweep grid.yaml -o x --slurm train.weight_decay=0.1 2>&1)" "no program \`sbatch\` on PATH"
check "another sweep" eval '! sweep -o x --only steps50'

skip_without_slurm
trap 'end_cluster; rm -rf "$folder"' EXIT
sweep -o reference --no-checkpoints || fail "a local sweep: $(cat err)"
begin_cluster || fail "no cluster: $(cat cluster/out cluster/*.log)"

sed 's/steps: \[/&10, 20, /' grid.yaml > six.yaml
printed "submit --array=0-3 " sweep six.yaml -o six --slurm --dry-run # as many elements as the cluster takes
refused 2 "Invalid partition name" sweep six.yaml -o six --slurm -- --partition=none

# ---- a sweep whose runs end in every way ----
is_empty() { ! squeue --me --noheader | grep -q .; }
# hold RUN: stops its process amid the run, between checkpoints
is_held() { [ "$(wc -l 2> /dev/null < "$here/runs/$1/metrics.jsonl")" -ge 60 ] 2> /dev/null && kill -STOP "$(owner "$1")"; }
owner() { cat "$here/runs/$1/.lock"; }
hold() { check "$1 did not begin" within 120 is_held "$1"; }
all_output() { cat "$here"/slurm/*.out; }

check "submitted: $(cat err)" sweep -o "$here" --slurm --workers 1
has "$(cat out)" "4 runs submitted as jobs 1 2,"
hold steps150
check "cancelled" scancel 1_1
hold steps200
check "killed" kill -KILL "$(owner steps200)"
hold steps250
# last: while elements are pending, scancel takes the signal of another for failed and sends it again
check "its time is over" scancel --batch --signal=USR1 1_3
kill -CONT "$(owner steps250)"
refused 2 "job 1 of this sweep is still in the queue; wait for it, or end it: scancel 1" sweep grid.yaml -o "$here" --slurm
check "the queue is not empty: $(squeue)" within 100 is_empty
saved=$(ls "$here/runs/steps150/checkpoints")
check "the cancelled run saved nothing after step 50: $saved" [ "${saved#step-}" -gt 50 ]
has "$(all_output)" "runs.csv holds 3 of 4 runs; the first that is not done: steps150"
for element in 2 3; do
  check "element $element did not go on" eval 'grep -q "restart 1 of 3" "$here/slurm/1_$element.out" && grep -q "^resuming from " "$here/slurm/1_$element.out"'
done

# ---- once more ----
rm -r "$here/runs/steps50" "$here/runs/steps200"
check "once more, two runs of three in one element: $(cat err)" sweep -o "$here" --slurm --jobs 2
has "$(cat out)" "3 runs submitted as jobs"
check "the queue is not empty: $(squeue)" within 100 is_empty
has "$(all_output)" "4 of 4 runs done"
check "runs.csv" cmp reference/runs.csv "$here/runs.csv"
for run in reference/runs/*; do
  check "$run: metrics" cmp "$run/metrics.jsonl" "$here/runs/$(basename "$run")/metrics.jsonl"
done
before=$(cat "$here/slurm/jobs")
check "nothing is left: $(cat err)" sweep -o "$here" --slurm
has "$(cat out)" "4 of 4 runs done (4 by an earlier sweep)"
check "something was submitted" [ "$before" = "$(cat "$here/slurm/jobs")" ]
check "something is in the queue" is_empty
[ $failed = 0 ] || tail -n 100 "$here"/slurm/*.out cluster/*.log

finish 40
