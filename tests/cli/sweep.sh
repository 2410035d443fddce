#!/bin/bash
# vkdit sweep: a sweep killed and started again, or spread over workers, makes the same table as one that ran through; what a wrong
# table is told; a law is fitted to what comes out.
. "$(dirname "$0")/../cli.bash"

cat >"$folder/micro.yaml" <<'X'
model: {patch: [1, 2, 2], freq_dim: 8, heads: 2, depth: 1}
data: {synthetic: true, count: 24, frames: 2, size: [8, 8], holdout: 0.3}
train: {steps: 12, schedule: constant, batch: 2, seed: 5}
eval: {every: 1, batch: 8}
checkpoint: {every: 3, keep: 1}
rows: {count: 3, from: 0.2}
grid:
  size:
    - {name: small, model.dim: 8}
    - {name: large, model.dim: 12, model.depth: 2}
  train.lr: [1e-3, 3e-3]
X
micro=$folder/micro.yaml

out=$("$vkdit" sweep "$micro" --dry-run)
note $? "dry run"
printf '%s' "$out" | grep -qE 'large-lr0.003 +4608 '
note $? "no N = 16 L d^2 = 4608 in: $out"

# Broken tables, each told with its line and the nearest name.
# bad TEXT LINE...: the table with its grid replaced
bad() {
  local text=$1
  shift
  { sed '/^grid:/,$d' "$micro"; printf '%s\n' "$@"; } >"$folder/bad.yaml"
  refused 2 "$text" sweep "$folder/bad.yaml" -o "$folder/x"
}
bad "bad.yaml:8: unknown key 'model.dmi'; did you mean 'model.dim'?" "grid:" "  model.dmi: [8]"
bad "bad.yaml:9: unknown key 'train.lrr'; did you mean 'train.lr'?" "grid:" "  size:" "    - {train.lrr: 1}"
bad "bad.yaml:7: unknown key 'gird'; did you mean 'grid'?" "gird:" "  model.dim: [8]"
bad "bad.yaml:8: unknown key 'samples.cuont'; did you mean 'count'?" "grid: {model.dim: [8]}" "samples: {cuont: 3}"
bad "bad.yaml:8: samples.count is '1.5'; a whole number" "grid: {model.dim: [8]}" "samples: {count: 1.5}"
bad "no 'grid:'" "# nothing"
bad "a list of values is needed" "grid: {model.dim: 8}"
bad "a list of values is needed" "grid: {model.dim: []}"
bad "are called" "grid: {model.dim: [8, 8]}"
bad "one configuration" "grid:" "  a: [{name: p, model.dim: 8}, {name: q, model.dim: 8}]"
bad "cell" "grid: {model.dim: [9]}"
refused 2 "train.lr is an axis" sweep "$micro" -o "$folder/x" train.lr=1
refused 2 "is part of an axis" sweep "$micro" -o "$folder/x" model.dim=8
refused 2 "no such file" sweep micor -o "$folder/x"
refused 2 "did you mean 'tiny'" sweep tinny -o "$folder/x"
refused 2 "-o DIR is needed" sweep "$micro"
[ ! -e "$folder/x" ]
note $? "a refused sweep left files"

# The reference.
"$vkdit" sweep "$micro" -o "$folder/a" -q 2>"$folder/stderr" >"$folder/out"
status=$?
skip_without_device "$folder/stderr"
note $status "sweep: $(cat "$folder/stderr")"
grep -q "4 of 4 runs done" "$folder/out"
note $? "summary: $(cat "$folder/out")"
[ "$(wc -l <"$folder/a/runs.csv")" = 13 ]
note $? "3 rows of each of 4 runs: $(cat "$folder/a/runs.csv")"
[ "$(cut -d, -f8 "$folder/a/runs.csv" | sed -n '2,4p' | tr '\n' ' ')" = "3 6 12 " ]
note $? "rows even in log tokens: $(cut -d, -f8 "$folder/a/runs.csv" | head -4 | tr '\n' ' ')"
[ ! -e "$folder/a/runs/small-lr0.001/data.vkd" ] && ls "$folder"/a/synthetic-*.vkd >/dev/null
note $? "one data set for all runs"

