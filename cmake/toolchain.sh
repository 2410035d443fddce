#!/bin/bash
# toolchain.sh glslc PREFIX SUITE
# toolchain.sh lavapipe|radv PREFIX SUITE [RELEASE], RELEASE being backports of SUITE
# A Debian suite's shader compiler or Vulkan driver, unpacked into PREFIX together with every
# library it needs, libc included, and started through its own dynamic loader.  Needs no root; nothing of the system changes.
#   glslc:    PREFIX/bin/glslc, PREFIX/include (Vulkan headers of that suite)
#   lavapipe: PREFIX/bin/vkrun PROGRAM ARGS... runs a program of this system on that driver; the validation layer comes along
#   radv:     likewise; with RADV_FORCE_FAMILY=navi31 (Mesa up to 25) it compiles for such a card without one, and runs nothing
# toolchain.sh chromium PREFIX SUITE
#   What Debian's browser ships beside itself: SwiftShader, a second software driver (PREFIX/swiftshader.json for VK_DRIVER_FILES),
#   and a recent validation layer (PREFIX/layer for VK_LAYER_PATH).  They run on the system's own libc, so SUITE is the system's.
# A PREFIX that is there is left as it is; what the tools say goes to PREFIX.log.
# Packages come from the Debian mirror of this system's apt configuration, or VKDIT_DEBIAN_MIRROR, and are checked against Debian's keys.
set -euo pipefail

what=${1:?glslc, lavapipe, radv or chromium} prefix=${2:?prefix}
shift 2
if [ -x "$prefix/bin" ]; then exit; fi
mkdir -p "$(dirname "$prefix")"
echo "toolchain: fetching $what of $* into $prefix" >&2
exec 3>&2 > "$prefix.log" 2>&1
# What a killed run left.
find "$(dirname "$prefix")" -maxdepth 1 -name '.new.*' -mmin +120 -exec rm -rf {} +
work=$(mktemp -d "$(dirname "$prefix")/.new.XXXXXX")
ended() {
  local status=$?
  rm -rf "$work"
  if [ $status != 0 ]; then echo "toolchain: $what failed: $(tail -n 1 "$prefix.log") (log: $prefix.log)" >&3; fi
}
trap ended EXIT
arch=$(dpkg --print-architecture)
new=$work/prefix

# Every mirror that serves this system's own release.
mirrors() {
  local codename
  # shellcheck source=/dev/null
  codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
  if [ -n "${VKDIT_DEBIAN_MIRROR:-}" ]; then
    echo "$VKDIT_DEBIAN_MIRROR"
  else
    apt-get update --print-uris | sed -n "s,^'\(.*\)/dists/$codename/InRelease'.*,\1,p" | awk '!seen[$0]++'
  fi
}

keyring() {
  local file
  for file in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
    if [ -e "$file" ]; then echo "$file" && return; fi
  done
  echo "toolchain: no Debian keyring under /usr/share/keyrings (package debian-archive-keyring)" >&2
  return 1
}

# apt_private ARGS...: apt-get with lists, cache and package status of its own
apt_private() {
  apt-get -q -y -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts="$work/none" \
    -o Dir::Etc::preferences="$work/none/preferences" -o Dir::Etc::preferencesparts="$work/none" \
    -o Dir::State::lists="$work/lists" -o Dir::State::status="$work/status" -o Dir::State::extended_states="$work/states" \
    -o Dir::Cache="$work/cache" -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o APT::Install-Recommends=false \
    -o APT::Sandbox::User=root -o APT::Update::Error-Mode=any -o Acquire::Languages=none -o Acquire::PDiffs=false -o Acquire::Retries=2 \
    -o Debug::NoLocking=true "$@"
}

# use_suite RELEASE...: the first mirror that has all of them
use_suite() {
  local mirror release key
  key=$(keyring)
  for mirror in $(mirrors); do
    rm -rf "$work"/{lists,cache,none,status,states}
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/none"
    : > "$work/status"
    for release in "$@"; do
      echo "deb [signed-by=$key] $mirror $release main"
    done > "$work/sources.list"
    if apt_private update; then return; fi
  done
  echo "toolchain: no mirror serves $*" >&2
  return 1
}

