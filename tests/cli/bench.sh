#!/bin/bash
# bench of kernels, training steps and scaling, and a measured profile: what they refuse, and that their numbers agree.
. "$(dirname "$0")/../cli.bash"

refused 2 "known are matmul" bench kernels
refused 2 "unexpected argument 'x'" bench memory x
refused 2 "--svg is an option of \`vkdit bench\` scaling" bench train --svg "$folder/x.svg"
refused 2 "--only is an option of \`vkdit bench\` matmul, attention, memory, train" bench scaling --only 64
refused 2 "--config is an option of \`vkdit bench\` train, sample" bench matmul --config dit-s-2
refused 2 "--config is an option of" bench --config dit-s-2
refused 2 "--all is an option of" bench sample --config dit-s-2 --all
refused 2 "give one of them" bench matmul --json --save "$folder/x.json"
refused 2 "--save is an option of" bench sample --config dit-s-2 --save "$folder/x.json"
refused 2 "--max-tokens" bench scaling --max-tokens 7

"$vkdit" devices > "$folder/out" 2> "$folder/stderr"
skip_without_device "$folder/stderr"
refused 2 "no row's name contains 'nosuch'" bench matmul --only nosuch
if grep -q llvmpipe "$folder/out"; then refused 2 "take long on" bench train --only 24m-1024; fi
refused 2 "did you mean 'train.batch'" bench train train.bach=3
refused 2 "did you mean 'dit-s-2'" bench train --config dit-s-3
refused 2 "model.heads" bench scaling model.dim=15

if ! command -v python3 > /dev/null; then
  echo "not checked without python3: that the numbers of benchmarks agree"
  finish
  exit
fi
# agrees CHECKS ARGS...: JSON of a command, which CHECKS hold of
agrees() {
  local checks=$1
  shift
  "$vkdit" "$@" --json > "$folder/out" 2> "$folder/stderr" && python3 - "$folder/out" "$checks" << 'END'
import json, math, sys
b = json.load(open(sys.argv[1]))
rows = b.get("rows", [])
near = lambda x, y: math.isclose(x, y, rel_tol=1e-9)
def step(r):
    n, d = r["tokens"], r["dim"]
    assert near(r["flops"], 0.75 * 16 * r["depth"] * d * d * (7 + n / d) * n * r["batch"]), r
    assert near(r["gflops"] * r["ms"], r["flops"] * 1e-6) and r["flops_counted"] > r["flops"], r
    assert 0 < r["ms_min"] <= r["ms"] <= r["ms_max"] and r["runs"] == 2, r
    assert -1e-3 < r["host_share"] < 1 and r["startup_seconds"] > r["first_step_seconds"] > 0 < r["device_seconds"], r
    assert r["peak_bytes"] > 4 * 4 * r["params"] and math.isfinite(r["loss"]), r
    return True
def kernel(r):
    return r["ms"] > 0 and r["bytes"] > 0 and near(r["gflops"] * r["ms"], r["flops"] * 1e-6)
assert all(x != "rows" or rows for x in b)
assert eval("(" + sys.argv[2] + ")"), sys.argv[2]
END
  note $? "$*: $(cat "$folder/out" "$folder/stderr")"
}
tiny="model.dim=16 model.depth=1 --runs 2"
# shellcheck disable=SC2086
{
  agrees 'len(rows) == 2 and all(map(step, rows)) and {r["tokens"] for r in rows} == {256, 1024}' bench train --only 1.3m $tiny
  agrees 'len(rows) == 1 and rows[0]["batch"] == 6 and rows[0]["precision"] == "bf16" and step(rows[0])' bench train --only 6m-256 $tiny \
    train.batch=6 train.micro_batch=2 train.precision=bf16
  agrees 'len(rows) == 1 and rows[0]["tokens"] == 8 and step(rows[0])' bench train --config tiny-video --runs 2 model.dim=16 model.depth=1 \
    data.latent=3,2,4,4
  agrees 'len(rows) == 4 and all(map(step, rows)) and [r["name"] for r in rows] == ["tokens"] * 2 + ["batch"] * 2 and
          [r["tokens"] * r["batch"] for r in rows] == [64, 128, 256, 512] and b["law"]["seconds_worst"] >= 0 and
          all((r["name"] == "tokens") == (r["attention_share"] is not None) for r in rows)' \
    bench scaling --max-tokens 128 --max-batch 2 --svg "$folder/scaling.svg" $tiny
}
grep -q "^<svg" "$folder/scaling.svg" && ! grep -q "nan" "$folder/scaling.svg"
note $? "bench scaling --svg: $(head -c 300 "$folder/scaling.svg")"
agrees 'len(rows) == 1 and kernel(rows[0]) and (rows[0]["m"], rows[0]["n"], rows[0]["k"]) == (8, 2304, 384)' bench matmul --only 8x2304 --runs 1
agrees 'len(rows) == 6 and all(map(kernel, rows)) and {r["form"] for r in rows} == {"nn", "nt", "tn"} and
        len({r["flops"] for r in rows}) == 2' bench matmul --only 128x128 --runs 1
agrees '{r["op"] for r in rows} >= {"attention", "attention_dq", "attention_dkv"} and all(map(kernel, rows)) and rows[0]["dtype"] == "fp16"' \
  bench attention --only "fp16 4x4x1024x64" --runs 1
agrees '{r["op"] for r in rows} == {"gate_add", "row_scale", "sum_rows"} and all(near(r["gbytes"] * r["ms"], r["bytes"] * 1e-6) for r in rows) and
        all(near(r["percent_of_copy"], 100 * r["gbytes"] / b["copy_gbytes"]) for r in rows)' bench memory --only gate_add --runs 1

