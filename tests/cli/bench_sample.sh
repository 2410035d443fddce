#!/bin/bash
# Built-in models: their sizes to the unit, without a device.  bench sample: what it refuses, and that its numbers agree.
. tests/cli.bash

# NAME PARAMETERS, as the public code counts them (without the fixed position table)
while read -r name params; do
  for of in sample train; do
    "$vkdit" profile "$name" --plan-only --$of > "$folder/out" 2> "$folder/stderr"
    grep -q ": $params parameters," "$folder/out" && grep -q "^weights " "$folder/out" && grep -q "^total " "$folder/out"
    note $? "profile $name --plan-only --$of: $(head -1 "$folder/out")$(cat "$folder/stderr")"
  done
  "$vkdit" config --show "$name" | grep -q "$(sed ':a; s/\([0-9]\)\([0-9]\{3\}\)\($\|,\)/\1,\2\3/; ta' <<< "$params")"
  note $? "the comment of $name tells another number than $params"
done << 'END'
wan-1.3b 1418996800
wan-14b 14288491584
dit-s-2 32865056
dit-b-2 130315808
dit-l-2 457840672
dit-xl-2 674834720
END

# The parts of family dit add up too: nothing of cross-attention, and adaLN told apart.
if command -v python3 > /dev/null; then
  for of in sample train; do
    "$vkdit" profile dit-s-2 --plan-only --$of --json > "$folder/profile.json" && python3 - "$folder/profile.json" $of << 'END'
import json, sys
p = json.load(open(sys.argv[1]))
parts = {x["part"]: x for x in p["parts"]}
passes = 1 if sys.argv[2] == "sample" else 3
d, layers, n, batch = 384, 12, 256, p["batch"]
want = passes * layers * (8 * d * d + 4 * d * 4 * d + 4 * n * d) * n * batch
assert abs(p["formula"] - want) <= 1e-9 * want, (p["formula"], want)
assert sum(x["counted"] for x in p["parts"]) == p["flops"] == sum(x["flops"] for x in p["ops"])
assert abs(sum(x["formula"] for x in p["parts"]) - p["formula"]) <= 1e-9 * want
for name in "self-attention projections", "feed-forward":
    assert parts[name]["counted"] == parts[name]["formula"] > 0, parts[name]
for name in "cross-attention projections", "cross-attention":
    assert parts[name]["counted"] == parts[name]["formula"] == 0, parts[name]
assert parts["modulation per sample"]["counted"] == passes * 12 * d * d * layers * batch, parts["modulation per sample"]
END
    note $? "profile dit-s-2 --plan-only --$of --json: numbers that do not add up"
  done
fi

refused 2 "data.latent is a shape" train dit-s-2 -o "$folder/run"
refused 2 "has a 0" profile dit-s-2 --plan-only data.latent=4,0,32,32
refused 2 "4 values" profile dit-s-2 --plan-only data.latent=4,32,32
refused 2 "needs --config" bench sample
refused 2 "did you mean 'dit-s-2'" bench sample --config dit-s-3
refused 2 "not both" bench sample --config dit-s-2 --random-weights --weights "$folder/none.safetensors"
refused 2 "none.safetensors" bench sample --config dit-s-2 --weights "$folder/none.safetensors"
refused 2 "fp32, fp16 and bf16" bench sample --config dit-s-2 --precision fp8
refused 2 "--steps in place of --runs" bench sample --config dit-s-2 --runs 3
refused 2 "is an option of" bench matmul --cfg 2
refused 2 "unexpected argument 'x'" bench matmul x
refused 2 "known are matmul, attention, memory, train, scaling, sample" bench nosuch

if ! "$vkdit" devices 2> "$folder/stderr" | grep -q "^0: "; then
  echo "no device: bench sample is not run"
  exit $((failed > 0))
fi
if ! command -v python3 > /dev/null; then
  echo "not checked without python3: that the numbers of a benchmark agree"
  exit $((failed > 0))
fi

