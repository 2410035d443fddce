# The page that shows runs: what it tells of folders that grow, break and vanish; requests that want more than they may have; and the
# page itself in a browser.
. "$(dirname "$0")/../cli.bash"

refused 2 "too few arguments" watch
refused 2 "No such file or directory" watch "$folder/none"
refused 2 "outside" watch "$folder" --port 70000

here=$folder/here outside=$folder/outside
mkdir -p "$here" "$outside"
"$vkdit" watch "$here" --port 0 >"$folder/said" 2>"$folder/said.err" &
server=$!
trap 'kill $server ${single:-} 2>/dev/null; rm -rf "$folder"' EXIT
for _ in $(seq 100); do grep -q http "$folder/said" && break; sleep 0.05; done
port=$(sed -n 's|^http://127.0.0.1:\([0-9]*\)/ shows.*|\1|p' "$folder/said")
[ -n "$port" ] || { fail "no server: $(cat "$folder/said" "$folder/said.err")"; finish; exit 1; }
refused 2 "port $port of 127.0.0.1: Address already in use; --port N takes another" watch "$here" --port "$port"

# raw FORMAT: what is answered to these bytes
raw() {
  exec 3<>"/dev/tcp/127.0.0.1/$port" || return
  printf "$1" >&3 2>/dev/null
  timeout 15 cat <&3
  exec 3>&- 3<&-
}
get() { raw "GET $1 HTTP/1.1\r\nHost: localhost:$port\r\n\r\n"; }
# status CODE FORMAT
status() {
  local line
  line=$(raw "$2" | head -1 | tr -d '\r\0')
  [ "${line#HTTP/1.1 $1 }" != "$line" ]
  note $? "'${2:0:80}' -> '$line', not $1"
}
state() { get /runs.json | tail -1; }
# told RUN FIELD: its value; nothing where there is none.  What a scan found is kept for half a second.
told() { state | tr '{' '\n' | grep -F "\"name\":\"$1\"," | grep -o "\"$2\":[^,}]*" | head -1 | cut -d: -f2; }
# tells RUN FIELD VALUE
tells() {
  local got
  sleep 0.6
  got=$(told "$1" "$2")
  [ "$got" = "$3" ]
  note $? "$1: $2 is '$got', not '$3'"
}

# ---- runs that start, grow, break and vanish ----
has "$(state)" '"runs":[]'
mkdir -p "$here/a" "$here/deep/er/b"
printf 'model: {dim: 64, depth: 2, heads: 2}\ndata: {synthetic: true}\ntrain: {steps: 100, batch: 4, lr: 1e-3}\n' >"$here/a/config.yaml"
printf '{"step": 1, "loss": 2.5, "tokens": 400}\n{"step": 2, "loss": 1.5, "tok' >"$here/a/metrics.jsonl"
tells a step 1
tells a params 131072.0
tells a tokens_planned 40000.0
tells a state '"stopped"'
printf 'ens": 800}\nnot json\n{"step": 2, "heldout_loss": 1.25, "tokens": 800}\n' >>"$here/a/metrics.jsonl"
tells a step 2
tells a loss 1.5
tells a heldout 1.25
echo $$ >"$here/a/.lock"
tells a state '"running"'
printf '{"step": 3, "loss": null, "tokens": 1200}\n' >>"$here/a/metrics.jsonl"
tells a tokens 1200.0
tells a loss 1.5
sleep 1
printf '{"step": 4, "loss": 1.0, "tokens": 1600}\n' >>"$here/a/metrics.jsonl"
tells a step 4
rate=$(told a tokens_per_second)
awk -v r="$rate" 'BEGIN { exit !(r > 20 && r < 2000) }'
note $? "tokens per second: '$rate'"
awk -v r="$rate" -v l="$(told a seconds_left)" 'BEGIN { x = r * l / (40000 - 1600); exit !(x > 0.99 && x < 1.01) }'
note $? "seconds left: '$(told a seconds_left)'"
# FLOPs per token by the formula, n = 100 tokens of a sample
awk -v r="$rate" -v f="$(told a flops_per_second)" 'BEGIN { x = f / r / (3 * 2 * (28 * 64 ^ 2 + 4 * 100 * 64)); exit !(x > 0.99 && x < 1.01) }'
note $? "FLOPs per second: '$(told a flops_per_second)'"
# another file under the name, as when a run is resumed; then a file that was cut
printf '{"step": 1, "loss": 9.0, "tokens": 400}\n' >"$folder/new" && mv "$folder/new" "$here/a/metrics.jsonl"
tells a loss 9.0
tells a heldout ''
: >"$here/a/metrics.jsonl"
tells a step 0
head -c 300000 /dev/zero | tr '\0' 'x' >"$here/deep/er/b/metrics.jsonl" # no line at all
printf '\n{"step": 7, "loss": 3.0, "tokens": 70}\n{"step": "8"}\n[]\n{"step": 9' >>"$here/deep/er/b/metrics.jsonl"
tells deep/er/b step 7
# many lines are means, and end where the run is
awk 'BEGIN { for (i = 1; i <= 20000; i++) printf "{\"step\": %d, \"loss\": %g, \"tokens\": %d}\n", i, i, 10 * i }' >"$here/a/metrics.jsonl"
tells a step 20000
xs=$(state | grep -o '"losses":\[\[[^]]*\]' | head -1 | tr -cd '0-9.,e')
[ "$(printf '%s' "$xs" | tr ',' '\n' | wc -l)" -le 520 ] && awk -v last="${xs##*,}" 'BEGIN { exit !(last > 198000) }'
note $? "a curve of 20000 steps: ${xs:0:80}"
printf '{"steps": 20000, "steps_planned": 20000, "tokens_per_second": 123.5, "device_bytes": 1e6, "device": "D", "diverged": false}' >"$here/a/summary.json"
tells a state '"done"'
tells a tokens_per_second 123.5
printf '{"steps": 20000, "diverged": true, "why": "so' >"$here/a/summary.json"
tells a state '"running"'
printf '{"steps": 20000, "diverged": true, "why": "so it is"}' >"$here/a/summary.json"
tells a state '"diverged"'
tells a why '"so it is"'
mv "$here/a" "$folder/away"
sleep 0.6
hasnt "$(state)" '"name":"a"'
mv "$here" "$folder/gone"
sleep 0.6
has "$(state)" '"runs":[]'
mv "$folder/gone" "$here" && mv "$folder/away" "$here/a"
tells a state '"diverged"'

