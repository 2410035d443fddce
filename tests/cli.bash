# For test scripts of the command line: $1 is vkdit, $folder a folder for files; passed and failed are counted.
set -u
vkdit=$1
failed=0 passed=0
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

note() { if [ "$1" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $2"; fi; }

# refused STATUS TEXT ARGS...: exit status, one line on stderr with TEXT, nothing on stdout
refused() {
  local want=$1 text=$2 out status
  shift 2
  out=$("$vkdit" "$@" 2>"$folder/stderr")
  status=$?
  [ "$status" = "$want" ] && [ -z "$out" ] && [ "$(wc -l <"$folder/stderr")" = 1 ] && grep -qF -- "$text" "$folder/stderr"
  note $? "$* -> $status, $out, $(cat "$folder/stderr")"
}
