#!/bin/bash
# vkdit verify on variants of a reference case: names under ComfyUI's prefix, no samples, and a wrong number in each file.
. "$(dirname "$0")/../cli.bash"
case=$PWD/../shared/oracle/wan_hd24
cd "$folder" || exit 1
[ -d "$case" ] || { echo "skipped: no reference cases in ../shared/oracle"; exit 77; }
command -v python3 > /dev/null || { echo "skipped: no python3 to change a case with"; exit 77; }

# variant NAME: the case with that change
variant() {
  python3 - "$case" "$1" << 'PY'
import json, os, struct, sys
case, name = sys.argv[1:]
prefix = "model.diffusion_model." if name == "prefix" else ""
os.mkdir(name)
info = json.load(open(case + "/case.json"))
for file in os.listdir(case):
    if not file.endswith(".safetensors") or (name == "without_sample" and file == "sample.safetensors"):
        continue
    raw = open(case + "/" + file, "rb").read()
    size = struct.unpack("<Q", raw[:8])[0]
    header, body = json.loads(raw[8:8 + size]), bytearray(raw[8 + size:])
    if file.split(".")[0] in ("weights", "grads", "adamw1", "adamw3"):
        header = {prefix + key: value for key, value in header.items()}
    if file == name + ".safetensors":  # a sign in the largest tensor, at its largest number
        begin, end = max((t["data_offsets"] for t in header.values()), key=lambda o: o[1] - o[0])
        numbers = struct.unpack("<%df" % ((end - begin) // 4), body[begin:end])
        at = begin + 4 * max(range(len(numbers)), key=lambda i: abs(numbers[i]))
        body[at + 3] ^= 0x80
    text = json.dumps(header).encode()
    open(name + "/" + file, "wb").write(struct.pack("<Q", len(text)) + text + body)
if prefix:
    checks = info["checks"]
    info["checks"] = {g: {prefix + k: v for k, v in c.items()} if isinstance(c, dict) else c for g, c in checks.items()}
if name == "without_sample":
    del info["sample"]
json.dump(info, open(name + "/case.json", "w"))
PY
}
for name in prefix without_sample; do
  variant $name
  "$vkdit" verify $name > out 2> err
  status=$?
  skip_without_device err
  note $status "$name: $(cat err)"
done
for name in weights io grads adamw1 sample trace; do
  variant $name
  "$vkdit" verify $name > out 2> err
  [ $? -eq 1 ] && grep -q MISS out && grep -q "comparisons missed" err
  note $? "a wrong number in $name.safetensors: $(cat err)"
done
finish