# A sweep's cells that have not begun.
mkdir -p "$here/sweep/runs/one"
for cell in one two; do
  printf '# cell %s\nmodel: {dim: 64, depth: 2, heads: 2}\ndata: {synthetic: true, frames: 4}\ntrain: {steps: 10, batch: 8, lr: 2e-3}\n---\n' $cell
done >"$here/sweep/cells.yaml"
printf '# cell ../../a\nmodel: {dim: 2}\n---\n# cell three\n' >>"$here/sweep/cells.yaml"
printf '{"step": 1, "loss": 2.5, "tokens": 800}\n' >"$here/sweep/runs/one/metrics.jsonl"
tells sweep/runs/one tokens_planned 8000.0
tells sweep/runs/two state '"waiting"'
tells sweep/runs/two lr 0.002
tells sweep/runs/two tokens_planned 8000.0
has "$(state)" '"cells":2'
rm -r "$here/sweep/runs/one"
tells sweep/runs/one state '"waiting"'

# ---- requests ----
picture=$here/a/samples/step-1.gif
mkdir -p "$here/a/samples" "$here/a/folder.gif" "$here/.hidden"
printf 'GIF89a\1\0\1\0\200\0\0\0\0\0\377\377\377,\0\0\0\0\1\0\1\0\0\2\2D\1\0;' >"$picture"
cp "$picture" "$outside/secret.gif"; cp "$picture" "$here/.hidden/x.gif"; cp "$picture" "$here/a/.x.gif"; cp "$picture" "$here/a/a b%.gif"
ln -s "$outside/secret.gif" "$here/a/link.gif"; ln -s "$outside" "$here/a/linked"; mkfifo "$here/a/pipe.gif"
get /files/a/samples/step-1.gif | tail -c "$(stat -c %s "$picture")" | cmp -s - "$picture"
note $? "a picture"
has "$(get /files/a/samples/step-1.gif | head -2 | tr -d '\0')" "image/gif"
has "$(get / | tr -d '\r')" "Content-Security-Policy: default-src 'none'; script-src 'self'"
host="Host: 127.0.0.1:$port\r\n"
for path in / /watch.css /watch.js /plots.js /report.css /runs.json "/?x=1" /files/a/a%%20b%%25.gif; do status 200 "GET $path HTTP/1.1\r\n$host\r\n"; done
for path in /none /files /files/ /files/a /files/a/ /files//a/samples/step-1.gif /files/a/config.yaml /files/a/metrics.jsonl /files/a/.lock \
  /files/a/.x.gif /files/.hidden/x.gif /files/a/link.gif /files/a/linked/secret.gif /files/a/pipe.gif /files/a/folder.gif \
  /files/../outside/secret.gif /files/a/../../outside/secret.gif /files/a/./samples/step-1.gif "/files/%%2e%%2e/outside/secret.gif" \
  "/files/..%%2foutside/secret.gif" "/files/%%2fetc/passwd.gif" "/files$outside/secret.gif" "/files/a\\\\..\\\\..\\\\outside/secret.gif"; do
  status 404 "GET $path HTTP/1.1\r\n$host\r\n"
