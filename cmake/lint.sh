#!/bin/bash
# lint.sh BUILD [--fast]: static analysis of what BUILD/compile_commands.json compiles and of the scripts; anything found fails.  What is let pass
# stands in .clang-tidy, tests/.clang-tidy, cmake/cppcheck.supp and .shellcheckrc, each with its reason.  --fast: no paths through functions
# (clang-analyzer), which take nine tenths of the time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=${1:?a folder with compile_commands.json}
jobs=${JOBS:-$(nproc)}
fast=()
if [ "${2:-}" = --fast ]; then fast=(--checks=-clang-analyzer-*); fi
failed=0
# part NAME COMMAND...
part() {
  local name=$1 begin=$SECONDS
  shift
  if "$@"; then echo "lint: $name: clean, $((SECONDS - begin)) s" >&2; else echo "lint: $name: FAILED" >&2 && failed=1; fi
}

# Sources of the project's own: not those that the build writes, nor what only includes a library's.
sources() { sed -n 's/^ *"file": "\(.*\)",\{0,1\}$/\1/p' "$build/compile_commands.json" | sort -u | grep -v "^$PWD/build/\|/stb_image"; }
tidy() {
  sources | xargs -P "$jobs" -n 4 clang-tidy -p "$build" --quiet "${fast[@]}" 2> "$build/clang-tidy.err" || { grep -v 'warnings generated\|^Suppressed\|^Use ' "$build/clang-tidy.err" >&2; return 1; }
}
check() {
  mkdir -p "$build/cppcheck"
  cppcheck --project="$build/compile_commands.json" --cppcheck-build-dir="$build/cppcheck" -j "$jobs" --quiet --error-exitcode=1 --inline-suppr \
    --enable=warning,performance,portability --suppressions-list=cmake/cppcheck.supp -i "$build"
}
scripts() { git ls-files -z dev .ci/run '*.sh' '*.bash' | xargs -0 -P "$jobs" -n 8 shellcheck --severity=warning; }

part clang-tidy tidy
part cppcheck check
part shellcheck scripts
exit $failed
