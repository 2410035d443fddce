#!/bin/bash
# vkdit data: synthetic, images, videos and latents in; every error is one line and exit code 2; nothing is left half-written.
. "$(dirname "$0")/../cli.bash"
cd "$folder" || exit 1

# Synthetic clips: the same twice, another seed differs.
printed "40 clips" data build synthetic -o a.vkd --count 40 --frames 4 --size 16x24 -q
printed "40 clips" data build synthetic -o b.vkd --count 40 --frames 4 --size 16x24 -q
printed "40 clips" data build synthetic -o c.vkd --count 40 --frames 4 --size 16x24 --seed 1 -q
check "the same build gave another file" cmp -s a.vkd b.vkd
check "another seed gave the same file" eval '! cmp -s a.vkd c.vkd'
printed "every checksum holds" data verify a.vkd
printed "square-right" data info a.vkd
printed '"heldout":' data info --json a.vkd
printed "latent    [24, 2, 8, 12]" data info a.vkd
printed "latent [3, 4, 16, 24]" data build synthetic -o p.vkd --count 2 --frames 4 --size 16x24 --codec pixel -q
printed "latent [192, 1, 4, 6]" data build synthetic -o p.vkd --count 2 --frames 4 --size 16x24 --haar-levels 2,2 -q

# Damage.
head -c 3000 a.vkd > cut.vkd
refused 2 "truncated" data info cut.vkd
head -c 50 a.vkd > cut.vkd
refused 2 "corrupt" data info cut.vkd
{ head -c 150 a.vkd; printf '\377\376\375'; tail -c +154 a.vkd; } > bad.vkd
printed "clips" data info bad.vkd
refused 2 "checksum" data verify bad.vkd
{ head -c 20 a.vkd; printf '\377'; tail -c +22 a.vkd; } > bad.vkd
refused 2 "corrupt" data info bad.vkd
echo "no data at all" > text.vkd
refused 2 "not a .vkd file" data verify text.vkd
: > empty.vkd
refused 2 "not a .vkd file" data verify empty.vkd
refused 2 "missing.vkd" data info missing.vkd

# Usage.
refused 2 "build, info or verify" data frob a.vkd
refused 2 "-o FILE.vkd" data build synthetic
refused 2 "--size" data build synthetic -o x.vkd --size 32
refused 2 "--size" data build synthetic -o x.vkd --size 0x32
refused 2 "height is 33" data build synthetic -o x.vkd --size 33x32 --haar-levels 1,1
printed "latent [3, 3, 5, 7]" data build synthetic -o odd.vkd --size 5x7 --frames 3 --count 3 -q
refused 2 "--frames" data build synthetic -o x.vkd --frames 0
refused 2 "--codec" data build synthetic -o x.vkd --codec vae
refused 2 "--haar-levels" data build synthetic -o x.vkd --haar-levels 9,9
refused 2 "--holdout" data build synthetic -o x.vkd --holdout 1.5
refused 2 "cannot be mixed" data build synthetic a.vkd -o x.vkd
refused 2 "nowhere/x.vkd" data build synthetic -o nowhere/x.vkd
refused 2 "missing.avi" data build missing.avi -o x.vkd
mkdir -p hollow
refused 2 "no images or videos" data build hollow -o x.vkd
refused 2 "safetensors" data build text.safetensors -o x.vkd

# Images (PPM, written by hand) in class folders.
mkdir -p pictures/red pictures/blue
for i in 1 2 3; do
  { printf 'P6 4 2 255\n'; for _ in 1 2 3 4 5 6 7 8; do printf '\377\000\00%d' $i; done; } > pictures/red/r$i.ppm
  { printf 'P6 2 6 255\n'; for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do printf '\000\00%d\377' $i; done; } > pictures/blue/b$i.ppm
done
printed "6 clips" data build pictures -o i.vkd --labels folder --size 8x8 -q
printed "blue: 3 clips" data info i.vkd
refused 2 "one frame" data build pictures -o x.vkd --frames 8
printf 'file,label\nr1,7\nr2.ppm,10\n"b1.ppm",7\n' > labels.csv
printed "6 clips" data build pictures -o i.vkd --labels labels.csv -q
printed "1       10: 1 clips" data info i.vkd
printf 'r1\n' > labels.csv
refused 2 "line 1" data build pictures -o x.vkd --labels labels.csv
printf 'zzz,1\n' > labels.csv
refused 2 "no row names" data build pictures -o x.vkd --labels labels.csv
refused 2 "nolabels.csv" data build pictures -o x.vkd --labels nolabels.csv
refused 2 "notext.safetensors" data build pictures -o x.vkd --text notext.safetensors
loud=$'loud\033]0;x\a\r'
mkdir -p "loud/$loud" && cp pictures/red/r1.ppm "loud/$loud/" && cp pictures/red/r1.ppm "loud/$loud/$loud.ppm"
printed "2 clips" data build loud -o loud.vkd --labels folder --size 8x8 -q
printed "loud?]0;x??: 2 clips" data info loud.vkd
check "control characters of names reach the terminal" eval '! LC_ALL=C grep -q "[[:cntrl:]]" out'
echo "no picture" > pictures/red/broken.png
refused 2 "pictures/red/broken.png: no readable image" data build pictures -o x.vkd -q

# Videos.
echo "not a video" > fake.mp4
env PATH="$folder/hollow" "$vkdit" data build fake.mp4 -o x.vkd > out 2> err
got=$?
check "without ffmpeg: exit $got instead of 2" [ $got -eq 2 ]
check "without ffmpeg: $(cat err)" grep -q 'no program `ffmpeg` on PATH' err
check "without ffmpeg: more than one line" [ "$(wc -l < err)" -eq 1 ]
if command -v ffmpeg > /dev/null; then
  ffmpeg -v error -f lavfi -i testsrc=size=64x48:rate=10:duration=4 -c:v mpeg4 clip.mp4
  note $? "ffmpeg"
  printed "latent [24, 2, 8, 8]" data build clip.mp4 -o v.vkd --frames 4 --size 16x16 --stride 2 -q
  printed "34 clips" data build clip.mp4 -o v.vkd --frames 4 --size 16x16 --stride 2 -q
  printed "every checksum holds" data verify v.vkd
  printed "10 clips" data build clip.mp4 -o v.vkd --frames 4 --size 16x16 --hop 4 -q
  printed "3 clips" data build clip.mp4 -o v.vkd --frames 4 --size 16x16 --max-clips 3 -q
  refused 2 "40 frames, but a clip covers 41" data build clip.mp4 -o x.vkd --frames 41 --haar-levels 0,0 -q
  refused 2 "fake.mp4: no readable video; ffmpeg says: " data build fake.mp4 -o x.vkd
  head -c 700 clip.mp4 > cut.mp4
  refused 2 "cut.mp4: no readable video; ffmpeg says: " data build cut.mp4 -o x.vkd
  mkdir -p -- "films/a b" "films/-c"
  cp clip.mp4 "films/a b/it's; touch owned.mp4"
  cp clip.mp4 films/-c/-i.mp4
  printed "20 clips" data build films -o v.vkd --frames 4 --hop 4 --labels folder -q
  printed "a b: 10 clips" data info v.vkd
  check "a file's name was run by a shell" [ ! -e owned.mp4 ]
fi

check "something half-written was left behind: $(ls)" eval '! ls | grep -q tmp'
check "a failed build left x.vkd behind" [ ! -e x.vkd ]
finish 50