# Killed again and again, it still ends in the same table.
kills=0
for try in 1 2 3 4 5 6 7 8; do
  "$vkdit" sweep "$micro" -o "$folder/b" -q >/dev/null 2>&1 &
  child=$!
  sleep "0.$((3 + try % 5))"
  kill -9 "$child" 2>/dev/null && kills=$((kills + 1))
  wait "$child" 2>/dev/null
done
"$vkdit" sweep "$micro" -o "$folder/b" -q >"$folder/out" 2>&1
note $? "after $kills kills: $(cat "$folder/out")"
cmp "$folder/a/runs.csv" "$folder/b/runs.csv"
note $? "a killed sweep makes another table"
[ "$kills" -gt 0 ]
note $? "it was never killed"
before=$(cksum <"$folder/b/runs.csv")
"$vkdit" sweep "$micro" -o "$folder/b" -q >"$folder/out" 2>&1 && grep -q "4 by an earlier sweep" "$folder/out"
note $? "nothing was left to do: $(cat "$folder/out")"
[ "$before" = "$(cksum <"$folder/b/runs.csv")" ]
note $? "a finished sweep changed its table"
compgen -G "$folder/b/*tmp-*" && note 1 "a temporary file is left"

"$vkdit" sweep "$micro" -o "$folder/c" -q --workers 2 >"$folder/out" 2>&1
note $? "workers: $(cat "$folder/out")"
cmp "$folder/a/runs.csv" "$folder/c/runs.csv"
note $? "workers make another table"

# Another table in the same folder, only when asked; what is the same is kept.
sed 's/3e-3\]/3e-3, 1e-2]/' "$micro" >"$folder/more.yaml"
refused 2 "holds another sweep" sweep "$folder/more.yaml" -o "$folder/b"
"$vkdit" sweep "$folder/more.yaml" -o "$folder/b" -q --resume >"$folder/out" 2>&1 && grep -q "6 of 6 runs done (4 by an earlier sweep)" "$folder/out"
note $? "more cells: $(cat "$folder/out")"

# What an earlier version left, whose configurations had fewer fields, is kept.
sed -i '/"config":/s/log:.*",/",/' "$folder"/b/runs/*/cell.json
! grep -q '"config":.*log:' "$folder"/b/runs/*/cell.json && "$vkdit" sweep "$folder/more.yaml" -o "$folder/b" -q >"$folder/out" 2>&1 &&
  grep -q "6 of 6 runs done (6 by an earlier sweep)" "$folder/out"
note $? "cells of an earlier version: $(cat "$folder/out")"

# A run that diverges is recorded as such, and the sweep goes on: with lr * weight_decay = 1e4 every step multiplies the weights.
sed 's/\[1e-3, 3e-3\]/[100, 3e-3]/' "$micro" >"$folder/hot.yaml"
"$vkdit" sweep "$folder/hot.yaml" -o "$folder/d" -q train.weight_decay=100 >"$folder/out" 2>&1
note $? "diverging runs are no failure: $(cat "$folder/out")"
grep -q "4 of 4 runs done, 2 diverged" "$folder/out"
note $? "diverging: $(cat "$folder/out")"
[ "$(awk -F, '$9 == 1 { print $10 }' "$folder/d/runs.csv" | sort -u | tr '\n' ' ')" = "large-lr100 small-lr100 " ]
note $? "diverged=1: $(cat "$folder/d/runs.csv")"

grep -q '"why": "the held-out loss is not finite at step .*first in' "$folder/d/runs/small-lr100/summary.json"
note $? "diverged, but why? $(cat "$folder/d/runs/small-lr100/summary.json")"
"$vkdit" sweep "$folder/hot.yaml" -o "$folder/e" -q --workers 2 train.weight_decay=100 >"$folder/out" 2>&1
cmp "$folder/d/runs.csv" "$folder/e/runs.csv"
note $? "workers make another table of diverging runs"

"$vkdit" fit "$folder/b" -o "$folder/law" --bootstrap 0 >"$folder/out" 2>&1
status=$?
# So few steps may determine no law; the table itself must be understood.
[ $status = 0 ] || grep -q "determine no joint law" "$folder/out"
note $? "fit: $(cat "$folder/out")"

finish 25
