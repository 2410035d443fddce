#!/bin/bash
# vkdit data: synthetic, images, videos and latents in; every error is one line and exit code 2; nothing is left half-written.
set -u
vkdit=$(realpath "$1")
failed=0
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
cd "$temp" || exit 1

# expect EXIT_CODE WORDS ARGS...: WORDS (a fixed text) stands in the output; an error's last line is the only one 'vkdit: ...'.
expect() {
  local code=$1 words=$2 got
  shift 2
  "$vkdit" "$@" > out 2> err
  got=$?
  if [ $got -ne "$code" ] || ! cat out err | grep -qF -- "$words"; then
    echo "vkdit $*: exit $got (want $code), want '$words' in:" >&2
    cat out err >&2
    failed=1
  fi
  if [ "$code" -ne 0 ] && { [ "$(wc -l < err)" -ne 1 ] || [ -s out ] || ! grep -q '^vkdit: ' err; }; then
    echo "vkdit $*: an error must be one line 'vkdit: ...' on stderr alone:" >&2
    cat out err >&2
    failed=1
  fi
}

check() { # check WHAT COMMAND...: the command succeeds
  local what=$1
  shift
  "$@" || { echo "$what" >&2; failed=1; }
}

# Synthetic clips: the same twice, another seed differs.
expect 0 "40 clips" data build synthetic -o a.vkd --count 40 --frames 4 --size 16x24 -q
expect 0 "40 clips" data build synthetic -o b.vkd --count 40 --frames 4 --size 16x24 -q
expect 0 "40 clips" data build synthetic -o c.vkd --count 40 --frames 4 --size 16x24 --seed 1 -q
check "the same build gave another file" cmp -s a.vkd b.vkd
check "another seed gave the same file" eval '! cmp -s a.vkd c.vkd'
expect 0 "every checksum holds" data verify a.vkd
expect 0 "square-right" data info a.vkd
expect 0 '"heldout":' data info --json a.vkd
expect 0 "latent    [24, 2, 8, 12]" data info a.vkd
expect 0 "latent [3, 4, 16, 24]" data build synthetic -o p.vkd --count 2 --frames 4 --size 16x24 --codec pixel -q
expect 0 "latent [192, 1, 4, 6]" data build synthetic -o p.vkd --count 2 --frames 4 --size 16x24 --haar-levels 2,2 -q

# Damage.
head -c 3000 a.vkd > cut.vkd
expect 2 "truncated" data info cut.vkd
head -c 50 a.vkd > cut.vkd
expect 2 "corrupt" data info cut.vkd
{ head -c 150 a.vkd; printf '\377\376\375'; tail -c +154 a.vkd; } > bad.vkd
expect 0 "clips" data info bad.vkd
expect 2 "checksum" data verify bad.vkd
{ head -c 20 a.vkd; printf '\377'; tail -c +22 a.vkd; } > bad.vkd
expect 2 "corrupt" data info bad.vkd
echo "no data at all" > text.vkd
expect 2 "not a .vkd file" data verify text.vkd
: > empty.vkd
expect 2 "not a .vkd file" data verify empty.vkd
expect 2 "missing.vkd" data info missing.vkd

# Usage.
expect 2 "build, info or verify" data frob a.vkd
expect 2 "-o FILE.vkd" data build synthetic
expect 2 "--size" data build synthetic -o x.vkd --size 32
expect 2 "--size" data build synthetic -o x.vkd --size 0x32
expect 2 "height is 33" data build synthetic -o x.vkd --size 33x32 --haar-levels 1,1
expect 0 "latent [3, 3, 5, 7]" data build synthetic -o odd.vkd --size 5x7 --frames 3 --count 3 -q
expect 2 "--frames" data build synthetic -o x.vkd --frames 0
expect 2 "--codec" data build synthetic -o x.vkd --codec vae
expect 2 "--haar-levels" data build synthetic -o x.vkd --haar-levels 9,9
expect 2 "--holdout" data build synthetic -o x.vkd --holdout 1.5
expect 2 "cannot be mixed" data build synthetic a.vkd -o x.vkd
expect 2 "nowhere/x.vkd" data build synthetic -o nowhere/x.vkd
expect 2 "missing.avi" data build missing.avi -o x.vkd
mkdir -p hollow
expect 2 "no images or videos" data build hollow -o x.vkd
expect 2 "safetensors" data build text.safetensors -o x.vkd

