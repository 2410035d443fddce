#!/bin/bash
# matrix.sh [--fast] [DRIVER...]: the self-test and the training tests on every Vulkan driver that a machine without a GPU can load,
# and every kernel compiled for GPUs that are not there; one table at the end.  Run by `./dev matrix`, which has built build/release.
# --fast: a few ops and two training tests on each driver that runs.
# Exit status: 0 when every line says pass.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
toolchain=${VKDIT_TOOLCHAIN:?where drivers are kept}
build=$root/build/release
out=$root/out/matrix
vkdit=$build/tools/vkdit
fast_ops="layernorm adamw" # seconds of compiling where others take minutes
jobs=${JOBS:-$(($(nproc) < 4 ? $(nproc) : 4))} # tests share one device and its memory
fast_tests='^train/(first_step|reference)$'

# name; run kernels, or compile them for a card; an environment variable or -; recipe of cmake/toolchain.sh with its arguments.
# Debian 12 serves as a source of old drivers on newer systems too.
drivers() {
  cat <<DRIVERS
lavapipe-22.3 run - lavapipe bookworm bookworm
lavapipe-25.0 run - lavapipe bookworm bookworm-backports
lavapipe-26 run - lavapipe trixie trixie-backports
lavapipe-26/4 run LP_NATIVE_VECTOR_WIDTH=128 lavapipe trixie trixie-backports
lavapipe-26/16 run LP_NATIVE_VECTOR_WIDTH=512 lavapipe trixie trixie-backports
swiftshader run - chromium bookworm
navi21 compile RADV_FORCE_FAMILY=navi21 radv trixie
navi31 compile RADV_FORCE_FAMILY=navi31 radv trixie
gfx1201 compile RADV_FORCE_FAMILY=gfx1201 radv trixie
DRIVERS
}

# The folder that a recipe with its arguments fills; two of them are those of ./dev setup.
prefix_of() {
  case $* in
  "lavapipe trixie trixie-backports" | "radv trixie") echo "$toolchain/$1-1" ;;
  *) echo "$toolchain/$1-${*: -1}-1" ;;
  esac
}

# on LAUNCHER PROGRAM ARGS...: through a launcher, or as it is
on() {
  local launcher=$1
  shift
  ${launcher:+"$launcher"} "$@"
}

# row NAME WHAT RESULT SECONDS DETAIL...
row() {
  local name=$1 what=$2 result=$3 seconds=$4
  shift 4
  printf '%-14s %-14s %-5s %5s s  %s\n' "$name" "$what" "$result" "$seconds" "$*" | tee -a "$out/table.txt"
}

# step NAME WHAT COMMAND...: runs it, its last line becomes the detail of its row
failed=0
step() {
  local name=$1 what=$2 begin=$SECONDS status=0 log
  shift 2
  log=$out/${name/\//-}.${what// /-}.txt
  "$@" > "$log" 2>&1 || status=$?
  if [ $status = 0 ]; then
    row "$name" "$what" pass $((SECONDS - begin)) "$(grep -E '^PASS:|tests passed|pipelines of' "$log" | tail -n 1)"
  else
    failed=1
    row "$name" "$what" FAIL $((SECONDS - begin)) "status $status, $log: $(grep -v '^$' "$log" | tail -n 1)"
  fi
}

selftest() {
  local launcher=$1 op
  if [ "$fast" = no ]; then
    on "$launcher" "$vkdit" selftest
  else
    for op in $fast_ops; do on "$launcher" "$vkdit" selftest --op "$op" || return 1; done
  fi
}

# The tests are told their launcher when they are configured.
training_tests() {
  cmake -S "$root" -B "$build" -DVKD_TEST_LAUNCHER="$1" > /dev/null
  if [ "$fast" = no ]; then
    ctest --test-dir "$build" -L '^train$' --timeout 1800 --parallel "$jobs" --output-on-failure --no-tests=error
  else
    ctest --test-dir "$build" -R "$fast_tests" --output-on-failure --no-tests=error
  fi
}

# check NAME KIND VARIABLE RECIPE ARGS...; in a subshell, so that what one driver needs does not reach the next
check() {
  local name=$1 kind=$2 variable=$3 launcher=
  shift 3
  "$root/cmake/toolchain.sh" "$1" "$(prefix_of "$@")" "${@:2}" || {
    row "$name" fetch FAIL 0 "$*"
    return 1
  }
  [ "$variable" = - ] || export "${variable?}"
  if [ "$1" = chromium ]; then
    VK_DRIVER_FILES=$(prefix_of "$@")/swiftshader.json
    export VK_DRIVER_FILES VK_ICD_FILENAMES=$VK_DRIVER_FILES
  else
    unset VK_DRIVER_FILES VK_ICD_FILENAMES
    launcher=$(prefix_of "$@")/bin/vkrun
  fi
  if [ "$kind" = compile ]; then
    step "$name" compile-only on "$launcher" "$vkdit" selftest --compile-only
  else
    step "$name" selftest selftest "$launcher"
    step "$name" "training tests" training_tests "$launcher"
  fi
  return $failed
}

fast=no
if [ "${1:-}" = --fast ]; then
  fast=yes
  shift
fi
mkdir -p "$out"
: > "$out/table.txt"
was=$(sed -n 's/^VKD_TEST_LAUNCHER:[A-Z]*=//p' "$build/CMakeCache.txt")
trap 'cmake -S "$root" -B "$build" -DVKD_TEST_LAUNCHER="$was" > /dev/null' EXIT
known=0
while read -r -a driver; do
  [ $# = 0 ] || [[ " $* " == *" ${driver[0]} "* ]] || continue
  known=$((known + 1))
  (check "${driver[@]}" < /dev/null) || failed=1
done < <(drivers)
[ $known -gt 0 ] || {
  echo "matrix: no driver of $*; there are $(drivers | cut -d ' ' -f 1 | paste -sd ' ')" >&2
  exit 2
}
echo
date -u +'%Y-%m-%d'
cat "$out/table.txt"
exit $failed