# --save: text as ever, and the JSON that --json would print
"$vkdit" bench matmul --only 8x2304 --runs 1 --save "$folder/rows.json" > "$folder/out" 2> "$folder/stderr" && grep -q "^matmul .* k   384 " "$folder/out" &&
  python3 -c 'import json, sys; assert len(json.load(open(sys.argv[1]))["rows"]) == 1' "$folder/rows.json"
note $? "bench --save: $(cat "$folder/out" "$folder/stderr")"

# The floors of a profile: FLOPs or bytes at the peaks, summed over nodes.
cat > "$folder/model.yaml" << 'END'
model: {dim: 48, depth: 2, heads: 2}
data: {latent: [4, 2, 8, 8]}
train: {steps: 1, batch: 2}
END
agrees 'b["peak_flops"] > 0 and b["peak_bytes"] > 0 and
        all(near(n["floor_ns"], 1e9 * max(n["flops"] / b["peak_flops"], n["bytes"] / b["peak_bytes"])) for n in b["nodes"])' \
  profile "$folder/model.yaml" --nodes --runs 1
agrees 'b["peak_flops"] == 0 == b["peak_bytes"] and all(x["floor_ns"] == 0 for x in b["ops"])' profile "$folder/model.yaml" --plan-only
agrees 'b["foretold"]["ranks"] == 2 and 0 < b["foretold"]["efficiency"] < 1 and
        near(2 * (b["foretold"]["forward_seconds"] + b["foretold"]["backward_seconds"]) + b["foretold"]["update_seconds"], 1e-9 * b["ns"]) and
        near(b["foretold"]["comm_seconds"], b["memory"]["gradients"] / 1.25e9 + 2 * 5e-6)' profile "$folder/model.yaml" --runs 1 --ranks 2 --network 10
refused 2 "--ranks goes by" profile "$folder/model.yaml" --sample --ranks 2
printed "furthest above their floors: " profile "$folder/model.yaml" --runs 1

# A trace of the same runs: each track in order, a run's ops inside what the host waited for, medians as in the table.
traced() { # traced RUNS ARGS...
  local runs=$1
  shift
  "$vkdit" profile "$folder/model.yaml" --json --runs "$runs" --trace "$folder/trace.json" --roofline "$folder/roof.svg" "$@" \
    >"$folder/out" 2>"$folder/stderr" && python3 - "$folder/out" "$folder/trace.json" "$runs" <<'END'
import json, statistics, sys
table, trace, runs = json.load(open(sys.argv[1])), json.load(open(sys.argv[2])), int(sys.argv[3])
tracks = {e["tid"]: e["args"]["name"] for e in trace["traceEvents"] if e["name"] == "thread_name"}
assert tracks == {1: "host", 2: "device: " + table["device"]}, tracks
events = [e for e in trace["traceEvents"] if e["ph"] == "X"]
assert all(e["dur"] >= 0 and e["ts"] >= 0 and e["pid"] == 1 for e in events)
host, ops = [[e for e in events if e["tid"] == t] for t in (1, 2)]
slack = 1e-3 # us, of sums in float64
for a, b in zip(ops, ops[1:]): assert b["ts"] >= a["ts"] + a["dur"] - slack, (a, b)
steps = [e for e in host if e["name"].startswith("run ")]
parts = len(steps) // runs
assert parts * runs == len(steps) and [e["name"] for e in steps] == ["run %d" % (i % runs + 1) for i in range(len(steps))]
seen, times, facts = 0, {}, {}
for k, step in enumerate(steps):
  inside = [e for e in ops if step["ts"] - slack <= e["ts"] and e["ts"] + e["dur"] <= step["ts"] + step["dur"] + slack]
  assert inside and abs(inside[0]["ts"] - step["ts"]) < slack
  seen += len(inside)
  for i, e in enumerate(inside):
    key = (k // runs, i, e["name"], e["args"]["layer"])
    times.setdefault(key, []).append(e["dur"] * 1e3 * step["args"]["of each, per step"])
    facts[key] = [x * step["args"]["of each, per step"] for x in (e["args"]["FLOPs"], e["args"]["bytes"])]
  own = [e for e in host if e is not step and step["ts"] <= e["ts"] < step["ts"] + step["dur"]]
  assert [e["name"] for e in own] == ["submit", "wait"] and abs(sum(e["dur"] for e in own) - step["dur"]) < slack
assert seen == len(ops) and all(len(t) == runs for t in times.values())
assert all(e["args"]["shape"] and e["args"]["type"] and e["args"]["dispatches"] > 0 for e in ops)
for row in table["ops"]:
  of = [k for k in times if k[2] == row["op"]]
  total = sum(sorted(times[k])[runs // 2] for k in of)
  assert abs(total - row["ns"]) <= 1e-9 * row["ns"] + 1e-3, (row, total)
  assert all(sum(facts[k][i] for k in of) <= row[name] * (1 + 1e-12) for i, name in enumerate(("flops", "bytes")))
assert abs(sum(sorted(t)[runs // 2] for t in times.values()) - table["ns"]) <= 1e-9 * table["ns"] + 1
names = [e["name"] for e in host if e not in steps]
assert {"weights", "graph, plan and pipelines", "warm-up and timed runs"} <= set(names), names
END
  note $? "the trace of profile $*: $(cat "$folder/stderr")"
  grep -q '>matmul</text>' "$folder/roof.svg" && grep -q 'GFLOP/s: peak' "$folder/roof.svg"
  note $? "the roofline of profile $*"
}
traced 1
traced 3 train.micro_batch=1
traced 2 --sample
refused 2 "measures nothing" profile "$folder/model.yaml" --plan-only --trace "$folder/t.json"
refused 2 "No such file" profile "$folder/model.yaml" --runs 1 --trace "$folder/none/t.json"
finish 20