wan="wan-1.3b model.dim=48 model.depth=7 model.heads=2 model.ffn_ratio=3 model.text_dim=24 model.text_len=5 data.latent=4,3,6,4"
dit="dit-s-2 model.dim=48 model.depth=3 model.heads=2 model.classes=9 data.latent=4,1,8,8"
# agrees CHECKS ARGS...: one line of JSON, with what must hold of every benchmark and CHECKS of this one
agrees() {
  local checks=$1
  shift
  "$vkdit" bench sample --json --steps 2 --config "$@" > "$folder/out" 2> "$folder/stderr" &&
    [ "$(wc -l < "$folder/out")" = 1 ] && python3 - "$folder/out" "$checks" << 'END'
import json, math, sys
b = json.load(open(sys.argv[1]))
assert b["bench"] == "sample" and b["vkdit"] and b["device"] and b["driver"] and b["config"]
s, f = b["seconds_per_step"], b["flops_per_step"]
assert s > 0 and f > 0 and b["peak_tflops"] > 0
assert math.isclose(f / s, b["tflops"] * 1e12, rel_tol=1e-9)
assert math.isclose(b["peak_percent"], 100 * b["tflops"] / b["peak_tflops"], rel_tol=1e-9)
assert math.isclose(b["samples_per_hour"], 3600 * b["count"] / (s * b["usual_steps"]), rel_tol=1e-9)
assert b["passes_per_step"] == (1 if b["cfg"] == 1 else 2)
assert b["extrapolated_from_blocks"] or b["seconds_min"] <= s <= b["seconds_max"]
assert math.isfinite(b["output_rms"]) and b["output_rms"] > 0
m = b["memory"]
assert m["weights"] >= (4 if b["precision"] == "fp32" else 2) * b["params"]
if b["streamed"]:
    t = b["stream"]
    assert t["block_bytes"] > 0 and t["seconds_without_uploads"] > 0
    assert math.isclose(t["gbytes_per_second"], t["bytes_per_step"] / s * 1e-9, rel_tol=1e-9)
    assert math.isclose(t["share_of_step"], 1 - t["seconds_without_uploads"] / s, abs_tol=1e-9)
elif not b["extrapolated_from_blocks"]:
    assert m["allocated"] >= m["weights"]
assert eval(sys.argv[2]), sys.argv[2]
END
  note $? "bench sample --config $*: $(cat "$folder/out" "$folder/stderr")"
}
agrees 'b["family"] == "cross_dit" and not b["streamed"] and b["cfg"] == 5 and b["usual_steps"] == 50' $wan
agrees 'b["family"] == "dit" and b["cfg"] == 1 and b["count"] == 2 and b["tokens"] == 16' $dit --cfg 1 --count 2
# All blocks' weights pass in every step, and less memory is taken than the whole takes.
agrees 'b["streamed"] and b["memory"]["allocated"] < b["memory"]["weights"] and b["stream"]["bytes_per_step"] > 6 * b["stream"]["block_bytes"]' \
  $wan --stream --cfg 1
agrees 'b["extrapolated_from_blocks"] == [3, 6] and b["streamed"]' $wan --blocks 1 --stream
# Where the memory allowed is less than the weights' they are streamed without being asked to.
agrees 'b["streamed"] and b["memory"]["allocated"] < 9 << 20' wan-1.3b model.dim=192 model.depth=8 model.heads=2 model.ffn_ratio=4 \
  model.text_dim=16 model.text_len=4 data.latent=4,1,4,4 --memory-limit 16 --cfg 1
grep -q "do not fit the device: they are streamed" "$folder/stderr"
note $? "streaming is told: $(cat "$folder/stderr")"
refused 2 "streaming needs" bench sample --config wan-1.3b model.dim=256 model.depth=8 model.heads=2 model.ffn_ratio=4 model.text_dim=16 \
  model.text_len=4 data.latent=4,1,4,4 --memory-limit 8 --cfg 1 -q

# Samples of a weight file are the same to the bit, streamed or not; asked for, or where it does not fit.
cat > "$folder/tiny.yaml" << 'END'
model: {family: dit, dim: 192, depth: 6, heads: 2, patch: [1, 2, 2], classes: 12}
data: {synthetic: true, count: 24, frames: 1, size: [8, 8], codec: pixel, holdout: 0.2}
train: {steps: 2, batch: 2, lr: 1e-3}
END
"$vkdit" train "$folder/tiny.yaml" -o "$folder/run" -q > "$folder/out" 2>&1
file=$(echo "$folder"/run/checkpoints/*/weights.safetensors)
sampled() { # OUT ARGS...
  local out=$1
  shift
  "$vkdit" sample "$file" -o "$folder/$out.safetensors" --steps 3 --cfg 2 --count 2 --heads 2 --seed 4 "$@" > "$folder/out" 2> "$folder/stderr"
}
sampled plain && ! grep -q "streamed" "$folder/stderr"
note $? "sample of a weight file: $(cat "$folder/out" "$folder/stderr")"
for how in --stream "--memory-limit 9"; do
  rm -f "$folder/other.safetensors"
  # shellcheck disable=SC2086
  sampled other $how && grep -q "streamed block by block" "$folder/stderr" && cmp "$folder/plain.safetensors" "$folder/other.safetensors"
  note $? "sample $how differs: $(cat "$folder/out" "$folder/stderr")"
done
"$vkdit" profile "$file" --plan-only --sample --heads 2 > "$folder/out" 2> "$folder/stderr" &&
  grep -q "^forward pass of 1: .* d 192, 6 layers, 2 heads, ffn 768, 16 tokens of 3 x 1 x 8 x 8" "$folder/out"
note $? "profile of a weight file: $(head -1 "$folder/out")$(cat "$folder/stderr")"
refused 2 "only train.KEY=VALUE" profile "$file" --plan-only --heads 2 model.dim=4 -q
refused 2 "data.latent" profile dit-s-2 --plan-only --latent 1x8x8
refused 2 "--stream is of weight files" sample "$folder/run" -o "$folder/x.safetensors" --stream

finish