# Images (PPM, written by hand) in class folders.
mkdir -p pictures/red pictures/blue
for i in 1 2 3; do
  { printf 'P6 4 2 255\n'; for _ in 1 2 3 4 5 6 7 8; do printf '\377\000\00%d' $i; done; } > pictures/red/r$i.ppm
  { printf 'P6 2 6 255\n'; for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do printf '\000\00%d\377' $i; done; } > pictures/blue/b$i.ppm
done
expect 0 "6 clips" data build pictures -o i.vkd --labels folder --size 8x8 -q
expect 0 "blue: 3 clips" data info i.vkd
expect 2 "one frame" data build pictures -o x.vkd --frames 8
printf 'file,label\nr1,7\nr2.ppm,10\n"b1.ppm",7\n' > labels.csv
expect 0 "6 clips" data build pictures -o i.vkd --labels labels.csv -q
expect 0 "1       10: 1 clips" data info i.vkd
printf 'r1\n' > labels.csv
expect 2 "line 1" data build pictures -o x.vkd --labels labels.csv
printf 'zzz,1\n' > labels.csv
expect 2 "no row names" data build pictures -o x.vkd --labels labels.csv
expect 2 "nolabels.csv" data build pictures -o x.vkd --labels nolabels.csv
expect 2 "notext.safetensors" data build pictures -o x.vkd --text notext.safetensors
echo "no picture" > pictures/red/broken.png
expect 2 "pictures/red/broken.png: no readable image" data build pictures -o x.vkd -q

# Videos.
echo "not a video" > fake.mp4
env PATH="$temp/hollow" "$vkdit" data build fake.mp4 -o x.vkd > out 2> err
got=$?
check "without ffmpeg: exit $got instead of 2" [ $got -eq 2 ]
check "without ffmpeg: $(cat err)" grep -q 'no program `ffmpeg` on PATH' err
check "without ffmpeg: more than one line" [ "$(wc -l < err)" -eq 1 ]
if command -v ffmpeg > /dev/null; then
  ffmpeg -v error -f lavfi -i testsrc=size=64x48:rate=10:duration=4 -c:v mpeg4 clip.mp4 || failed=1
  expect 0 "latent [24, 2, 8, 8]" data build clip.mp4 -o v.vkd --frames 4 --size 16x16 --stride 2 -q
  expect 0 "34 clips" data build clip.mp4 -o v.vkd --frames 4 --size 16x16 --stride 2 -q
  expect 0 "every checksum holds" data verify v.vkd
  expect 0 "10 clips" data build clip.mp4 -o v.vkd --frames 4 --size 16x16 --hop 4 -q
  expect 0 "3 clips" data build clip.mp4 -o v.vkd --frames 4 --size 16x16 --max-clips 3 -q
  expect 2 "40 frames, but a clip covers 41" data build clip.mp4 -o x.vkd --frames 41 --haar-levels 0,0 -q
  expect 2 "fake.mp4: no readable video; ffmpeg says: " data build fake.mp4 -o x.vkd
  head -c 700 clip.mp4 > cut.mp4
  expect 2 "cut.mp4: no readable video; ffmpeg says: " data build cut.mp4 -o x.vkd
  mkdir -p -- "films/a b" "films/-c"
  cp clip.mp4 "films/a b/it's; touch owned.mp4"
  cp clip.mp4 films/-c/-i.mp4
  expect 0 "20 clips" data build films -o v.vkd --frames 4 --hop 4 --labels folder -q
  expect 0 "a b: 10 clips" data info v.vkd
  check "a file's name was run by a shell" [ ! -e owned.mp4 ]
fi

check "something half-written was left behind: $(ls)" eval '! ls | grep -q tmp'
check "a failed build left x.vkd behind" [ ! -e x.vkd ]
exit $failed
