#!/bin/bash
# vkdit tune: what it refuses, and that a table is made, shown, taken by later runs and cleared.
. "$(dirname "$0")/../cli.bash"

refused 2 "not both" tune --list --clear
refused 2 "--list runs nothing" tune --list tiny-video
refused 2 "--clear runs nothing" tune --clear --runs 3
refused 2 "--clear prints no JSON" tune --clear --json
refused 2 "must come before 'train.batch=2'" tune train.batch=2 tiny-video
refused 2 "outside 1 to 1000" tune --runs 0

export VKD_CACHE_DIR=$folder/cache
cat >"$folder/model.yaml" <<'X'
model: {family: cross_dit, dim: 32, depth: 1, heads: 1, patch: [1, 2, 2], freq_dim: 16, text_len: 4, text_dim: 8}
data: {latent: [4, 2, 8, 8]}
train: {steps: 1, batch: 2}
X
"$vkdit" tune --list >"$folder/out" 2>"$folder/stderr"
status=$?
skip_without_device "$folder/stderr"
note $status "tune --list: $(cat "$folder/stderr")"
has "$(cat "$folder/out")" "tune-"
has "$(cat "$folder/out")" ": 0 entries"
refused 2 "did you mean 'tiny-video'" tune tiny-vidoe 2>/dev/null

if ! "$vkdit" tune "$folder/model.yaml" --runs 1 >"$folder/out" 2>"$folder/stderr"; then
  fail "tune: $(cat "$folder/out" "$folder/stderr")"
fi
if grep -q "nothing to choose" "$folder/out"; then
  echo "the device runs every op in one form"
  finish 8
  exit
fi
has "$(cat "$folder/out")" "matmul/nt/fp32/m6/n5/k5"
hasnt "$(cat "$folder/out")" "left out"
entries=$(sed -n 's/.*: \([0-9]*\) entries$/\1/p' "$folder/out")
file=$(echo "$VKD_CACHE_DIR"/tune-*.txt)
[ "$entries" -gt 5 ] && [ "$(wc -l <"$file")" = $((entries + 2)) ]
note $? "$entries entries in $file: $(cat "$file")"
printed "tuned        $entries entries in $file" devices
printed "matmul/nt/fp32/m6/n5/k5 " tune --list

# A later run takes what the table says, and tells it; edited lines go under a first line that fits them.
edit() {
  python3 - "$file" "$1" "$2" <<'X'
import re, sys
path, old, new = sys.argv[1:]
M = (1 << 64) - 1
P = [0x9e3779b185ebca87, 0xc2b2ae3d27d4eb4f, 0x165667b19e3779f9, 0x85ebca77c2b2ae63, 0x27d4eb2f165667c5]
rot = lambda x, r: (x << r | x >> (64 - r)) & M
lane = lambda acc, w: rot((acc + w * P[1]) & M, 31) * P[0] & M
def xxh64(d):
    word = lambda i, n: int.from_bytes(d[i:i + n], "little")
    i, h = 0, P[4]
    if len(d) >= 32:
        v = [(P[0] + P[1]) & M, P[1], 0, -P[0] & M]
        while i + 32 <= len(d):
            v = [lane(v[k], word(i + 8 * k, 8)) for k in range(4)]
            i += 32
        h = sum(rot(x, r) for x, r in zip(v, (1, 7, 12, 18))) & M
        for x in v: h = ((h ^ lane(0, x)) * P[0] + P[3]) & M
    h = (h + len(d)) & M
    while i + 8 <= len(d): h, i = (rot(h ^ lane(0, word(i, 8)), 27) * P[0] + P[3]) & M, i + 8
    if i + 4 <= len(d): h, i = (rot(h ^ word(i, 4) * P[0] & M, 23) * P[1] + P[2]) & M, i + 4
    while i < len(d): h, i = rot(h ^ d[i] * P[4] & M, 11) * P[0] & M, i + 1
    h = (h ^ h >> 33) * P[1] & M
    h = (h ^ h >> 29) * P[2] & M
    return h ^ h >> 32
head, body = open(path).read().split("\n", 1)
assert head == "vkdit cache 1 %016x %016x" % (len(body.encode()), xxh64(body.encode())), head
first, rest = body.split("\n", 1)
body = (first + "\n" + re.sub(old, new, rest)).encode()
open(path, "wb").write(b"vkdit cache 1 %016x %016x\n" % (len(body), xxh64(body)) + body)
X
}
if command -v python3 >"$folder/none"; then
  edit ' [a-z0-9_]+ ' ' tile '
  note $? "the table cannot be edited"
  printed "forms: matmul tile x" profile "$folder/model.yaml" --runs 1 -v
  printed "tune table $file: $entries entries" profile "$folder/model.yaml" --runs 1 -v
  VKD_FORM=none printed "forms: matmul tile x" profile "$folder/model.yaml" --runs 1
  edit ' tile ' ' nosuch '
  printed "forms: matmul " profile "$folder/model.yaml" --runs 1
  hasnt "$(cat "$folder/out")" "nosuch"
  edit '\Z' 'matmul/x'
  printed "warning: $file is not used: a line that is not" profile "$folder/model.yaml" --runs 1
fi
sed -i '3s/[0-9]$/x/' "$file"
printed "warning: $file is not used: it is damaged" profile "$folder/model.yaml" --runs 1
printed ": 0 entries" tune --list

# Candidates that cannot run are told and not chosen.
VKD_MEMORY_LIMIT=0.001 "$vkdit" tune "$folder/model.yaml" --runs 1 >"$folder/out" 2>"$folder/stderr"
[ $? = 1 ]
note $? "tune without memory: not exit 1"
has "$(cat "$folder/out")" "tile is left out: the step needs"
has "$(cat "$folder/stderr")" "were not chosen"

printed "$file is removed" tune --clear
[ ! -e "$file" ]
note $? "$file is still there"
VKD_CACHE_DIR="" refused 2 "no folder to keep the table in" tune "$folder/model.yaml" --json
if command -v python3 >"$folder/none"; then
  "$vkdit" tune "$folder/model.yaml" --runs 1 --json >"$folder/out" 2>"$folder/stderr" && python3 - "$folder/out" <<'X'
import json, sys
b = json.load(open(sys.argv[1]))
assert b["entries"] == len(b["buckets"]) > 5
for x in b["buckets"]:
    assert len(x["trials"]) > 1 and sum(t["usual"] for t in x["trials"]) == 1
    assert [t["form"] for t in x["trials"] if t["chosen"]] == [x["chosen"]]
    least = min(t["ns"] for t in x["trials"])
    for t in x["trials"]:
        assert 0 <= t["error"] <= x["tolerance"] < 1e-5 and t["ns"] > 0 and "failed" not in t
        assert not t["chosen"] or t["ns"] <= 1.03 * least, x
X
  note $? "tune --json: $(cat "$folder/stderr" "$folder/out")"
fi
finish 20
