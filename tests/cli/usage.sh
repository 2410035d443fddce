#!/bin/bash
# The command line itself: help, version, unknown names with the nearest one, exit codes, one line per error, nothing on stdout.
set -u
vkdit=$1
failed=0
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT

# expect EXIT_CODE WORDS ARGS...: WORDS (a fixed text) stands in the output; an error is one line on stderr alone.
expect() {
  local code=$1 words=$2 got
  shift 2
  "$vkdit" "$@" > "$temp/out" 2> "$temp/err"
  got=$?
  if [ $got -ne "$code" ] || ! cat "$temp/out" "$temp/err" | grep -qF -- "$words"; then
    echo "vkdit $*: exit $got (want $code), want '$words' in:" >&2
    cat "$temp/out" "$temp/err" >&2
    failed=1
  fi
  if [ "$code" -ne 0 ] && { [ "$(wc -l < "$temp/err")" -ne 1 ] || [ -s "$temp/out" ] || ! grep -q '^vkdit: ' "$temp/err"; }; then
    echo "vkdit $*: an error must be one line 'vkdit: ...' on stderr alone:" >&2
    cat "$temp/out" "$temp/err" >&2
    failed=1
  fi
}

expect 0 "Commands:" --help
expect 0 "Commands:" -h
expect 0 "Commands:" help
expect 0 "vkdit 0." --version
expect 2 "no command given"
expect 2 "did you mean 'config'?" cofnig
expect 2 "unknown command 'zzzzzzzz'" zzzzzzzz
expect 2 "unknown option --frobnicate" --frobnicate config
expect 0 "Usage: vkdit config" config --help
expect 0 "Usage: vkdit config" help config
expect 2 "did you mean --output?" config tiny-video --ouptut x
expect 2 "unknown option --zzzzzzzz" config tiny-video --zzzzzzzz
expect 2 "unknown option -z" config tiny-video -z
expect 2 "needs a value" config tiny-video -o
expect 2 "needs a value" config tiny-video -o --list
expect 2 "takes no value" config --keys=3
expect 2 "given twice" config --keys --keys
expect 2 "not empty" config tiny-video --output=
expect 2 "too few arguments" config
expect 0 "tiny-video" config --list
expect 0 "train.lr" config --keys
expect 0 "A first model" config --show tiny-video
expect 2 "did you mean 'tiny-video'?" config tiny-vidoe
expect 2 "No such file" config missing.yaml
expect 2 "is 'fast'" config tiny-video train.lr=fast
expect 2 "did you mean 'train.lr'?" config tiny-video train.lrr=1
expect 2 "must come before" config train.lr=1 tiny-video

# Numbers and sizes are read whole, and within their range.
expect 2 "option --frames is a whole number, got '8x'" data build synthetic -o "$temp/v.vkd" --frames 8x
expect 2 "option --frames is a whole number, got '1.5'" data build synthetic -o "$temp/v.vkd" --frames=1.5
expect 2 "option --frames is 0, outside" data build synthetic -o "$temp/v.vkd" --frames 0
expect 2 "option --holdout is a number, got 'nan'" data build synthetic -o "$temp/v.vkd" --holdout nan
expect 2 "option --holdout is a number, got '1e999'" data build synthetic -o "$temp/v.vkd" --holdout 1e999
expect 2 "HEIGHTxWIDTH, as in 32x32, got '32'" data build synthetic -o "$temp/v.vkd" --size 32
expect 2 "got '0x32'" data build synthetic -o "$temp/v.vkd" --size 0x32
expect 2 "got '32x32 '" data build synthetic -o "$temp/v.vkd" --size "32x32 "

printf 'model:\n  dmi: 96\n' > "$temp/x.yaml"
expect 2 "x.yaml:2: unknown key 'model.dmi'; did you mean 'model.dim'?" config "$temp/x.yaml"
expect 2 "cannot create it" config tiny-video -o "$temp/missing/x.yaml"
expect 2 "is a folder" config tiny-video -o "$temp"

# The starter configuration that is carried inside is the file, and what is written reads back as itself.
"$vkdit" config --show tiny-video | cmp - assets/configs/tiny-video.yaml || failed=1
for config in assets/configs/*.yaml; do
  "$vkdit" config "$config" data.path=v.vkd -o "$temp/full.yaml" || failed=1
  "$vkdit" config "$temp/full.yaml" | cmp - "$temp/full.yaml" || failed=1
done
ls "$temp" | grep -q tmp- && echo "a temporary file is left" >&2 && failed=1

if [ -e /dev/full ]; then
  "$vkdit" config --keys > /dev/full 2> "$temp/err"
  [ $? -eq 1 ] && grep -q "standard output" "$temp/err" || { echo "a full disk under stdout goes unnoticed" >&2 && failed=1; }
fi

[ $failed -eq 0 ] && echo "the command line answers as it should"
exit $failed