# unpack RELEASE PACKAGE...: the packages with all they depend on -> $new/root
unpack() {
  local release=$1 deb
  shift
  apt_private -t "$release" --download-only install "$@"
  mkdir -p "$new/root" "$new/bin"
  for deb in "$work"/cache/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$new/root" --exclude='./usr/share/doc' \
      --exclude='./usr/share/man' --exclude='./usr/share/locale' --exclude='./usr/share/X11' --exclude='*/gconv'
  done
  loader=$(cd "$new" && find root -name 'ld-linux*.so.?' | sort | head -n 1)
  triplet=$(cd "$new/root/usr/lib" && echo ./*-linux-gnu*)
  libs=$prefix/root/usr/lib/${triplet#./}:$prefix/root/lib/${triplet#./}
}

script() { cat > "$1" && chmod +x "$1"; }

glslc() {
  local suite=$1 deb
  use_suite "$suite"
  unpack "$suite" glslc
  (cd "$work" && apt_private download libvulkan-dev)
  for deb in "$work"/libvulkan-dev_*.deb; do dpkg-deb -x "$deb" "$work/headers"; done
  mkdir -p "$new/include"
  cp -r "$work"/headers/usr/include/{vulkan,vk_video} "$new/include/"
  script "$new/bin/glslc" <<X
#!/bin/sh
exec "$prefix/$loader" --library-path "$libs" "$prefix/root/usr/bin/glslc" "\$@"
X
  printf '#version 460\nvoid main() {}\n' | "$new/$loader" --library-path "${libs//$prefix/$new}" "$new/root/usr/bin/glslc" \
    -fshader-stage=comp -o "$work/out.spv" -
  echo "$suite" > "$new/suite"
}

# driver NAME SUITE [RELEASE]: NAME as in libvulkan_NAME.so
driver() {
  local name=$1 suite=$2 release=${3:-$2} dir
  use_suite "$suite" ${3:+"$release"}
  unpack "$release" mesa-vulkan-drivers libvulkan1 vulkan-validationlayers
  find "$new/root/usr/lib" -name 'libvulkan_*' ! -name "libvulkan_$name*" -delete
  dir=$prefix/root/usr/lib/${triplet#./}
  # The manifest of newer suites names the library bare; it must be found from programs started without the private loader too.
  sed "s,\"library_path\": *\"[^\"]*\",\"library_path\": \"$dir/libvulkan_$name.so\"," \
    "$new"/root/usr/share/vulkan/icd.d/"$name"_icd*.json > "$new/driver.json"
  script "$new/bin/vkrun" <<X
#!/bin/sh
# vkrun PROGRAM ARGS...: PROGRAM is an ELF file, by path or found in PATH
program=\$(command -v "\$1") || { echo "vkrun: \$1: not found" >&2; exit 127; }
shift
export VK_DRIVER_FILES="$prefix/driver.json" VK_ICD_FILENAMES="$prefix/driver.json"
export VK_LAYER_PATH="\${VK_LAYER_PATH:-$prefix/root/usr/share/vulkan/explicit_layer.d}"
exec "$prefix/$loader" --library-path "$libs:/usr/lib/${triplet#./}:/lib/${triplet#./}\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}" "\$program" "\$@"
X
  [ -e "$new/root/usr/lib/${triplet#./}/libvulkan_$name.so" ]
  echo "$release" > "$new/suite"
}

chromium() {
  local suite=$1 files=$work/chromium/usr/lib/chromium
  use_suite "$suite"
  (cd "$work" && apt_private download chromium-common)
  dpkg-deb -x "$work"/chromium-common_*.deb "$work/chromium"
  mkdir -p "$new/bin" "$new/layer"
  cp "$files"/libvk_swiftshader.so "$files"/libVkLayer_khronos_validation.so "$new/bin/"
  sed "s,\"library_path\": *\"[^\"]*\",\"library_path\": \"$prefix/bin/libvk_swiftshader.so\"," "$files/vk_swiftshader_icd.json" > "$new/swiftshader.json"
  cat > "$new/layer/khronos_validation.json" <<X
{"file_format_version": "1.2.0", "layer": {
  "name": "VK_LAYER_KHRONOS_validation", "type": "GLOBAL", "library_path": "$prefix/bin/libVkLayer_khronos_validation.so",
  "api_version": "1.4.0", "implementation_version": "1", "description": "Khronos validation layer",
  "instance_extensions": [{"name": "VK_EXT_debug_utils", "spec_version": "1"}]}}
X
  dpkg-deb -f "$work"/chromium-common_*.deb Version > "$new/suite"
}

case $what in
glslc) glslc "$@" ;;
lavapipe) driver lvp "$@" ;;
radv) driver radeon "$@" ;;
chromium) chromium "$@" ;;
*) echo "$what is not glslc, lavapipe, radv or chromium" && exit 2 ;;
esac
# Somebody else may have finished the same prefix meanwhile.
mv -T "$new" "$prefix" 2> /dev/null || [ -x "$prefix/bin" ]
