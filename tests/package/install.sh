#!/bin/bash
# What `cmake --install` leaves serves: the example is built against it through find_package and through pkg-config, also after the folder has moved, and trains;
# the man page and the completions work.
. "$(dirname "$0")/../cli.bash"

build=$(dirname "$vkdit")/..
cached() { sed -n "s/^$1:[A-Z]*=//p" "$build/CMakeCache.txt"; }
if [ -n "$(cached VKD_SANITIZE)" ]; then
  echo "skipped: a library with sanitizers does not link with programs without"
  exit 77
fi
cmake=$(cached CMAKE_COMMAND)
"$cmake" --install "$build" --prefix "$folder/first" > "$folder/log" || { cat "$folder/log" && exit 1; }
mv "$folder/first" "$folder/installed"
prefix=$folder/installed

for file in bin/vkdit share/man/man1/vkdit.1 share/bash-completion/completions/vkdit share/zsh/site-functions/_vkdit \
  share/fish/vendor_completions.d/vkdit.fish share/doc/vkdit/LICENSE share/doc/vkdit/examples/train_line/main.c include/vkdit/vkd/graph.h \
  include/vkdit/vkdm/objective.def; do
  check "$file" test -s "$prefix/$file"
done
has "$("$prefix/bin/vkdit" --version)" "vkdit $(cached CMAKE_PROJECT_VERSION)"

# trains NAME: the example ends well, or there is no device
trains() {
  # shellcheck disable=SC2086
  ${VKDIT_LAUNCHER:-} "$1" > "$folder/out" 2> "$folder/stderr"
  local status=$?
  if grep -q "no Vulkan d\|no usable device" "$folder/stderr"; then
    echo "not run, as there is no device: $1"
    return
  fi
  [ $status = 0 ] && grep -q "^trained: " "$folder/out"
  note $? "$1 -> $status, $(cat "$folder/out" "$folder/stderr")"
}

example=$prefix/share/doc/vkdit/examples/train_line
vulkan=$(cached Vulkan_INCLUDE_DIR) # where the build took another one than the system's
if "$cmake" -S "$example" -B "$folder/example" -DCMAKE_PREFIX_PATH="$prefix" ${vulkan:+"-DVulkan_INCLUDE_DIR=$vulkan"} > "$folder/log" 2>&1 &&
  "$cmake" --build "$folder/example" >> "$folder/log" 2>&1; then
  trains "$folder/example/train_line"
else
  fail "find_package: $(cat "$folder/log")"
fi

libdir=$(cached CMAKE_INSTALL_LIBDIR)
flags=$(PKG_CONFIG_PATH=$prefix/$libdir/pkgconfig pkg-config --cflags --libs vkdit)
# shellcheck disable=SC2086
if cc -std=c11 -Wall -Wextra -Werror "$example/main.c" -o "$folder/train_line" $flags 2> "$folder/log"; then
  trains "$folder/train_line"
else
  fail "pkg-config: $flags: $(cat "$folder/log")"
fi

# Every header, from C++ inside extern "C".
(cd "$prefix/include/vkdit" && find . -name '*.h' -printf '%P\n' | sort) > "$folder/headers"
sed 's/.*/#include "&"/' "$folder/headers" > "$folder/all.c"
# shellcheck disable=SC2086
check "the headers together" cc -std=c11 -Wall -Wextra -Werror -fsyntax-only "$folder/all.c" $flags
if command -v c++ > /dev/null; then
  { echo 'extern "C" {' && cat "$folder/all.c" && echo '} vkd_shape column() { return VKD_SHAPE(3, 1); }'; } > "$folder/all.cc"
  # shellcheck disable=SC2086
  check "the headers from C++" c++ -std=c++17 -fsyntax-only "$folder/all.cc" $flags
fi
check "the library's symbols" test "$(find "$prefix/$libdir" -maxdepth 1 -name 'libvkdit_*.a' | wc -l)" = 3
finish 13
