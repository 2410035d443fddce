# vkdit fit --law hyper|all: printed and written laws, refusals in words, and what plan reads of them.
. "$(dirname "$0")/../cli.bash"

# Exact bowls on B = 30 T^.6 N^-.3, lr = 60 T^.2 N^-.75 over 3 sizes x 3 budgets; one more size whose batches are all
# too large, and a diverged run.
awk 'BEGIN {
  print "params,tokens,loss,batch_tokens,lr,diverged"
  for (i = 0; i < 4; i++) for (j = 0; j < 3; j++) {
    n = 1e8 * 2 ^ i; t = 1e10 * 2 ^ j
    b = 30 * t ^ 0.6 * n ^ -0.3; r = 60 * t ^ 0.2 * n ^ -0.75
    for (k = 0; k < 7; k++) for (m = 0; m < 7; m++) {
      x = (k - (i == 3 ? -1 : 3.2)) * 0.4; y = (m - 2.9) * 0.4
      printf "%.17g,%.17g,%.17g,%.17g,%.17g,0\n", n, t, \
        (1.5 + 400 * n ^ -0.35 + 2000 * t ^ -0.37) * exp(0.006 * x * x + 0.002 * x * y + 0.007 * y * y), \
        b * exp(x), r * exp(y)
    }
  }
  print "1e8,1e10,nan,1e6,1,1"
}' >"$folder/runs.csv"

out=$("$vkdit" fit "$folder/runs.csv" -o "$folder/a" --law all --bootstrap 20 --compute 1e20)
note $? "fit --law all"
has "$out" "marked diverged=1 in the table"
has "$out" "12 (params, tokens) cells hold runs at several batches or learning rates"
has "$out" "12 of 589 rows fitted"
has "$out" "refused: minimum at the smallest batch"
has "$out" "Hyperparameter laws of 9 accepted cells"
has "$out" "T^0.600000 * N^-0.300000"
has "$out" "T^0.200000 * N^-0.750000"
has "$out" "from 20 resamples of 9 groups of cells"
has "$out" "Fixed against optimal hyperparameters"
for file in law.json report.html loss.svg; do
  [ -s "$folder/a/$file" ]
  note $? "no $file"
done
out=$("$vkdit" plan "$folder/a/law.json" --compute 1e20)
note $? "plan with the law of --law all"
out=$("$vkdit" fit "$folder/runs.csv" -o "$folder/b" --law hyper --bootstrap 0 --json --fixed-batch 2e6 --fixed-lr 1e-3)
note $? "fit --law hyper"
has "$out" '"law": "batch"'
has "$out" '"law": "lr"'
has "$out" '"tokens_exp": 0.'
has "$out" '"refused": "minimum at the smallest batch"'
[ "$(ls "$folder/b" | paste -sd' ')" = "bowls.svg hyper-params.svg hyper-tokens.svg law.json report.html" ]
note $? "stray files: $(ls "$folder/b")"
refused 2 "planning needs a joint law" plan "$folder/b/law.json" --compute 1e20

# One size: no exponent of N, unless it is held.
awk -F, 'NR == 1 || $1 == 1e8' "$folder/runs.csv" >"$folder/one.csv"
out=$("$vkdit" fit "$folder/one.csv" -o "$folder/c" --law hyper --bootstrap 0)
note $? "fit of one size"
has "$out" "no law: too few cells have an optimum"
out=$("$vkdit" fit "$folder/one.csv" -o "$folder/c" --law hyper --bootstrap 0 --fix-params-exp -0.3)
note $? "fit of one size with its exponent held"
has "$out" "T^0.600000 * N^-0.300000"
# No optimum anywhere is an error that says why.
awk -F, 'NR == 1 || $1 == 8e8' "$folder/runs.csv" >"$folder/edge.csv"
refused 2 "no optimum in any of 3 (params, tokens) cells; 3 of them: minimum at the smallest batch" \
  fit "$folder/edge.csv" -o "$folder/x" --law hyper
refused 2 "--window" fit "$folder/runs.csv" -o "$folder/x" --law hyper --window 2
refused 2 "go together" fit "$folder/runs.csv" -o "$folder/x" --law hyper --fixed-batch 1e5
refused 2 "exclude each other" fit "$folder/runs.csv" -o "$folder/x" --all-rows --best-per-cell
[ ! -e "$folder/x" ]
note $? "a refused fit left files"

# law LINE: refused with TEXT
good='"law":"joint","params":{"E":1,"A":2,"alpha":0.3,"B":2,"beta":0.3}'
law() { printf '{%s,"laws":%s}' "$good" "$1" >"$folder/law.json"; refused 2 "$2" plan "$folder/law.json" --compute 1e20; }
law '{}' "laws: a list is needed"
law '[{}]' 'every entry needs "law"'
law '[{"law":"joint"}]' 'every entry needs "law"'
law '[{"law":"lr"}]' "law lr: params.k: a number above 0 is needed"
law '[{"law":"lr","params":{"k":-1}}]' "law lr: params.k: a number above 0 is needed"
law '[{"law":"batch","params":{"k":1,"tokens_exp":"a"}}]' "law batch: params.tokens_exp: a number is needed"
one='{"law":"lr","params":{"k":1,"tokens_exp":0.2,"params_exp":-0.7}'
law "[$one},$one}]" "law lr stands twice"
law "[$one,\"interval\":{}}]" "interval.level"
law "[$one,\"interval\":{\"level\":0.9,\"k\":[2,1]}}]" "interval.k"

finish 30
