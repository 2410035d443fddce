#!/bin/bash
# vkdit devices: what a bug report needs is in the table and in the JSON, and the two agree.
. "$(dirname "$0")/../cli.bash"

refused 2 "unexpected" devices 0
"$vkdit" devices >"$folder/out" 2>"$folder/stderr"
status=$?
skip_without_device "$folder/stderr"
note $status "devices: $(cat "$folder/stderr")"
text=$(cat "$folder/out")
for part in "$("$vkdit" --version)" "0: " "   driver  " "version " ", Vulkan 1." "   ids  " "   workgroup  " "   dispatch  " \
  "   heap 0  " "the device's own" "   memory 0  " "   queues 0  " "; computes" "   timestamps  " \
  "   feature      buffer device address    " "   kernels  "; do
  has "$text" "$part"
done
# each row that cannot run has its reason
has "$text" " rows"
! grep -q "without .*: *$" "$folder/out"
note $? "a kernel row without a reason: $text"

if ! "$vkdit" devices --json >"$folder/json" 2>"$folder/stderr"; then
  fail "devices --json: $(cat "$folder/stderr")"
elif command -v python3 >/dev/null; then
  python3 - "$folder/json" "$folder/out" <<'END'
import json, sys
devices, text = json.load(open(sys.argv[1])), open(sys.argv[2]).read()
assert len(devices) == sum(line[0].isdigit() for line in text.splitlines()), text
for d in devices:
    assert f'{d["index"]}: {d["name"]} ({d["kind"]})' in text, d["name"]
    if not d["heaps"]: continue
    for key in "driver", "driver_info", "driver_version", "api", "pipelines": assert d[key] and d[key] in text, key
    assert f'vendor {d["vendor_id"]:04x}, device {d["device_id"]:04x}' in text
    usable = [k for k in d["kernels"] if k["usable"]]
    assert f'{len(usable)} of {len(d["kernels"])} rows' in text
    for k in d["kernels"]: assert k["usable"] or f'without {k["name"]}: {k["reason"]}' in text, k
    assert d["usable"] != ("unusable" in d)
    assert sum(f["computes"] for f in d["queue_families"]) == d["usable"], d["queue_families"]
    assert all(t["heap"] < len(d["heaps"]) for t in d["memory_types"])
    own = [h for h in d["heaps"] if h["device"]]
    assert d["memory_bytes"] == max(h["bytes"] for h in own)
    assert len(d["max_workgroup_size"]) == len(d["max_workgroup_count"]) == 3
    assert d["subgroup_size"] > 0 and d["max_push_bytes"] >= 128 and d["max_allocation"] > 0
    assert text.count("   feature  ") == len(devices) * len(d["abilities"])
    if d["usable"]: assert d["abilities"]["buffer_device_address"] and d["abilities"]["timeline_semaphore"]
END
  note $? "devices --json: does not agree with $text"
else
  echo "not checked without python3: that text and JSON agree"
fi
finish 15
