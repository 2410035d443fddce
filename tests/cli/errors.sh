#!/bin/bash
# What goes wrong around training and sampling is told in one line on stderr, with exit code 2, and what is wrong in it.
. "$(dirname "$0")/../cli.bash"
cd "$folder" || exit 1

cat > tiny.yaml << 'YAML'
model: {dim: 32, depth: 1, heads: 2, patch: [1, 2, 2]}
data: {synthetic: true, count: 24, frames: 2, size: [8, 8], codec: pixel, holdout: 0.2}
train: {steps: 2, batch: 2}
YAML

# Needs no device.
export VK_DRIVER_FILES=/nonexistent VK_ICD_FILENAMES=/nonexistent VK_LOADER_DRIVERS_DISABLE='*' # the last: whatever a launcher sets
for command in "train tiny.yaml -o r" "sample r -o x.gif" "eval r --data v.vkd"; do refused 2 "Vulkan" $command; done
unset VK_DRIVER_FILES VK_ICD_FILENAMES VK_LOADER_DRIVERS_DISABLE
refused 2 "missing.yaml" train missing.yaml -o r
refused 2 "did you mean 'train.batch'?" train tiny.yaml -o r train.bath=2
refused 2 "no data" train tiny.yaml -o r data.synthetic=false
check "a run that did not start left its folder" [ ! -e r ]

if ! "$vkdit" train tiny.yaml -o run > out 2> err; then
  skip_without_device err
  fail "training: $(cat err)"
fi
refused 2 "no device '99'; there is 0:" train tiny.yaml -o r --device 99
refused 2 "no device 'zzz'; there is 0:" sample run -o x.gif --device zzz

# Data and memory
refused 2 "missing.vkd" train tiny.yaml -o r data.path=missing.vkd
head -c 900 run/data.vkd > cut.vkd
refused 2 "cut.vkd" train tiny.yaml -o r data.path=cut.vkd
refused 2 "cut.vkd" eval run --data cut.vkd
refused 2 "train.micro_batch=" train tiny.yaml -o r train.batch=1000000

# The run's folder
refused 2 "run holds a run already: --resume goes on with it" train tiny.yaml -o run
refused 2 "was made with model.dim=32, not 64" train tiny.yaml -o run --resume model.dim=64
refused 2 "already at step 2 of 1" train tiny.yaml -o run --resume train.steps=1 train.warmup=0
"$vkdit" data build synthetic -o other.vkd --count 24 --frames 2 --size 8x8 --codec pixel --seed 9 -q > out
refused 2 "was trained on other data" train tiny.yaml -o run --resume data.path=other.vkd
refused 2 "cannot" train tiny.yaml -o tiny.yaml/run

# Models
mkdir hollow
refused 2 "hollow: holds no .safetensors" sample hollow -o x.gif
touch hollow/config.yaml
refused 2 "hollow: holds no checkpoint yet" sample hollow -o x.gif
refused 2 "nowhere: cannot open it" sample nowhere -o x.gif
refused 2 "x.xyz: the ending tells the format" sample run -o x.xyz
refused 2 "the model has classes 0 to" sample run -o x.gif --label circel
refused 2 "nearest: unipc" sample run -o x.gif --sampler unipcc
refused 2 "these are: euler, dpm++, unipc" sample run -o x.gif --sampler ddim
refused 2 "trained without text" sample run -o x.gif --text run/checkpoints/step-000000002/weights.safetensors
newest=run/checkpoints/step-000000002
cp -r $newest good
printf 'x' | dd of=$newest/ema.safetensors bs=1 seek=900 conv=notrunc 2> dd.log
refused 2 "ema.safetensors is damaged" sample run -o x.gif
refused 2 "ema.safetensors is damaged" train tiny.yaml -o run --resume train.steps=4
head -c 500 good/ema.safetensors > $newest/ema.safetensors
refused 2 "ema.safetensors is damaged" eval run --data run/data.vkd
rm $newest/ema.safetensors
refused 2 "ema.safetensors: cannot read it: No such file" sample run -o x.gif
cp good/ema.safetensors $newest/
head -c 99 good/state.json > $newest/state.json
refused 2 "state.json" sample $newest -o x.gif
rm $newest/state.json
refused 2 "state.json" sample run -o x.gif
check "a failed command left its output" [ ! -e x.gif ]

finish 30
