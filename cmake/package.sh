#!/bin/bash
# package.sh BUILD [ROOT...]: makes the packages of BUILD in BUILD/packages and checks what is in them.  For each ROOT, a folder with a bare Debian or
# Ubuntu, or a Debian suite that debootstrap fetches (root alone): installs them in a copy of it, and uses what they install.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=$(realpath "${1:?a build folder}")
shift
packages=$build/packages
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { echo "package: $*"; }
die() { say "$@" >&2 && exit 1; }
# need TEXT FILE WHAT: a line of the file begins so
need() { grep -q "^$1" "$2" || die "$3: no '$1' in: $(cat "$2")"; }

make_packages() {
  rm -rf "$packages"
  (cd "$build" && cpack > "$work/log" 2>&1) || die "cpack: $(cat "$work/log")"
  rm -rf "$packages/_CPack_Packages"
}

check_packages() {
  local dev program archive file
  program=$(echo "$packages"/vkdit_*.deb) dev=$(echo "$packages"/libvkdit-dev_*.deb) archive=$(echo "$packages"/vkdit-*.tar.zst)
  dpkg-deb -f "$program" > "$work/fields"
  for file in "Package: vkdit$" "Depends: .*libc6 (>= .*libvulkan1" "Recommends: mesa-vulkan-drivers, ffmpeg" "Section: science" "Maintainer: .*<.*>"; do
    need "$file" "$work/fields" "$program"
  done
  dpkg-deb -f "$dev" > "$work/fields"
  need "Depends: libvulkan-dev, libjansson-dev, libzstd-dev, libyaml-dev" "$work/fields" "$dev"
  dpkg-deb --fsys-tarfile "$program" | tar -t > "$work/files"
  for file in bin/vkdit share/man/man1/vkdit.1.gz share/doc/vkdit/copyright share/zsh/vendor-completions/_vkdit; do
    need "./usr/$file$" "$work/files" "$program"
  done
  tar -C "$work" -xf "$archive"
  file=$(basename "$archive" .tar.zst)
  "$work/$file/bin/vkdit" --version | grep -q '^vkdit ' || die "$archive: its program does not start"
  [ -e "$work/$file/lib/cmake/vkdit/vkditConfig.cmake" ] || die "$archive: no libraries"
  # glibc symbols tell which systems can run it.
  say "needs glibc $(objdump -T "$work/$file/bin/vkdit" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1 | sed s/GLIBC_//) or newer"
  (cd "$packages" && ls -l -- *.deb *.tar.zst) | awk '{print "package: " $9 ", " $5 " bytes"}'
}

# in_root COMMAND...: in $work/root, with /proc and /dev of its own mount namespace
in_root() {
  # shellcheck disable=SC2016
  unshare --mount --propagation private sh -c 'root=$1; shift; mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" && exec chroot "$root" "$@"' \
    sh "$work/root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

# What a user would do, first without a driver.
write_use() {
  cat << 'X'
set -eu
cd "$(mktemp -d)"
quiet() { "$@" > log 2>&1 || { cat log; echo "package: FAILED: $*"; exit 1; }; }
get="apt-get -q -y --no-install-recommends -o Dpkg::Options::=--force-unsafe-io"
quiet $get update
quiet $get install /packages/vkdit_*.deb
vkdit --version
quiet vkdit reproduce --help
awk 'BEGIN {
  print "params,tokens,loss"
  for (i = 0; i < 5; i++) for (j = 0; j < 6; j++) {
    n = 0.02 * 2.5 ^ i; t = 2 ^ j
    printf "%.17g,%.17g,%.17g\n", n * 1e9, t * 1e9, 0.0373 * t ^ -0.2917 + 0.0082 * n ^ -0.3188 + 0.4856
  }
}' > runs.csv
vkdit fit runs.csv -o law --bootstrap 0 | grep "0.4856 + 0.0082"
status=0
vkdit devices > log 2>&1 || status=$?
echo "without a driver: status $status, $(tail -n 1 log)"
quiet $get install mesa-vulkan-drivers
vkdit devices | head -n 3
quiet vkdit train tiny-video -o run data.synthetic=true data.count=16 train.steps=3 train.warmup=0 train.batch=2 eval.holdout=2 \
  data.frames=4 data.size=16,16 model.depth=1 model.dim=32 model.heads=2
quiet vkdit sample run -o out.gif --count 1 --steps 2
test -s out.gif
quiet $get install gcc libc6-dev cmake make pkg-config /packages/libvkdit-dev_*.deb
example=/usr/share/doc/libvkdit-dev/examples/train_line
test -e $example/main.c || { mkdir example && dpkg-deb -x /packages/libvkdit-dev_*.deb example && example=example$example; } # images leave out documentation
quiet cmake -S $example -B built
quiet cmake --build built
built/train_line | tail -n 2
cc $example/main.c -o train_line $(pkg-config --cflags --libs vkdit)
quiet ./train_line
quiet $get purge vkdit libvkdit-dev
test -z "$(find /usr -name '*vkdit*')"
quiet $get install zstd
tar -C /opt -xf /packages/vkdit-*.tar.zst
/opt/vkdit-*/bin/vkdit --version
quiet cmake -S /opt/vkdit-*/share/doc/vkdit/examples/train_line -B moved -DCMAKE_PREFIX_PATH="$(echo /opt/vkdit-*)"
quiet cmake --build moved
quiet moved/train_line
X
}

check_root() {
  local from=$1
  [ "$(id -u)" = 0 ] || die "$from: changing the root needs root"
  if ! [ -d "$from" ]; then
    from=$build/roots/$1
    if ! [ -e "$from/etc/os-release" ]; then
      say "fetching $1"
      debootstrap --variant=minbase "$1" "$from" > "$work/log" 2>&1 || die "debootstrap $1: $(tail -n 5 "$work/log")"
    fi
  fi
  # shellcheck source=/dev/null
  say "$(. "$from/etc/os-release" && echo "$PRETTY_NAME"): a bare root"
  rm -rf "$work/root"
  cp -a "$from" "$work/root"
  if [ -e /etc/resolv.conf ]; then cp -L /etc/resolv.conf "$work/root/etc/resolv.conf"; fi
  mkdir "$work/root/packages"
  cp "$packages"/*.deb "$packages"/*.tar.zst "$work/root/packages"
  write_use > "$work/root/use"
  in_root sh /use || die "$from: FAILED"
  say "$1: all of it works"
}

make_packages
check_packages
for root in "$@"; do check_root "$root"; done
