# vkdit fit --law isoflop, and the optimal size three ways: a table whose optimum is known.
. "$(dirname "$0")/../cli.bash"

# Four budgets of six sizes by L = 0.5 + (N/1e8)^-0.3 + (T/1e9)^-0.3, whose optimum at 6NT is N = 1e7.5 * sqrt(C/6e16):
# the exponent is a half.  Of the last budget the sizes all lie under it.
awk 'BEGIN {
  print "params,tokens,flops,loss"
  for (b = 0; b < 4; b++) for (i = 0; i < 6; i++) {
    c = 6e16 * 10 ^ b; n = sqrt(c / 60) * 2 ^ ((i - 2.5) / 2) / (b == 3 ? 6 : 1); t = c / 6 / n
    printf "%.17g,%.17g,%.17g,%.17g\n", n, t, c, 0.5 + (n / 1e8) ^ -0.3 + (t / 1e9) ^ -0.3
  }
}' >"$folder/runs.csv"

out=$("$vkdit" fit "$folder/runs.csv" -o "$folder/a" --law isoflop)
note $? "fit --law isoflop"
has "$out" "3 of 4 budgets accepted"
has "$out" "refused: the minimum lies at or over the largest size: train larger models"
has "$out" "C^0.50000"
has "$out" "Envelope of the training curves: none"
out=$(cat "$folder/a/law.json")
has "$out" '"law": "isoflop"'
has "$out" '"accepted": false'
has "$out" '"sizes"'
[ "$(ls "$folder/a" | paste -sd' ')" = "isoflop.svg law.json optimum.svg report.html" ]
note $? "files: $(ls "$folder/a")"

out=$("$vkdit" fit "$folder/runs.csv" -o "$folder/b" --bootstrap 20)
note $? "fit"
has "$out" "Compute-optimal size"
has "$out" "IsoFLOP"
has "$out" "closed form"
has "$(cat "$folder/b/law.json")" '"sample"'
"$vkdit" plan "$folder/b/law.json" --compute 1e20 >/dev/null
note $? "plan from a law with a sample"

# a diverged row is left out by rule, and told
sed '8s/[^,]*$/9/' "$folder/runs.csv" >"$folder/high.csv"
has "$("$vkdit" fit "$folder/high.csv" -o "$folder/c" --bootstrap 0)" "1 left out: diverged"
out=$("$vkdit" fit "$folder/high.csv" -o "$folder/c" --bootstrap 0 --diverged 0)
has "$out" "24 of 24 rows"

refused 2 "more than 1" fit "$folder/runs.csv" -o "$folder/x" --diverged 0.5
head -3 "$folder/runs.csv" >"$folder/short.csv"
refused 2 "no budget to try" fit "$folder/short.csv" -o "$folder/x" --law isoflop
printf '{"law":"joint","params":{"E":1,"A":2,"alpha":0.3,"B":2,"beta":0.3},"sample":[[1,2,3]]}' >"$folder/law.json"
refused 2 "sample[0]" plan "$folder/law.json" --compute 1e20

finish 15
