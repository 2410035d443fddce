#!/bin/bash
# A run that trains for a while: host memory, device memory and the processor's time per step stay as they were.
# VKD_LONG: how many seconds (20).  VKD_LONG_CSV: a file for the samples; its plot: build/PRESET/tests/plot FILE.csv > FILE.svg
. "$(dirname "$0")/../cli.bash"
cd "$folder" || exit 1
seconds=${VKD_LONG:-20}
csv=${VKD_LONG_CSV:-$folder/long.csv}
case $csv in /*) ;; *) csv=$OLDPWD/$csv ;; esac
ticks=$(getconf CLK_TCK)

cat > long.yaml << 'YAML'
model: {dim: 32, depth: 2, heads: 2, patch: [1, 2, 2]}
data: {synthetic: true, count: 200, frames: 4, size: [16, 16], codec: pixel}
train: {steps: 100000000, batch: 2, lr: 1e-3, schedule: constant, ema: 0.99}
eval: {every: 20, holdout: 4}
checkpoint: {every: 30, keep: 2} # the first one is pruned at step 90
YAML

# exec: the process that is watched is the one that trains
LP_NUM_THREADS=1 "$vkdit" -v train long.yaml -o run > out 2> err &
pid=$!
steps() { grep -c '"loss"' run/metrics.jsonl; }
ready() { [ -e run/metrics.jsonl ] && [ "$(steps)" -ge 100 ]; } # what comes once is over
until ready || ! kill -0 $pid 2> /dev/null; do sleep 0.1; done
if ! kill -0 $pid 2> /dev/null; then
  skip_without_device err
  fail "it ended at once: $(cat err)"
  finish
  exit
fi

# What a sample holds: seconds since the first, steps, KiB resident, bytes on the device, ticks of processor time.
sample() {
  local stat device
  device=$(sed -n 's/.*step [0-9]*: \([0-9]*\) bytes of device memory.*/\1/p' err | tail -n 1)
  stat=$(sed 's/.*) //' "/proc/$pid/stat")
  # shellcheck disable=SC2086
  set -- $stat
  echo "$(($(date +%s%N) / 1000000 - begin)) $(steps) $(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status") $device $((${12} + ${13}))"
}

begin=$(($(date +%s%N) / 1000000))
pause=$(awk -v s="$seconds" 'BEGIN { print s < 3600 ? s / 60 : 10 }')
elapsed() { echo $((($(date +%s%N) / 1000000 - begin) / 1000)); }
# on a slow device longer, until the thirds hold something
first=$(steps)
while [ "$(elapsed)" -lt "$seconds" ] || { [ $(($(steps) - first)) -lt 30 ] && [ "$(elapsed)" -lt $((seconds + 600)) ]; }; do
  kill -0 $pid 2> /dev/null || break
  sample >> samples
  sleep "$pause"
done
kill -TERM $pid
wait $pid
check "ended by SIGTERM: exit $?, $(cat out)" [ $? = 0 ]

# A row per time between two samples.  Times are of one step; other programs and pauses lengthen the one by the clock.
awk -v ticks="$ticks" '
  BEGIN { print "seconds,step,rss_mib,device_mib,ms_per_step,cpu_ms_per_step" }
  NR > 1 && $2 > step {
    printf "%.1f,%d,%.3f,%.3f,%.2f,%.2f\n", $1 / 1000, $2, $3 / 1024, $4 / 1048576, ($1 - at) / ($2 - step), 1000 / ticks * ($5 - cpu) / ($2 - step)
  }
  { at = $1; step = $2; cpu = $5 }' samples > "$csv"

# third COLUMN 1|3: the median of the first or last third
third() {
  local rows
  rows=$(($(wc -l < "$csv") - 1))
  tail -n +2 "$csv" | if [ "$2" = 1 ]; then head -n $((rows / 3)); else tail -n $((rows / 3)); fi | cut -d, -f"$1" | sort -g |
    awk '{ x[NR] = $1 } END { print x[int((NR + 1) / 2)] }'
}
# flat WHAT COLUMN MORE: the last third's median is at most the first's and MORE, an expression in x
flat() {
  local first last
  first=$(third "$2" 1)
  last=$(third "$2" 3)
  echo "$1: $first in the first third, $last in the last"
  check "$1 grew from $first to $last" awk -v x="$first" -v y="$last" "BEGIN { exit !(y <= $3) }"
}
check "samples: $(wc -l < "$csv")" [ "$(wc -l < "$csv")" -ge 20 ]
echo "$(tail -n 1 "$csv" | cut -d, -f2) steps in $(tail -n 1 "$csv" | cut -d, -f1) s; of a step, by the clock: $(third 5 1) ms in the first third, $(third 5 3) in the last"
flat "host memory, MiB" 3 "x + 1"
flat "device memory, MiB" 4 "x"
flat "processor time of a step, ms" 6 "x * 1.25" # the same work beside other programs: caches and clocks are shared
finish 3
