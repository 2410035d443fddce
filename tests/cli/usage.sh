#!/bin/bash
# The command line itself: help, version, unknown names with the nearest one, exit codes, one line per error, nothing on stdout.
. "$(dirname "$0")/../cli.bash"

printed "Commands:" --help
printed "Commands:" -h
printed "Commands:" help
printed "vkdit 0." --version
refused 2 "no command given"
refused 2 "did you mean 'config'?" cofnig
refused 2 "unknown command 'zzzzzzzz'" zzzzzzzz
refused 2 "unknown option --frobnicate" --frobnicate config
printed "Usage: vkdit config" config --help
printed "Usage: vkdit config" help config
refused 2 "did you mean --output?" config tiny-video --ouptut x
refused 2 "unknown option --zzzzzzzz" config tiny-video --zzzzzzzz
refused 2 "unknown option -z" config tiny-video -z
refused 2 "needs a value" config tiny-video -o
refused 2 "needs a value" config tiny-video -o --list
refused 2 "takes no value" config --keys=3
refused 2 "given twice" config --keys --keys
refused 2 "not empty" config tiny-video --output=
refused 2 "too few arguments" config
printed "tiny-video" config --list
printed "train.lr" config --keys
printed "A first model" config --show tiny-video
refused 2 "did you mean 'tiny-video'?" config tiny-vidoe
refused 2 "No such file" config missing.yaml
refused 2 "is 'fast'" config tiny-video train.lr=fast
refused 2 "did you mean 'train.lr'?" config tiny-video train.lrr=1
refused 2 "must come before" config train.lr=1 tiny-video

# Numbers and sizes are read whole, and within their range.
refused 2 "option --frames is a whole number, got '8x'" data build synthetic -o "$folder/v.vkd" --frames 8x
refused 2 "option --frames is a whole number, got '1.5'" data build synthetic -o "$folder/v.vkd" --frames=1.5
refused 2 "option --frames is 0, outside" data build synthetic -o "$folder/v.vkd" --frames 0
refused 2 "option --holdout is a number, got 'nan'" data build synthetic -o "$folder/v.vkd" --holdout nan
refused 2 "option --holdout is a number, got '1e999'" data build synthetic -o "$folder/v.vkd" --holdout 1e999
refused 2 "HEIGHTxWIDTH, as in 32x32, got '32'" data build synthetic -o "$folder/v.vkd" --size 32
refused 2 "got '0x32'" data build synthetic -o "$folder/v.vkd" --size 0x32
refused 2 "got '32x32 '" data build synthetic -o "$folder/v.vkd" --size "32x32 "

printf 'model:\n  dmi: 96\n' > "$folder/x.yaml"
refused 2 "x.yaml:2: unknown key 'model.dmi'; did you mean 'model.dim'?" config "$folder/x.yaml"
refused 2 "cannot create it" config tiny-video -o "$folder/missing/x.yaml"
refused 2 "is a folder" config tiny-video -o "$folder"

# The starter configuration that is carried inside is the file, and what is written reads back as itself.
"$vkdit" config --show tiny-video | cmp - assets/configs/tiny-video.yaml
note $? "the starter configuration that is carried inside is another"
for config in assets/configs/*.yaml; do
  check "$config" "$vkdit" config "$config" data.path=v.vkd -o "$folder/full.yaml"
  "$vkdit" config "$folder/full.yaml" | cmp - "$folder/full.yaml"
  note $? "$config reads back as another"
done
check "a temporary file is left" eval '! ls "$folder" | grep -q tmp-'

if [ -e /dev/full ]; then
  "$vkdit" config --keys > /dev/full 2> "$folder/err"
  [ $? -eq 1 ] && grep -q "standard output" "$folder/err"
  note $? "a full disk under stdout goes unnoticed"
fi

finish 50
