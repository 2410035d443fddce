#!/bin/bash
# Texts shorter than model.text_len are padded with zeros, as public models were trained: a run on short texts is, to the
# bit, the run on the same texts stored with the zeros.
. "$(dirname "$0")/../cli.bash"
cd "$folder" || exit 1
command -v python3 > /dev/null || { echo "skipped: no python3 to write texts with"; exit 77; }

python3 - << 'PY'
import json, random, struct
random.seed(3)
def save(path, tensors):
    header, body = {}, b""
    for name, (shape, values) in sorted(tensors.items()):
        data = struct.pack("<%df" % len(values), *values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    open(path, "wb").write(struct.pack("<Q", len(text)) + text + body)
draw = lambda n: [random.gauss(0, 1) for _ in range(n)]
short, padded = {}, {}
for i in range(6):
    save("c%d.safetensors" % i, {"latents": ([1, 2, 1, 4, 4], draw(32))})
    rows = 2 + i % 3
    values = draw(rows * 5)
    short["c%d" % i] = ([rows, 5], values)
    padded["c%d" % i] = ([7, 5], values + [0.0] * ((7 - rows) * 5))
save("short.safetensors", short)
save("padded.safetensors", padded)
PY
cat > run.yaml << 'YAML'
model: {dim: 16, depth: 1, heads: 2, patch: [1, 2, 2]}
train: {steps: 3, batch: 2, lr: 1e-2, cond_drop: 0.3}
YAML
for texts in short padded; do
  "$vkdit" data build c?.safetensors -o $texts.vkd --text $texts.safetensors --holdout 0.3 -q > out 2> err
  note $? "$(cat err)"
done
if ! "$vkdit" train run.yaml -o padded data.path=padded.vkd > out 2> err; then
  skip_without_device err
  fail "stored zeros: $(cat err)"
fi
"$vkdit" train run.yaml -o short data.path=short.vkd model.text_len=7 > out 2> err
note $? "short texts: $(cat err)"
"$vkdit" train run.yaml -o other data.path=short.vkd > out 2> err
note $? "texts as they are: $(cat err)"
weights=checkpoints/step-000000003/weights.safetensors
check "stored zeros make other weights" cmp short/$weights padded/$weights
! cmp -s other/$weights padded/$weights
note $? "the zeros make no difference"
"$vkdit" eval short --data short.vkd > a 2> err
note $? "eval: $(cat err)"
"$vkdit" eval padded --data short.vkd > b 2> err
note $? "eval: $(cat err)"
check "stored zeros give another loss" cmp a b
"$vkdit" train run.yaml -o x data.path=short.vkd model.text_len=3 > out 2> err
[ $? -eq 2 ] && grep -q "the data's text is 4 x 5" err
note $? "texts that are too long: $(cat err)"
finish