done
long=$(head -c 2000 /dev/zero | tr '\0' 'a') huge=$(head -c 9000 /dev/zero | tr '\0' 'a')
status 200 "GET / HTTP/1.0\r\nhost:  LocalHost \r\n\r\n"
status 200 "GET / HTTP/1.1\r\nHost: [::1]:$port\r\n\r\n"
status 400 "GET / HTTP/1.1\r\n\r\n"
status 400 "GET / HTTP/1.1\r\n$host$host\r\n"
status 400 "GET http://localhost/ HTTP/1.1\r\n$host\r\n"
status 400 "GET /%%00 HTTP/1.1\r\n$host\r\n"
status 400 "GET /%%zz HTTP/1.1\r\n$host\r\n"
status 400 "GET /a%%0d%%0aX HTTP/1.1\r\n$host\r\n"
status 400 "GET / HTTP/1.1\r\n$host no colon\r\n\r\n"
status 400 "GET /\0 HTTP/1.1\r\n$host\r\n"
status 400 "\r\n\r\n"
status 400 "GET\r\n\r\n"
status 400 "\377\376\375 / x\r\n\r\n"
status 403 "GET / HTTP/1.1\r\nHost: attacker.example\r\n\r\n"
status 403 "GET /runs.json HTTP/1.1\r\nHost: localhost.attacker.example:$port\r\n\r\n"
status 403 "GET / HTTP/1.1\r\nHost: 127.0.0.1:80x\r\n\r\n"
for method in POST PUT DELETE OPTIONS get; do status 405 "$method / HTTP/1.1\r\n$host\r\n"; done
status 413 "GET / HTTP/1.1\r\n${host}Content-Length: 5\r\n\r\nhello"
status 413 "GET / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n"
status 414 "GET /$long HTTP/1.1\r\n$host\r\n"
status 414 "GET /$huge"
status 431 "GET / HTTP/1.1\r\n${host}X: $huge\r\n\r\n"
status 505 "GET / HTTP/2.0\r\n$host\r\n"
[ "$(raw "HEAD / HTTP/1.1\r\n$host\r\n" | tail -c 4)" = $'\r\n\r' ] || [ -z "$(raw "HEAD / HTTP/1.1\r\n$host\r\n" | sed '1,/^\r$/d')" ]
note $? "HEAD has a body"
awk -v port="$(printf ':%04X' "$port")" '$4 == "0A" && substr($2, length($2) - 4) == port { print $2 }' /proc/net/tcp /proc/net/tcp6 >"$folder/bound"
[ "$(cat "$folder/bound")" = "0100007F:$(printf %04X "$port")" ]
note $? "bound to $(cat "$folder/bound")"
# Clients that say nothing, or a byte and no more, keep nobody else from an answer.
for _ in $(seq 20); do exec {fd}<>"/dev/tcp/127.0.0.1/$port" && printf G >&$fd; idle="${idle:-} $fd"; done
begin=$SECONDS
status 200 "GET / HTTP/1.1\r\n$host\r\n"
[ $((SECONDS - begin)) -lt 8 ]
note $? "idle clients hold up others"
for fd in $idle; do exec {fd}>&-; done

