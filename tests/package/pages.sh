#!/bin/bash
# The man page and the completions hold every option of every command, and work in their programs; those that are not installed are told.
. "$(dirname "$0")/../cli.bash"

"$vkdit" --man > "$folder/vkdit.1" || fail "--man"
"$vkdit" --completion bash > "$folder/bash" || fail "--completion bash"
"$vkdit" --completion zsh > "$folder/_vkdit" || fail "--completion zsh"
"$vkdit" --completion fish > "$folder/fish" || fail "--completion fish"
refused 2 "--completion tcsh: bash, zsh and fish are known" --completion tcsh
refused 2 "bash, zsh and fish are known" --completion

commands=$("$vkdit" --help | sed -n 's/^  \([a-z]*\) .*/\1/p')
pairs=0
for command in $commands; do
  for option in $("$vkdit" "$command" --help | sed -n 's/^  \(-., \)\{0,1\}--\([a-z-]*\).*/\2/p' | grep -vx 'quiet\|verbose\|help'); do
    pairs=$((pairs + 1))
    for file in bash _vkdit; do
      awk -v command="$command" '$0 ~ "^ *"command")" { on = 1 } on' "$folder/$file" | sed '/;;$/!b;/esac/q' | grep -q -- "--$option" || fail "$file: $command --$option"
    done
    grep -q -- "\( -n '__vkdit_is $command'\| vkdit\) -l $option " "$folder/fish" || fail "fish: $command --$option"
    awk -v command="$command" '$0 ~ "^[.]S[SH] "{ on = $2 == command } on' "$folder/vkdit.1" | grep -qF -- "\\-\\-${option//-/\\-}" || fail "man: $command --$option"
  done
done
check "options: $pairs" test $pairs -gt 150

# ---- the man page ----
if command -v groff > /dev/null; then
  has "[$(groff -man -Tutf8 -ww "$folder/vkdit.1" 2>&1 > "$folder/text")]" "[]"
  check "the man page's text" grep -q "with --next: write the runs as a sweep" "$folder/text"
else
  echo "not checked, as there is no groff: the man page"
fi
if command -v mandoc > /dev/null; then
  has "[$(mandoc -T lint -W warning "$folder/vkdit.1" | grep -v "missing date")]" "[]" # it would differ from build to build
else
  echo "not checked, as there is no mandoc: the man page's style"
fi

# ---- bash ----
# completed "LINE" WORDS: what bash offers after the line are these words, sorted; in a shell of its own, in a folder with a few files
mkdir "$folder/files" && touch "$folder/files/"{film.mp4,my.yaml}
cat > "$folder/complete.bash" << 'X'
. "$1"
complete -p vkdit | grep -q ' -F _vkdit ' || echo "not registered"
COMP_LINE=$2 COMP_POINT=${#2}
read -r -a COMP_WORDS <<< "${2//=/ = }"
case $2 in *[\ =]) COMP_WORDS+=("") ;; esac
case $2 in *=) unset 'COMP_WORDS[-1]' ;; esac
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
compopt() { :; } # serves interactive shells alone
_vkdit vkdit "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
[ ${#COMPREPLY[@]} = 0 ] || printf '%s\n' "${COMPREPLY[@]}" | sort | paste -sd ' '
X
completed() {
  local got
  got=$(cd "$folder/files" && LC_ALL=C bash "$folder/complete.bash" "$folder/bash" "$1" 2>&1)
  [ "$got" = "$2" ]
  note $? "bash: '$1' gives '$got', not '$2'"
}
completed "vkdit tr" "train"
completed "vkdit --ver" "--verbose --version"
completed "vkdit help sa" "sample"
completed "vkdit -q train --re" "--resume"
completed "vkdit sample run --sampler d" "ddim ddpm dpm++"
completed "vkdit sample run --precision=" "bf16 fp16 fp32"
completed "vkdit sample run --precision=fp1" "fp16"
completed "vkdit sample --seed " ""
completed "vkdit sample run -o " "film.mp4 my.yaml"
completed "vkdit train " "$(cd "$folder/files" && { "$vkdit" config --list && "$vkdit" config --keys | sed 's/ .*/=/' && ls; } | LC_ALL=C sort | paste -sd ' ')"
completed "vkdit train tiny-video train.lora_r" "train.lora_rank="
completed "vkdit train tiny-video train.precision=" "bf16 fp16 fp32"
completed "vkdit train tiny-video train.precision=b" "bf16"
completed "vkdit train tiny-video data.path=f" "film.mp4"
completed "vkdit train tiny-video train.lr=" ""
completed "vkdit data b" "build"
completed "vkdit reproduce smo" "smoke"
completed "vkdit plan p" "paper"
completed "vkdit devices --j" "--json"

# ---- zsh, fish ----
if command -v zsh > /dev/null; then
  check "zsh's syntax" zsh -n "$folder/_vkdit"
  cat > "$folder/zsh" << 'X'
# what zsh shows after a line and two tabs, on a terminal of its own
zmodload zsh/zpty
zpty shell zsh -f -i
say() { zpty -w shell "$1"; }
say "PS1=; fpath=($2 \$fpath); autoload -Uz compinit; compinit -u -d $2/dump; LISTMAX=1000; cd $2/files; echo rea''dy"
text=
while zpty -r shell line; do [[ $line == *ready* && $line != *rea\'* ]] && break; done
zpty -w -n shell "$1"$'\t\t'
repeat 10; do
  sleep 0.2
  while zpty -r -t shell line; do text+=$line; done
done
zpty -d shell
print -r -- "$text"
X
  listed() {
    timeout 20 zsh "$folder/zsh" "$1" "$folder" > "$folder/out" 2>&1
    grep -qF -- "$2" "$folder/out"
    note $? "zsh: '$1' does not give '$2': $(cat "$folder/out")"
  }
  listed "vkdit tr" "vkdit train"
  listed "vkdit sample run --sampler d" "ddim"
  listed "vkdit train tiny-video train.precision=" "bf16"
  listed "vkdit train --re" "--resume"
else
  echo "not checked, as there is no zsh: its completion"
fi
if command -v fish > /dev/null; then
  check "fish's syntax" fish --no-execute "$folder/fish"
  offered() {
    (cd "$folder/files" && HOME=$folder fish --private -c "source $folder/fish; complete -C '$1'" 2>&1 | cut -f 1 | LC_ALL=C sort | paste -sd ' ') > "$folder/out"
    [ "$(cat "$folder/out")" = "$2" ]
    note $? "fish: '$1' gives '$(cat "$folder/out")', not '$2'"
  }
  offered "vkdit tr" "train"
  offered "vkdit sample run --sampler d" "ddim ddpm dpm++"
  offered "vkdit train tiny-video train.lora_r" "train.lora_rank="
  offered "vkdit train tiny-video train.precision=b" "train.precision=bf16"
  offered "vkdit -q train --re" "--resume"
  offered "vkdit sample run -o f" "film.mp4"
else
  echo "not checked, as there is no fish: its completion"
fi
finish 20
