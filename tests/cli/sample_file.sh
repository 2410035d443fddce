#!/bin/bash
# vkdit sample from weight files: a run's weights give the same latents from the run and from a converted file, whatever the
# naming; the reference cases' samples come out of their weight files; and what is refused.
. "${0%/*}/../cli.bash"
cd "$folder" || exit 1
oracle=$OLDPWD/../shared/oracle

cat > tiny.yaml << 'YAML'
model: {dim: 32, depth: 1, heads: 2, patch: [1, 2, 2]}
data: {synthetic: true, count: 24, frames: 2, size: [8, 8], codec: pixel, holdout: 0.2}
train: {steps: 2, batch: 2}
YAML
if ! "$vkdit" train tiny.yaml -o run > out 2> err; then
  skip_without_device err
  note 1 "training: $(cat err)"
fi

# draw OUT ARGS...: two samples, their latents to OUT
draw() {
  local out=$1
  shift
  "$vkdit" sample "$@" -o "$out" --steps 3 --count 2 --seed 4 --shift 2 --cfg 2 -q > out 2> err
  note $? "sample $*: $(cat err)"
}
draw run.safetensors run
draw again.safetensors run
cmp -s run.safetensors again.safetensors
note $? "the same seed gives other samples"
for naming in wan comfyui diffusers; do
  "$vkdit" convert run -o model.safetensors --naming $naming -q > out 2> err
  note $? "convert run --naming $naming: $(cat err)"
  draw file.safetensors model.safetensors
  cmp -s run.safetensors file.safetensors
  note $? "a run and its weights in names of $naming give other samples"
done
draw raw.safetensors run --raw
"$vkdit" convert run -o model.safetensors --naming wan --raw -q > out 2> err
draw file.safetensors model.safetensors
cmp -s raw.safetensors file.safetensors && ! cmp -s raw.safetensors run.safetensors
note $? "raw weights and averaged ones"
for in in run/checkpoints/step-000000002 run/checkpoints/step-000000002/ema.safetensors; do
  draw file.safetensors $in
  cmp -s run.safetensors file.safetensors
  note $? "$in gives other samples than its run"
done

refused 2 "a run tells its model itself" sample run -o x.safetensors --heads 2
refused 2 "write .safetensors" sample model.safetensors -o x.gif -q
refused 2 "its metadata say 2 heads, --heads says 4" sample model.safetensors -o x.safetensors --heads 4 -q
refused 2 "the model was trained without text" sample model.safetensors -o x.safetensors --null-text run.safetensors -q
refused 2 "the model has classes 0 to" sample model.safetensors -o x.safetensors --label 99 -q
refused 2 "the model has 3 channels" sample model.safetensors -o x.safetensors --cfg-channels 4 -q

# What is not finite is found, and what is read is not written.
spoil() { cp "$1" "$2" && printf '\0\0\300\177' | dd of="$2" bs=1 seek=$(($(stat -c %s "$2") - 4)) conv=notrunc status=none; }
spoil model.safetensors nan.safetensors
refused 1 "numbers of the latents are not finite" sample nan.safetensors -o new.safetensors -q --steps 1
spoil run.safetensors noise.safetensors
refused 2 "is nan" sample model.safetensors -o new.safetensors --noise noise.safetensors --count 2 -q
[ ! -e new.safetensors ]
note $? "a file of samples that are not finite"
ln -s model.safetensors link.safetensors
for output in model.safetensors link.safetensors noise.safetensors; do
  refused 2 "is what is read" sample model.safetensors -o $output --noise noise.safetensors --count 2 -q
done

if [ ! -d "$oracle" ]; then
  echo "no reference cases in ../shared/oracle: those are not looked at"
elif ! command -v python3 > /dev/null; then
  echo "no python3: samples are not compared with the reference cases"
else
  # near GOT FILE TENSOR: the latents of GOT against the last ones of the stored steps, at most 2e-5 of the largest
  near() {
    python3 - "$@" << 'PY' 2> err
import json, struct, sys
def tensor(path, name):
    raw = open(path, "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    t = json.loads(raw[8:8 + n])[name]
    a, b = t["data_offsets"]
    return t["shape"], struct.unpack("<%df" % ((b - a) // 4), raw[8 + n + a:8 + n + b])
shape, got = tensor(sys.argv[1], "latents")
want = tensor(sys.argv[2], sys.argv[3])[1][-len(got):]
miss, scale = max(abs(a - b) for a, b in zip(got, want)), max(map(abs, want))
if not (len(got) > 100 and miss <= 2e-5 * scale): sys.exit("%s: %g of %g, shape %s" % (sys.argv[3], miss, scale, shape))
PY
    note $? "$(cat err)"
  }
  case=$oracle/wan_hd24
  for sampler in euler unipc dpm++; do
    "$vkdit" sample "$case/weights.safetensors" --heads 3 --text-len 8 --size 64x96 --frames 9 --text "$case/sample.safetensors" \
      --null-text "$case/sample.safetensors" --noise "$case/sample.safetensors" --cfg 5 --steps 8 --count 1 --sampler $sampler \
      -o x.safetensors -q > out 2> err
    note $? "sample wan_hd24 by $sampler: $(cat err)"
    tensor=$sampler
    [ $sampler = dpm++ ] && tensor=dpm
    near x.safetensors "$case/sample.safetensors" ${tensor}_x
  done
  # Shorter texts are padded with zeros: the same as the stored ones, which are.
  "$vkdit" sample "$case/weights.safetensors" -o y.safetensors --heads 3 --latent 3x8x12 --steps 1 --count 1 -q > out 2> err
  note $? "without text: $(cat err)"
  refused 2 "give the size of the videos" sample "$case/weights.safetensors" -o y.safetensors --heads 3 -q
  refused 2 "give it with --heads" sample "$case/weights.safetensors" -o y.safetensors
  refused 2 "is [1, 8, 32]; [1 to 4, 32], or several of these, is wanted" sample "$case/weights.safetensors" -o y.safetensors --heads 3 --latent 3x8x12 --text-len 4 \
    --text "$case/sample.safetensors" -q
  refused 2 "elements, 2 x 16 x 3 x 8 x 12 are wanted" sample "$case/weights.safetensors" -o y.safetensors --heads 3 --latent 3x8x12 \
    --count 2 --noise "$case/sample.safetensors" -q
fi
finish
