# The report in a browser, 1000 and 390 pixels wide, light and dark: every plot is there, nothing overflows, texts keep
# clear of each other and are large and dark enough to read, and nothing is fetched.
. "$(dirname "$0")/../cli.bash"

for name in chromium chromium-browser google-chrome; do
  browser=$(command -v $name) && break
done
[ -n "$browser" ] || { echo "skipped: no Chromium to open the report with"; exit 77; }

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

# What the page says of itself, to the page that holds it.
cat >"$folder/check.js" <<'END'
addEventListener('load', () => setTimeout(() => {
  const bad = [], scrolls = e => /auto|scroll/.test(getComputedStyle(e).overflowX);
  const say = (what, e) => bad.push(what + ' ' + (e.id || e.className.baseVal || e.className || e.tagName) + ' ' +
    (e.textContent || '').trim().slice(0, 30).replace(/\s+/g, ' '));
  const light = c => {
    const v = c.match(/[\d.]+/g).slice(0, 3).map(x => (x /= 255) <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);
    return .2126 * v[0] + .7152 * v[1] + .0722 * v[2];
  };
  const contrast = (a, b) => (Math.max(light(a), light(b)) + .05) / (Math.min(light(a), light(b)) + .05);
  const root = document.documentElement;
  if (root.scrollWidth > innerWidth) bad.push('page ' + root.scrollWidth + ' wider than ' + innerWidth);
  for (const e of document.querySelectorAll('main *')) {
    if (e instanceof SVGElement) continue;
    if (e.clientWidth && e.scrollWidth > e.clientWidth + 1 && !scrolls(e)) say('overflow', e);
    let box = e.parentElement;
    while (box && !scrolls(box)) box = box.parentElement;
    const r = e.getBoundingClientRect();
    if (!box && (r.left < 0 || r.right > innerWidth + .5)) say('outside', e);
  }
  for (const svg of document.querySelectorAll('main svg.fp:not(.sw)')) {
    const frame = svg.getBoundingClientRect(), texts = [...svg.querySelectorAll('text')];
    const card = getComputedStyle(svg.closest('section')).backgroundColor;
    const boxes = texts.map(t => t.getBoundingClientRect());
    if (!texts.length || !svg.querySelector('circle,path.l')) say('empty', svg);
    texts.forEach((t, i) => {
      const a = boxes[i], style = getComputedStyle(t);
      if (a.left < frame.left - 1 || a.right > frame.right + 1 || a.top < frame.top - 1 || a.bottom > frame.bottom + 1)
        say('text outside', t);
      if (parseFloat(style.fontSize) * frame.width / svg.viewBox.baseVal.width < 9.5) say('text too small', t);
      if (contrast(style.fill, card) < 4.5) say('text too faint', t);
      for (let k = 0; k < i; k++) {
        const b = boxes[k];
        if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
            Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4) say('texts meet', t);
      }
    });
  }
  for (const e of document.querySelectorAll('main p,main td,main th,main li,main div')) {
    let card = e;
    while (card && getComputedStyle(card).backgroundColor === 'rgba(0, 0, 0, 0)') card = card.parentElement;
    if (card && contrast(getComputedStyle(e).color, getComputedStyle(card).backgroundColor) < 4.5) say('faint', e);
  }
  for (const e of document.querySelectorAll('[src],[href],link,script[src]'))
    if (!(e.getAttribute('src') || '').startsWith('data:')) say('fetches', e);
  if (/@import|url\((?!#)/.test(document.head.textContent)) bad.push('fetches by its style');
  const plots = [...document.querySelectorAll('section[id^=plot-]')].filter(s => s.querySelector('svg.fp:not(.sw)'));
  parent.postMessage(name + ' plots=' + plots.map(s => s.id.slice(5)).join(',') + ' bad=' + bad.length + ' ' +
    bad.join('; ') + ' dark=' + matchMedia('(prefers-color-scheme:dark)').matches, '*');
}, 0));
END

pages="joint all isoflop hyper broken"
{
  echo '<!doctype html><body><pre id="out"></pre><script>'
  echo 'addEventListener("message", e => document.getElementById("out").textContent += e.data + "\n")</script>'
  for page in $pages; do
    { sed 's|</main></body></html>||' "$folder/$page/report.html"; echo '</main><script>'; cat "$folder/check.js"
      echo '</script></body></html>'; } >"$folder/$page/checked.html"
    for width in 1000 390; do
      echo "<iframe name='$page-$width' src='$page/checked.html' style='width:${width}px;height:800px;border:0'></iframe>"
    done
  done
} >"$folder/pages.html"

# browse SCHEME [FLAG]: what the pages say
browse() {
  timeout 120 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$folder/profile" --disable-extensions \
    --no-first-run --window-size=1100,900 --virtual-time-budget=20000 ${2:-} --dump-dom "file://$folder/pages.html" \
    2>"$folder/stderr" | sed -n '/<pre/,/<\/pre>/p' | sed 's/<[^>]*>//g' >"$folder/$1"
  [ -s "$folder/$1" ] || { echo "skipped: the browser at $browser does not start: $(tail -1 "$folder/stderr")"; exit 77; }
}
browse light
browse dark --blink-settings=preferredColorScheme=0

for scheme in light dark; do
  for page in joint all isoflop hyper; do
    for width in 1000 390; do
      line=$(grep "^$page-$width " "$folder/$scheme")
      case "$line" in
        *" bad=0 "*) note 0 ;;
        *) note 1 "$scheme $page at $width: $line" ;;
      esac
      wanted=$(cd "$folder/$page" && ls *.svg | sed 's/\.svg$//' | sort | tr '\n' ' ')
      found=$(printf '%s' "$line" | sed 's/.* plots=\([^ ]*\).*/\1/' | tr ',' '\n' | sort | tr '\n' ' ')
      [ "$wanted" = "$found" ] && [ -n "$found" ]
      note $? "$scheme $page at $width: plots '$found', files '$wanted'"
    done
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
