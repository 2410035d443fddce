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
[ "$entries" -gt 5 ] && [ "$(wc -l <"$file")" = $((entries + 1)) ]
note $? "$entries entries in $file: $(cat "$file")"
printed "tuned        $entries entries in $file" devices
printed "matmul/nt/fp32/m6/n5/k5 " tune --list

# A later run takes what the table says, and tells it.
sed -i '2,$s/ [a-z]* / tile /' "$file"
printed "forms: matmul tile x" profile "$folder/model.yaml" --runs 1 -v
printed "tune table $file: $entries entries" profile "$folder/model.yaml" --runs 1 -v
VKD_FORM=none printed "forms: matmul tile x" profile "$folder/model.yaml" --runs 1
sed -i '2,$s/ tile / nosuch /' "$file"
printed "forms: matmul " profile "$folder/model.yaml" --runs 1
hasnt "$(cat "$folder/out")" "nosuch"
echo "matmul/x" >>"$file"
printed "warning: $file is not used: a line that is not" profile "$folder/model.yaml" --runs 1
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
