#!/bin/bash
# fuzz.sh [SECONDS|--same] [TARGET...]: every fuzzer (tests/fuzz/targets/targets.def) for SECONDS (60) each, two at a time, one line each.
# Run by `./dev fuzz`, which has built build/fuzz.  Inputs that reach something new are kept in out/fuzz/TARGET/corpus and are where the
# next run begins; what a finding needs to be seen again is out/fuzz/TARGET/{crash,timeout,oom,leak}-*: it belongs into tests/fuzz/corpus/TARGET
# once it is mended.  VKDIT_FUZZ_JOBS: how many at a time.  --same: not for a time but as many inputs as targets.def says, about a minute's worth,
# from the seeds alone and the same ones every time (but for the names of temporary files), so that what is found comes from what was changed.
# Exit status: 0 when nothing was found.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
fuzzers=$root/build/fuzz/tests/fuzzers
out=$root/out/fuzz
table=$root/tests/fuzz/targets/targets.def
seconds=60 same=
if [ "${1:-}" = --same ]; then
  same=1
  shift
elif [[ ${1:-} =~ ^[0-9]+$ ]]; then
  seconds=$1
  shift
fi
# Files go through memory, not to a disk.
if [ -d /dev/shm ] && [ -w /dev/shm ]; then export TMPDIR=/dev/shm; fi
scratch=${TMPDIR:-/tmp}/vkdit-fuzz
if [ "$same" ]; then # paths are part of what a fuzzer sees
  mkdir "$scratch" || {
    echo "fuzz: $scratch is there: another such run is going on, or one was stopped and the folder can go" >&2
    exit 2
  }
else
  scratch=$(mktemp -d "$scratch-XXXXXX")
fi
trap 'rm -rf "$scratch"' EXIT
export TMPDIR=$scratch

# The words of the seeds, and what tests/fuzz/dictionaries adds.
dictionary() {
  cat "$root/tests/fuzz/dictionaries/$1" 2> /dev/null || true
  grep -hoaE '[A-Za-z_][A-Za-z_0-9.]{2,23}' "$root/tests/fuzz/corpus/$1"/* | LC_ALL=C sort -u | head -n 400 | sed 's/.*/"&"/' || true
}

# fuzz TARGET: its line; status 1 where something was found
fuzz() {
  local name=$1 here=$out/$1 found runs inputs status=0 corpus=$out/$1/corpus fixed=() until=(-max_total_time="$seconds" "$root/tests/fuzz/corpus/$1")
  if [ "$same" ]; then
    inputs=$(sed -n "s/^TARGET($name, \([0-9]*\)).*/\1/p" "$table")
    corpus=$scratch/$name
    if setarch -R true 2> /dev/null; then fixed=(setarch -R); fi # addresses too, where containers allow it
    until=(-seed=1 -runs="${inputs:?$name has none in targets.def}" -seed_inputs="$(printf '%s\n' "$root/tests/fuzz/corpus/$name"/* | LC_ALL=C sort | paste -sd ,)")
  fi
  mkdir -p "$here" "$corpus"
  dictionary "$name" > "$here/words"
  # a reader may take no more than 64 MiB at once, nor a minute (a busy machine stretches seconds)
  UBSAN_OPTIONS=print_stacktrace=1 VKDIT_TARGET_FOLDER=$scratch/$name.files "${fixed[@]}" "$fuzzers/$name" "$corpus" -dict="$here/words" \
    "${until[@]}" -timeout=60 -malloc_limit_mb=64 -rss_limit_mb=1024 -max_len=16384 -print_final_stats=1 \
    -artifact_prefix="$here/" > "$here/log.txt" 2>&1 || status=$?
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$here/log.txt")
  [ -n "$runs" ] || [ $status != 0 ] || status=1 # it ended for a reason that it did not tell
  found=$(sed -n 's/.*Test unit written to //p' "$here/log.txt" | tail -n 1)
  printf '%-12s %10s runs %5s s  coverage %5s  corpus %5s  %s\n' "$name" "$runs" \
    "$(sed -n 's/^Done [0-9]* runs in \([0-9]*\) second.*/\1/p' "$here/log.txt")" \
    "$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$here/log.txt" | tail -n 1)" \
    "$(sed -n 's/.* corp: \([0-9]*\)[^0-9].*/\1/p' "$here/log.txt" | tail -n 1)" \
    "$([ $status = 0 ] && echo nothing found || echo "FOUND ${found:-$here/log.txt} (status $status)")"
  return $((status != 0))
}

read -r -a targets <<< "${*:-$(sed -n 's/^TARGET(\([a-z]*\),.*/\1/p' "$table" | paste -sd ' ')}"
for name in "${targets[@]}"; do
  [ -x "$fuzzers/$name" ] || {
    echo "fuzz: no target $name; tests/fuzz/targets/targets.def lists them" >&2
    exit 2
  }
done
failed=0 running=0
for name in "${targets[@]}"; do
  if [ $running = "${VKDIT_FUZZ_JOBS:-2}" ]; then
    wait -n || failed=1
    running=$((running - 1))
  fi
  fuzz "$name" < /dev/null &
  running=$((running + 1))
done
for ((; running > 0; running--)); do wait -n || failed=1; done
exit $failed