# ---- the page ----
rm -rf "$here"
mkdir -p "$here/runs"
evil='<img src=x onerror=document.title=1>'
awk -v here="$here" -v evil="$evil" 'BEGIN {
  for (s = 0; s < 3; s++) for (b = 0; b < 2; b++) for (l = 0; l < 3; l++) {
    dim = 32 * 2 ^ s; batch = 4 * 2 ^ b; lr = 1e-3 * 2 ^ l; name = s + b + l ? "d" dim "-b" batch "-l" l : evil
    config = sprintf("model: {dim: %d, depth: 2, heads: 2}\ndata: {synthetic: true}\ntrain: {steps: 200, batch: %d, lr: %g}\n", dim, batch, lr)
    printf "# cell %s\n%s---\n", name, config >(here "/cells.yaml")
    if (++n > 15) continue
    system("mkdir -p \"" here "/runs/" name "\"")
    printf "%s", config >(here "/runs/" name "/config.yaml")
    file = here "/runs/" name "/metrics.jsonl"
    steps = n > 12 ? 80 : 200
    for (i = 1; i <= steps; i++) {
      t = i * batch * 256; loss = 0.3 + 30 * dim ^ -0.8 + 60 * t ^ -0.5 + 0.02 * (l - 1) ^ 2 + 0.02 * sin(7 * i + n)
      printf "{\"step\": %d, \"loss\": %.6f, \"tokens\": %d}\n", i, loss, t >file
      if (i % 20 == 0) printf "{\"step\": %d, \"heldout_loss\": %.6f, \"tokens\": %d}\n", i, loss + 0.01, t >file
    }
    close(file)
    if (n <= 12) printf "{\"steps\": 200, \"steps_planned\": 200, \"tokens_per_second\": 12345.6, \"device_bytes\": 5e7, \"diverged\": %s, \"device\": \"llvmpipe\", \"why\": \"a loss\"}", \
      n == 6 ? "true" : "false" >(here "/runs/" name "/summary.json")
  }
}'
mkdir "$here/runs/d64-b4-l0/samples"
cp assets/../docs/images/samples.png "$here/runs/d64-b4-l0/samples/step-000000100.png"
echo $$ >"$here/runs/d128-b4-l0/.lock"
sleep 0.6
. "$(dirname "$0")/../browser.bash"

# As it is served, under its own rules of what may be loaded.
chromium --dump-dom "http://127.0.0.1:$port/" >"$folder/dom"
[ -s "$folder/dom" ] || { echo "skipped: the browser at $browser does not start: $(tail -1 "$folder/stderr")"; exit $((failed ? 1 : 77)); }
for what in 'data-drawn="18"' 'class="loaded"' '&lt;img src=x onerror' '<b>12 of 18</b>' '1 running, 1 diverged' 'class="best"'; do
  grep -qF "$what" "$folder/dom"
  note $? "no $what in the page: $(head -c 3000 "$folder/dom")"
done
! grep -q '<img src="\?x' "$folder/dom"
note $? "a folder's name became a picture"

# The same in one file, so that it can be looked at from within; only what it asks the server for stays there.
part() { get "$1" | sed '1,/^\r$/d'; }
mkdir "$folder/sweep"
{ echo "<!doctype html><html><head><meta name='viewport' content='width=device-width'><meta name='color-scheme' content='light dark'>"
  echo "<base href='http://127.0.0.1:$port/'><script>pageReady = () => document.body.dataset.drawn; pageFiles = 'files/'</script><style>"
  part /report.css; part /watch.css
  echo '</style></head>'; part / | sed -n 's|.*<body>|<body>|; /<body>/,$p' | sed 's|</main></body></html>||'
  echo '<script>'; part /plots.js; part /watch.js; echo '</script></main></body></html>'; } >"$folder/whole.html"
check_page "$folder/whole.html" "$folder/sweep/checked.html"
hold_pages sweep >"$folder/pages.html"
browse light --disable-web-security
browse dark --disable-web-security
for scheme in light dark; do
  for width in 1000 390; do looks_well $scheme sweep $width "heldout loss map "; done
done
grep -q "^sweep-1000 .*dark=true" "$folder/dark"
note $? "colour schemes"

# ---- a run's own folder, and the end ----
"$vkdit" watch "$here/runs/d64-b4-l0/" --port 0 >"$folder/single" &
single=$!
for _ in $(seq 100); do grep -q http "$folder/single" && break; sleep 0.05; done
both=$port
port=$(sed -n 's|^http://127.0.0.1:\([0-9]*\)/.*|\1|p' "$folder/single")
has "$(state)" '"folder":"d64-b4-l0"'
has "$(state)" '"name":"","state":"done"'
status 200 "GET /files/samples/step-000000100.png HTTP/1.1\r\nHost: localhost\r\n\r\n"
kill -TERM $single
wait $single
note $? "it ends with $? after SIGTERM"
port=$both
kill -INT $server
for _ in $(seq 40); do kill -0 $server 2>/dev/null || break; sleep 0.05; done
wait $server
note $? "it ends with $? after SIGINT: $(cat "$folder/said.err")"
! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null
note $? "the port is still open"
finish 110
