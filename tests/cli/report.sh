# The report in a browser, 1000 and 390 pixels wide, light and dark: every plot is there, nothing overflows, texts keep
# clear of each other and are large and dark enough to read, and nothing is fetched.
. "$(dirname "$0")/../cli.bash"
. "$(dirname "$0")/../browser.bash"

# Training curves of 6 sizes, a little noise.
awk 'BEGIN {
  print "run,params,tokens,loss"
  for (i = 0; i < 6; i++) for (j = 0; j < 3; j++) for (c = 0; c < 8; c++) {
    n = 2e7 * 2.2 ^ i; t = 6e8 * 1.9 ^ (c + j / 2)
    printf "r%d-%d,%.9g,%.9g,%.9g\n", i, j, n, t, \
      (0.4856 + 0.0082 * (n / 1e9) ^ -0.3188 + 0.0373 * (t / 1e9) ^ -0.2917) * exp(1e-3 * sin(37 * i + 11 * j + 5 * c))
  }
}' >"$folder/curves.csv"
# Bowls of 4 sizes x 3 budgets; those of the largest size have their minimum at the smallest batch.
awk 'BEGIN {
  print "params,tokens,loss,batch_tokens,lr"
  for (i = 0; i < 4; i++) for (j = 0; j < 3; j++) for (k = 0; k < 6; k++) for (m = 0; m < 6; m++) {
    n = 1e8 * 2 ^ i; t = 1e10 * 2 ^ j
    x = (k - (i == 3 ? -1 : 2.6)) * 0.4; y = (m - 2.4) * 0.4
    printf "%.17g,%.17g,%.17g,%.17g,%.17g\n", n, t, (1.5 + 400 * n ^ -0.35 + 2000 * t ^ -0.37) * \
      exp(0.012 * x * x + 0.004 * x * y + 0.014 * y * y + 2e-4 * sin(9 * i + 7 * j + 5 * k + 3 * m)), \
      30 * t ^ 0.6 * n ^ -0.3 * exp(x), 60 * t ^ 0.2 * n ^ -0.75 * exp(y)
  }
}' >"$folder/bowls.csv"
awk -F, 'NR == 1 || ($1 == 8e8 && $2 == 1e10) || ($1 == 1e8 && $2 == 1e10)' "$folder/bowls.csv" >"$folder/few.csv"

"$vkdit" fit "$folder/curves.csv" -o "$folder/joint" --law all --n-ctx 4096 --bootstrap 40 >/dev/null &&
  "$vkdit" fit "$folder/bowls.csv" -o "$folder/all" --law all --bootstrap 40 >/dev/null &&
  "$vkdit" fit "$folder/curves.csv" -o "$folder/isoflop" --law isoflop --bootstrap 40 >/dev/null &&
  "$vkdit" fit "$folder/few.csv" -o "$folder/hyper" --law hyper --bootstrap 0 >/dev/null
note $? "fits"
# One that is wrong in every way the checks know, so that they are seen to fail.
mkdir "$folder/broken"
off='<text x="700" y="40">off the edge of it all</text>'
sed -e 's|<h2>The law</h2>|&<div style="width:3000px;color:#888">x</div><img src="other.png">|' \
  -e "0,/<text /s|<text |<text y=\"40\" style=\"font-size:4px\">small</text>$off$off<text |" \
  "$folder/joint/report.html" >"$folder/broken/report.html"

for page in joint all isoflop hyper broken; do check_page "$folder/$page/report.html" "$folder/$page/checked.html"; done
hold_pages joint all isoflop hyper broken >"$folder/pages.html"
browse light
browse dark

for scheme in light dark; do
  for page in joint all isoflop hyper; do
    plots=$(cd "$folder/$page" && ls *.svg | sed 's/\.svg$//' | sort | tr '\n' ' ')
    for width in 1000 390; do looks_well $scheme $page $width "$plots"; done
  done
done
grep -q "^joint-1000 .*dark=false" "$folder/light" && grep -q "^joint-1000 .*dark=true" "$folder/dark"
note $? "colour schemes"
for page in joint all; do
  case $page in
    joint) wanted="isoflop loss optimum profile residuals tradeoff" ;;
    all) wanted="bowls hyper-params hyper-tokens loss tradeoff" ;;
  esac
  for plot in $wanted; do
    [ -s "$folder/$page/$plot.svg" ]
    note $? "$page: no $plot.svg"
  done
done
for what in "page 3" "overflow" "outside" "text outside" "text too small" "texts meet" "faint" "fetches"; do
  grep "^broken-390 " "$folder/light" | grep -q "$what"
  note $? "the broken page passes: $what"
done

finish 45
