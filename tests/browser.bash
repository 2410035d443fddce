# For test scripts that open pages in headless Chromium; after cli.bash.  $browser is set, or the script ends as skipped.

# shellcheck disable=SC2154 # $failed, $folder: cli.bash
for name in chromium chromium-browser google-chrome; do
  browser=$(command -v $name) && break
done
[ -n "$browser" ] || { echo "skipped: no Chromium to open pages with"; exit $((failed ? 1 : 77)); }

# chromium ARGS...: what it prints
chromium() {
  timeout 120 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$folder/profile" --disable-extensions \
    --no-first-run --window-size=1100,900 --virtual-time-budget=20000 "$@" 2>"$folder/stderr"
}

# check_page IN OUT: the page with what it says of itself to the page that holds it.  A page may set pageReady, a function
# that tells when it can be looked at, and pageFiles, what the addresses of its pictures begin with.
check_page() {
  { sed 's|</main></body></html>||' "$1"; echo '</main><script>'
    cat <<'END'
{
const check = () => {
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
    if (!texts.length || !svg.querySelector('circle,path.l,path.t,rect.m')) say('empty', svg);
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
  for (const e of document.querySelectorAll('[src],[href]:not(base),link')) {
    const from = e.getAttribute('src') || e.getAttribute('href') || '';
    if (!from.startsWith('data:') && !(window.pageFiles && from.startsWith(pageFiles))) say('fetches', e);
  }
  if (/@import|url\((?!#)/.test(document.head.textContent)) bad.push('fetches by its style');
  const plots = [...document.querySelectorAll('section[id^=plot-]')].filter(s => s.querySelector('svg.fp:not(.sw)'));
  parent.postMessage(name + ' plots=' + plots.map(s => s.id.slice(5)).join(',') + ' bad=' + bad.length + ' ' +
    bad.join('; ') + ' dark=' + matchMedia('(prefers-color-scheme:dark)').matches, '*');
};
const wait = () => !window.pageReady || pageReady() ? check() : setTimeout(wait, 100);
addEventListener('load', () => setTimeout(wait, 0));
}
END
    echo '</script></body></html>'; } >"$2"
}

# hold_pages PAGE...: a page that holds $folder/PAGE/checked.html, each 1000 and 390 pixels wide
hold_pages() {
  local page width
  echo '<!doctype html><body><pre id="out"></pre><script>'
  echo 'addEventListener("message", e => document.getElementById("out").textContent += e.data + "\n")</script>'
  for page; do
    for width in 1000 390; do
      echo "<iframe name='$page-$width' src='$page/checked.html' style='width:${width}px;height:800px;border:0'></iframe>"
    done
  done >"$folder/frames"
  cat "$folder/frames"
}

# browse SCHEME [FLAG...]: what the pages in $folder/pages.html say, in $folder/SCHEME; SCHEME is light or dark
browse() {
  local scheme=$1 dark=
  shift
  [ "$scheme" = dark ] && dark=--blink-settings=preferredColorScheme=0
  chromium $dark "$@" --dump-dom "file://$folder/pages.html" |
    sed -n '/<pre/,/<\/pre>/p' | sed 's/<[^>]*>//g' >"$folder/$scheme"
  [ -s "$folder/$scheme" ] || { echo "skipped: the browser at $browser does not start: $(tail -1 "$folder/stderr")"; exit 77; }
}

# looks_well SCHEME PAGE WIDTH PLOTS: the page says that nothing is wrong, and has these plots, in order of name
looks_well() {
  local line found
  line=$(grep "^$2-$3 " "$folder/$1")
  case "$line" in
    *" bad=0 "*) note 0 ;;
    *) note 1 "$1 $2 at $3: $line" ;;
  esac
  found=$(printf '%s' "$line" | sed 's/.* plots=\([^ ]*\).*/\1/' | tr ',' '\n' | sort | tr '\n' ' ')
  [ "$4" = "$found" ] && [ -n "$found" ]
  note $? "$1 $2 at $3: plots '$found', not '$4'"
}
