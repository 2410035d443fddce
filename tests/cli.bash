# For test scripts of the command line: $1 is vkdit, $folder a folder for files; passed and failed are counted.
set -u
vkdit=$(realpath "$1")
failed=0 passed=0
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT

note() { if [ "$1" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $2"; fi; }
fail() { note 1 "$*"; }
# check WHAT COMMAND...: the command succeeds
check() {
  local what=$1
  shift
  "$@"
  note $? "$what"
}

# printed TEXT ARGS...: exit status 0 and TEXT in the output
printed() {
  local text=$1 status
  shift
  "$vkdit" "$@" >"$folder/out" 2>"$folder/stderr"
  status=$?
  [ $status = 0 ] && cat "$folder/out" "$folder/stderr" | grep -qF -- "$text"
  note $? "$* -> $status, not '$text' in $(cat "$folder/out" "$folder/stderr")"
}

# refused STATUS TEXT ARGS...: exit status, one line "vkdit: ..." with TEXT on stderr, nothing on stdout
refused() {
  local want=$1 text=$2 out status
  shift 2
  out=$("$vkdit" "$@" 2>"$folder/stderr")
  status=$?
  [ "$status" = "$want" ] && [ -z "$out" ] && [ "$(wc -l <"$folder/stderr")" = 1 ] && grep -q '^vkdit: ' "$folder/stderr" &&
    grep -qF -- "$text" "$folder/stderr"
  note $? "$* -> $status, $out, $(cat "$folder/stderr"), not '$text'"
}

# has STRING TEXT, hasnt STRING TEXT
has() { printf '%s' "$1" | grep -qF -- "$2"; note $? "no '$2' in: $1"; }
hasnt() { ! printf '%s' "$1" | grep -qF -- "$2"; note $? "'$2' in: $1"; }

# skip_without_device FILE: ends as skipped where FILE, what a command said on stderr, tells that there is none
skip_without_device() {
  grep -q "no Vulkan d\|no usable device" "$1" || return 0
  echo "skipped: $(cat "$1")"
  exit $((failed ? 1 : 77))
}

# finish [LEAST]: the script's last command; more than LEAST checks passed
finish() {
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ] && [ "$passed" -gt "${1:--1}" ]
}
