# vkdit fit and vkdit plan: files, numbers, and what each wrong command line or file is told.
. "$(dirname "$0")/../cli.bash"

# A table by the paper's law without noise: 5 sizes, 6 budgets, one diverged row.
awk 'BEGIN {
  print "run,params,tokens,loss,diverged"
  for (i = 0; i < 5; i++) for (j = 0; j < 6; j++) {
    n = 0.02 * 2.5 ^ i; t = 1 * 2 ^ j
    printf "r%d-%d,%.17g,%.17g,%.17g,0\n", i, j, n * 1e9, t * 1e9, 0.0373 * t ^ -0.2917 + 0.0082 * n ^ -0.3188 + 0.4856
  }
  print "r9,1e8,1e9,nan,1"
}' >"$folder/runs.csv"

out=$("$vkdit" fit "$folder/runs.csv" -o "$folder/a/b" --bootstrap 20 --holdout-largest)
note $? "fit"
has "$out" "30 of 31 rows fitted"
has "$out" "1 left out: marked diverged=1 in the table"
has "$out" "0.4856 + 0.0082*N^-0.3188 + 0.0373*T^-0.2917   billions of each"
has "$out" "C^0.47781 parameters"
for file in law.json report.html loss.svg residuals.svg isoflop.svg optimum.svg tradeoff.svg; do
  [ -s "$folder/a/b/$file" ]
  note $? "no $file"
done
[ "$(ls "$folder/a/b" | wc -l)" = 7 ]
note $? "stray files: $(ls "$folder/a/b")"
out=$("$vkdit" fit "$folder" -o "$folder/c" --bootstrap 0 --json)
note $? "fit of a folder, as JSON"
has "$out" '"law": "joint"'
has "$out" '"rows": 30'

out=$("$vkdit" plan "$folder/a/b/law.json" --params 1.07e9 --tokens 4e9)
has "$out" "0.518519"
out=$("$vkdit" plan paper --params 1.07e9 --tokens 1e10)
has "$out" "0.51268 "
out=$("$vkdit" plan paper --compute 1e22)
has "$out" "N_opt"
has "$out" "107.063x"
out=$("$vkdit" plan paper --inference-flops 1e16 --n-ctx 8192 --requests 4 --compute 1e21 --json)
has "$out" '"largest_params"'
has "$out" '"tradeoff"'

refused 2 "cannot open" fit "$folder/none.csv" -o "$folder/x"
refused 2 "--law huge is unknown" fit "$folder/runs.csv" -o "$folder/x" --law huge
refused 2 "no row has a batch_tokens and a lr" fit "$folder/runs.csv" -o "$folder/x" --law hyper
refused 2 "go together" fit "$folder/runs.csv" -o "$folder/x" --law hyper --fixed-lr 1e-3
refused 2 "--loss huge is unknown" fit "$folder/runs.csv" -o "$folder/x" --loss huge
refused 2 "--output" fit "$folder/runs.csv"
refused 2 "--delta" fit "$folder/runs.csv" -o "$folder/x" --delta 0
head -4 "$folder/runs.csv" >"$folder/short.csv"
refused 2 "3 usable rows" fit "$folder/short.csv" -o "$folder/x"
awk -F, -v OFS=, 'NR == 3 { $3 = "many" } { print }' "$folder/runs.csv" >"$folder/text.csv"
refused 2 "text.csv:3: column tokens: \"many\" is not a number" fit "$folder/text.csv" -o "$folder/x"
[ ! -e "$folder/x" ]
note $? "a refused fit left files"

refused 2 "ask with --compute" plan paper
refused 2 "go together" plan paper --params 1e9
refused 2 "needs --n-ctx" plan paper --inference-flops 1e15
refused 2 "none.json" plan "$folder/none.json" --compute 1e20
# law LINE: refused with TEXT
law() { printf '%s' "$1" >"$folder/law.json"; refused 2 "$2" plan "$folder/law.json" --compute 1e20; }
law '' "not JSON"
law '{"law":"joint"' "not JSON"
law '[]' 'no field "law"'
law '{"law":"lr","params":{"k":1}}' "planning needs a joint law"
law '{"law":"joint"}' "params: an object is needed"
law '{"law":"joint","params":{"E":1,"A":2,"alpha":0.3,"B":2}}' "params.beta is missing"
law '{"law":"joint","params":{"E":1,"A":2,"alpha":0.3,"B":2,"beta":"x"}}' "params.beta: a number is needed"
law '{"law":"joint","params":{"E":1,"A":2,"alpha":-0.3,"B":2,"beta":1}}' "parameter alpha is -0.3"
law '{"law":"joint","params":{"E":1,"A":2,"alpha":0.3,"B":2,"beta":1,"C":1}}' "C is no parameter"
good='"law":"joint","params":{"E":1,"A":2,"alpha":0.3,"B":2,"beta":0.3}'
law "{$good,\"interval\":{\"level\":2}}" "interval.level"
law "{$good,\"interval\":{\"level\":0.9,\"E\":[2,1]}}" "interval.E"
law "{$good,\"rows\":-1}" "rows:"
law "{$good,\"objective\":-1}" "objective:"
law "{$good,\"law\":\"joint\"}" "not JSON"

finish 30
