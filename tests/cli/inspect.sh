#!/bin/bash
# profile, verify, selftest and devices: what they print without a device, and their error texts.
. "$(dirname "$0")/../cli.bash"

refused 2 "not both" profile tiny-video --train --sample
refused 2 "uses no device" profile tiny-video --plan-only --runs 3
refused 2 "nosuch.yaml: " profile nosuch.yaml --plan-only
refused 2 "nosuch.vkd" profile tiny-video --plan-only data.path=nosuch.vkd
refused 2 "model.heads" profile tiny-video --plan-only model.heads=14 model.dim=98
refused 2 "give one of them" selftest --op gelu --compile-only
refused 2 "too few arguments" verify
refused 2 "too few arguments" profile

# The parts of the model add up to the whole, in FLOPs counted and in those of the formula; matmuls of self-attention and the
# feed-forward layer are what the formula counts.
cat > "$folder/model.yaml" << 'END'
model: {dim: 48, depth: 3, heads: 2, ffn_ratio: 4, patch: [1, 2, 2]}
data: {frames: 4, size: [12, 8]}
train: {steps: 1, batch: 6, micro_batch: 3}
END
if ! "$vkdit" profile "$folder/model.yaml" --plan-only --json > "$folder/profile.json" 2> "$folder/err"; then
  fail "profile --plan-only: $(cat "$folder/err")"
elif command -v python3 > /dev/null; then
  python3 - "$folder/profile.json" << 'END'
import json, sys
p = json.load(open(sys.argv[1]))
parts = {x["part"]: x for x in p["parts"]}
# n = 4*6*4 tokens, N = 16 L d^2, C_token = 3/4 N (7 + n/d)
n, d, layers, batch = 4 * 6 * 4, 48, 3, 6
want = 0.75 * 16 * layers * d * d * (7 + n / d) * n * batch
assert p["tokens"] == n * batch, p["tokens"]
assert abs(p["formula"] - want) <= 1e-9 * want, (p["formula"], want)
assert sum(x["counted"] for x in p["parts"]) == p["flops"] == sum(x["flops"] for x in p["ops"])
assert abs(sum(x["formula"] for x in p["parts"]) - p["formula"]) <= 1e-9 * want
for name in "self-attention projections", "feed-forward":
    assert parts[name]["counted"] == parts[name]["formula"] > 0, parts[name]
# keys and values of one row of context per clip: 4 d^2, three passes
extra = parts["cross-attention projections"]
assert extra["counted"] - extra["formula"] == 3 * 4 * d * d * layers * batch, extra
# scores and dout v' are computed again: 7 for 4 products of 2 n^2 d; dout . o costs 2 d per token
again = parts["self-attention"]
assert again["counted"] - again["formula"] == (3 * 2 * n * n * d + 2 * n * d) * layers * batch, again
m = p["memory"]
assert m["weights"] == m["gradients"] == m["gradient_sums"] == m["ema"] == m["moments"] / 2 >= 4 * p["params"]
assert 0 < m["activations"] < m["activations_raw"]
assert m["total"] == sum(v for k, v in m.items() if k not in ("total", "activations_raw"))
END
  note $? "profile --plan-only --json: numbers that do not add up"
else
  echo "not checked without python3: that the parts of a profile add up"
fi
if ! "$vkdit" profile "$folder/model.yaml" --plan-only --sample --nodes > "$folder/out" 2> "$folder/err" || ! grep -q "block2/ffn" "$folder/out"; then
  fail "profile --sample --nodes: $(cat "$folder/out" "$folder/err")"
fi

# Where there is a device: one line per device and per case, and broken cases.
if "$vkdit" devices > "$folder/out" 2> "$folder/err" && grep -q "^0: " "$folder/out"; then
  "$vkdit" selftest --op gelu > "$folder/out" 2> "$folder/err" && grep -q "^ok *gelu" "$folder/out" || fail "selftest --op gelu: $(cat "$folder/out" "$folder/err")"
  tail -n 1 "$folder/out" | grep -q "^PASS: .* 0 missed" || fail "selftest's last line: $(tail -n 1 "$folder/out")"
  "$vkdit" selftest --op gelu --jobs 3 > "$folder/jobs" 2> "$folder/err" || fail "selftest --jobs: $(cat "$folder/err")"
  diff <(sed '$d' "$folder/out") <(sed '$d' "$folder/jobs") > "$folder/err" || fail "results depend on the jobs: $(cat "$folder/err")"
  refused 2 "no self-test of an op 'nosuch'" selftest --op nosuch
  refused 2 "no such folder" verify "$folder/none"
  mkdir "$folder/case"
  refused 2 "case.json" verify "$folder/case"
  echo '{"family": "other"}' > "$folder/case/case.json"
  refused 2 'family "other" is not supported' verify "$folder/case"
  echo '{"family": "wan_t2v", "naming": "wan"}' > "$folder/case/case.json"
  refused 2 '"model": an object wanted' verify "$folder/case"
else
  echo "no device: selftest and verify are not looked at"
fi
finish 8
