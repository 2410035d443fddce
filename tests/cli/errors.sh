#!/bin/bash
# What goes wrong around training and sampling is told in one line on stderr, with exit code 2, and what is wrong in it.
set -u
vkdit=$(realpath "$1")
failed=0
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
cd "$temp" || exit 1

cat > tiny.yaml << 'YAML'
model: {dim: 32, depth: 1, heads: 2, patch: [1, 2, 2]}
data: {synthetic: true, count: 24, frames: 2, size: [8, 8], codec: pixel, holdout: 0.2}
train: {steps: 2, batch: 2}
YAML

fail() {
  echo "$*" >&2
  failed=1
}
refuse() { # refuse WORDS ARGS...: one line "vkdit: ..." with WORDS (a fixed text) on stderr, nothing on stdout, exit 2
  local words=$1 got
  shift
  "$vkdit" "$@" > out 2> err
  got=$?
  if [ $got -ne 2 ] || [ -s out ] || [ "$(wc -l < err)" -ne 1 ] || ! grep -q '^vkdit: ' err || ! grep -qF -- "$words" err; then
    fail "vkdit $*: exit $got (want 2), want one line with '$words':"
    cat out err >&2
  fi
}

# Needs no device.
export VK_DRIVER_FILES=/nonexistent VK_ICD_FILENAMES=/nonexistent VK_LOADER_DRIVERS_DISABLE='*' # the last: whatever a launcher sets
for command in "train tiny.yaml -o r" "sample r -o x.gif" "eval r --data v.vkd"; do refuse "Vulkan" $command; done
unset VK_DRIVER_FILES VK_ICD_FILENAMES VK_LOADER_DRIVERS_DISABLE
refuse "missing.yaml" train missing.yaml -o r
refuse "did you mean 'train.batch'?" train tiny.yaml -o r train.bath=2
refuse "no data" train tiny.yaml -o r data.synthetic=false
[ ! -e r ] || fail "a run that did not start left its folder"

if ! "$vkdit" train tiny.yaml -o run > out 2> err; then
  grep -q "no Vulkan d\|no usable device" err && echo "skipped: $(cat err)" && exit $((failed ? 1 : 77))
  fail "training: $(cat err)"
fi
refuse "no device '99'; there is 0:" train tiny.yaml -o r --device 99
refuse "no device 'zzz'; there is 0:" sample run -o x.gif --device zzz

# Data and memory
refuse "missing.vkd" train tiny.yaml -o r data.path=missing.vkd
head -c 900 run/data.vkd > cut.vkd
refuse "cut.vkd" train tiny.yaml -o r data.path=cut.vkd
refuse "cut.vkd" eval run --data cut.vkd
refuse "train.micro_batch=" train tiny.yaml -o r train.batch=1000000

# The run's folder
refuse "run holds a run already: --resume goes on with it" train tiny.yaml -o run
refuse "was made with model.dim=32, not 64" train tiny.yaml -o run --resume model.dim=64
refuse "already at step 2 of 1" train tiny.yaml -o run --resume train.steps=1 train.warmup=0
"$vkdit" data build synthetic -o other.vkd --count 24 --frames 2 --size 8x8 --codec pixel --seed 9 -q > out
refuse "was trained on other data" train tiny.yaml -o run --resume data.path=other.vkd
refuse "cannot" train tiny.yaml -o tiny.yaml/run

# Models
mkdir hollow
refuse "hollow: holds no .safetensors" sample hollow -o x.gif
touch hollow/config.yaml
refuse "hollow: holds no checkpoint yet" sample hollow -o x.gif
refuse "nowhere: cannot open it" sample nowhere -o x.gif
refuse "x.xyz: the ending tells the format" sample run -o x.xyz
refuse "the model has classes 0 to" sample run -o x.gif --label circel
refuse "nearest: unipc" sample run -o x.gif --sampler unipcc
refuse "these are: euler, dpm++, unipc" sample run -o x.gif --sampler ddim
refuse "trained without text" sample run -o x.gif --text run/checkpoints/step-000000002/weights.safetensors
newest=run/checkpoints/step-000000002
cp -r $newest good
printf 'x' | dd of=$newest/ema.safetensors bs=1 seek=900 conv=notrunc 2> dd.log
refuse "ema.safetensors is damaged" sample run -o x.gif
refuse "ema.safetensors is damaged" train tiny.yaml -o run --resume train.steps=4
head -c 500 good/ema.safetensors > $newest/ema.safetensors
refuse "ema.safetensors is damaged" eval run --data run/data.vkd
rm $newest/ema.safetensors
refuse "ema.safetensors: cannot be read: No such file" sample run -o x.gif
cp good/ema.safetensors $newest/
head -c 99 good/state.json > $newest/state.json
refuse "state.json" sample $newest -o x.gif
rm $newest/state.json
refuse "state.json" sample run -o x.gif
[ ! -e x.gif ] || fail "a failed command left its output"

[ $failed -eq 0 ] && echo "errors are told in one line"
exit $failed
