#!/bin/bash
# The packages that cpack makes hold what they should.
. "$(dirname "$0")/../cli.bash"

command -v dpkg-shlibdeps > /dev/null && command -v zstd > /dev/null || { echo "skipped: there is no dpkg-shlibdeps or no zstd" && exit 77; }
build=$(dirname "$vkdit")/..
grep -q '^VKD_SANITIZE:STRING=$' "$build/CMakeCache.txt" || { echo "skipped: packages are of builds without sanitizers" && exit 77; }
check "package.sh" cmake/package.sh "$build"
finish
