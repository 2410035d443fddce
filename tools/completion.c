// vkdit --completion SHELL: a script for the shell's own completion, with every word of the tables in it.
#include <stdio.h>
#include <string.h>

#include "tables.h"

#define HEAD(shell) "# Completion of vkdit for " shell ", made by `vkdit --completion " shell "` from its tables.\n"

// text with `special` characters after `escape`
static void put_escaped(const char *text, const char *special, const char *escape) {
  for (; *text; text++) {
    if (strchr(special, *text)) fputs(escape, stdout);
    putchar(*text);
  }
}

static void put_options(const struct cmd_opt *opts) {
  for (const struct cmd_opt *o = opts; o && o->name; o++) {
    printf(" --%s", o->name);
    if (o->letter) printf(" -%c", o->letter);
  }
}

// ---- bash ----------------------------------------------------------------------------------------------------------
static const char bash_begin[] =
    HEAD("bash") "_vkdit() {\n"
                 "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} i\n"
                 "  local command='' key='' words='' keys='' files='' options='--version'\n"
                 "  # --option=value and key=value are three words\n"
                 "  if [ \"$cur\" = = ]; then key=$prev cur=; elif [ \"$prev\" = = ]; then key=${COMP_WORDS[COMP_CWORD "
                 "- 2]}; fi\n"
                 "  if [[ $key == -* ]]; then prev=$key key=; fi\n"
                 "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
                 "    case ${COMP_WORDS[i]} in\n"
                 "    -* | help) ;;\n"
                 "    *) command=${COMP_WORDS[i]} && break ;;\n"
                 "    esac\n"
                 "  done\n"
                 "  case $key in\n"
                 "  '') _vkdit_command ;;\n";
static const char bash_end[] =
    "  esac\n"
    "  if [[ $cur == -* ]]; then words=$options keys='' files=''; fi\n"
    "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\"; compgen -S = -W \"$keys\" -- \"$cur\")\n"
    "  if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]]; then compopt -o nospace; fi\n"
    "  if [ -n \"$files\" ]; then\n"
    "    if [ ${#COMPREPLY[@]} = 0 ]; then compopt -o filenames; fi # which quotes: not for words\n"
    "    mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- \"$cur\")\n"
    "  fi\n"
    "}\n"
    "complete -F _vkdit vkdit\n";

static void bash_slot(const struct slot *slot) {
  if (*slot->words) printf(" words='%s'", slot->words);
  if (slot->files) printf(" files=yes");
  printf(" ;;\n");
}

static void bash_command(const struct cmd *cmd) {
  printf("  %s)\n    case $prev in\n", cmd->name);
  for (const struct cmd_opt *o = cmd->opts; o && o->name; o++) {
    if (o->kind == CMD_FLAG) continue;
    struct slot slot = slot_of_option(o);
    printf("    --%s", o->name);
    if (o->letter) printf(" | -%c", o->letter);
    printf(")");
    bash_slot(&slot);
  }
  struct slot slot = slot_of_arguments(cmd);
  printf("    *) options='");
  put_options(cmd->opts);
  put_options(cmd_global_opts);
  printf("'%s", slot.keys ? " keys=$all" : "");
  bash_slot(&slot);
  printf("    esac\n    ;;\n");
}

static void print_bash(const struct cmd *const *commands) {
  const char *key, *help;
  struct slot slot;
  fputs(bash_begin, stdout);
  for (size_t i = 0; slot_of_key(i, &key, &help, &slot); i++) {
    printf("  %s)", key);
    bash_slot(&slot);
  }
  fputs(bash_end, stdout);
  printf("# sets what fits after $command and $prev\n_vkdit_command() {\n  local all='");
  for (size_t i = 0; slot_of_key(i, &key, &help, &slot); i++) printf("%s%s", i ? " " : "", key);
  printf("'\n  case $command in\n  '') words='help");
  for (const struct cmd *const *c = commands; *c; c++) printf(" %s", (*c)->name);
  printf("' options+='");
  put_options(cmd_global_opts);
  printf("' ;;\n");
  for (; *commands; commands++) bash_command(*commands);
  printf("  esac\n}\n");
}

// ---- zsh -----------------------------------------------------------------------------------------------------------
static const char zsh_begin[] = "_vkdit() {\n"
                                "  local curcontext=$curcontext state ret=1\n"
                                "  local -a commands line\n"
                                "  local -A opt_args\n"
                                "  commands=(\n";
static const char zsh_middle[] = "    '1: :->command' '*:: :->arguments' && ret=0\n"
                                 "  case $state in\n"
                                 "  command) _describe command commands && ret=0 ;;\n"
                                 "  arguments)\n"
                                 "    case $words[1] in\n"
                                 "    help) _describe command commands && ret=0 ;;\n";

// Text inside single quotes, and inside the brackets of an option.
static void zsh_text(const char *text) {
  for (; *text; text++)
    if (*text == '\'')
      fputs("'\\''", stdout);
    else
      printf(strchr("[]\\", *text) ? "\\%c" : "%c", *text);
}

// Commands that add what fits.
static void zsh_slot(const struct slot *slot) {
  if (*slot->words) printf("compadd -- %s%s", slot->words, slot->keys || slot->files ? "; " : "");
  if (slot->keys) printf("_vkdit_keys%s", slot->files ? "; " : "");
  if (slot->files) printf("_files");
}

static void zsh_action(const struct slot *slot) {
  bool any = *slot->words || slot->keys || slot->files;
  printf(any ? "{" : " ");
  zsh_slot(slot);
  if (any) putchar('}');
}

static void zsh_options(const struct cmd_opt *opts) {
  for (const struct cmd_opt *o = opts; o && o->name; o++) {
    const char *equal = o->kind == CMD_FLAG ? "" : "=";
    printf("      ");
    if (o->letter)
      printf("'(-%c --%s)'{-%c,--%s%s}'[", o->letter, o->name, o->letter, o->name, equal);
    else
      printf("'--%s%s[", o->name, equal);
    zsh_text(o->help);
    printf("]");
    if (o->kind != CMD_FLAG) {
      struct slot slot = slot_of_option(o);
      printf(":");
      put_escaped(o->metavar ? o->metavar : " ", ":", "\\");
      printf(":");
      zsh_action(&slot);
    }
    printf("' \\\n");
  }
}

static void print_zsh(const struct cmd *const *commands) {
  const char *key, *help;
  struct slot slot;
  printf("#compdef vkdit\n" HEAD("zsh") "_vkdit_keys() {\n  if compset -P '*='; then\n    case ${IPREFIX%%=} in\n");
  for (size_t i = 0; slot_of_key(i, &key, &help, &slot); i++) {
    if (!*slot.words && !slot.files) continue;
    printf("    %s) ", key);
    zsh_slot(&slot);
    printf(" ;;\n");
  }
  printf("    esac\n  else\n    compadd -S = --");
  for (size_t i = 0; slot_of_key(i, &key, &help, &slot); i++) printf(" %s", key);
  printf("\n  fi\n}\n%s", zsh_begin);
  for (const struct cmd *const *c = commands; *c; c++) {
    printf("    '%s:", (*c)->name);
    put_escaped((*c)->summary, "'", "'\\'");
    printf("'\n");
  }
  printf("  )\n  _arguments -C '--version[the version]' \\\n");
  zsh_options(cmd_global_opts);
  fputs(zsh_middle, stdout);
  for (; *commands; commands++) {
    printf("    %s) _arguments \\\n", (*commands)->name);
    zsh_options((*commands)->opts);
    zsh_options(cmd_global_opts);
    slot = slot_of_arguments(*commands);
    printf("      '*: :");
    zsh_action(&slot);
    printf("' && ret=0 ;;\n");
  }
  printf("    esac\n    ;;\n  esac\n  return ret\n}\n_vkdit \"$@\"\n");
}

// ---- fish ----------------------------------------------------------------------------------------------------------
static const char fish_begin[] = HEAD("fish") "# whether the command is $argv, '' before there is one\n"
                                              "function __vkdit_is\n"
                                              "  set -l words (commandline -opc)\n"
                                              "  for word in $words[2..-1]\n"
                                              "    if not string match -q -- '-*' $word; and test $word != help\n"
                                              "      test $word = \"$argv\"\n"
                                              "      return\n"
                                              "    end\n"
                                              "  end\n"
                                              "  test -z \"$argv\"\n"
                                              "end\n";

static void fish_text(const char *text) {
  putchar('\'');
  put_escaped(text, "'\\", "\\");
  putchar('\'');
}

static void fish_options(const char *command, const struct cmd_opt *opts) {
  for (const struct cmd_opt *o = opts; o && o->name; o++) {
    printf("complete -c vkdit");
    if (command) printf(" -n '__vkdit_is %s'", command);
    printf(" -l %s", o->name);
    if (o->letter) printf(" -s %c", o->letter);
    if (o->kind != CMD_FLAG) {
      struct slot slot = slot_of_option(o);
      printf(slot.files ? " -r -F" : " -x");
      if (*slot.words) printf(" -a '%s'", slot.words);
    }
    printf(" -d ");
    fish_text(o->help);
    putchar('\n');
  }
}

static void fish_keys(void) {
  const char *key, *help;
  struct slot slot;
  printf("function __vkdit_keys\n  if string match -q -- '*=*' (commandline -ct)\n    printf '%%s\\n'");
  for (size_t i = 0; slot_of_key(i, &key, &help, &slot); i++)
    if (*slot.words) {
      printf(" %s={", key);
      for (const char *c = slot.words; *c; c++) putchar(*c == ' ' ? ',' : *c);
      printf("}");
    }
  printf("\n  else\n    printf '%%s=\\t%%s\\n'");
  for (size_t i = 0; slot_of_key(i, &key, &help, &slot); i++) {
    printf(" \\\n      %s ", key);
    fish_text(help);
  }
  printf("\n  end\nend\n");
}

static void print_fish(const struct cmd *const *commands) {
  fputs(fish_begin, stdout);
  fish_keys();
  printf("complete -c vkdit -f\ncomplete -c vkdit -n '__vkdit_is \"\"' -l version -d 'the version'\n");
  fish_options(NULL, cmd_global_opts);
  for (; *commands; commands++) {
    const struct cmd *cmd = *commands;
    printf("complete -c vkdit -n '__vkdit_is \"\"' -a %s -d ", cmd->name);
    fish_text(cmd->summary);
    putchar('\n');
    struct slot slot = slot_of_arguments(cmd);
    if (slot.files) printf("complete -c vkdit -n '__vkdit_is %s' -F\n", cmd->name);
    if (*slot.words) printf("complete -c vkdit -n '__vkdit_is %s' -a '%s'\n", cmd->name, slot.words);
    if (slot.keys) printf("complete -c vkdit -n '__vkdit_is %s' -a '(__vkdit_keys)'\n", cmd->name);
    fish_options(cmd->name, cmd->opts);
  }
}

enum vkd_status completion_print(const struct cmd *const *commands, const char *shell, struct vkd_error *err) {
  static const struct {
    const char *name;
    void (*print)(const struct cmd *const *commands);
  } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
  for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
    if (shell && !strcmp(shells[i].name, shell)) {
      shells[i].print(commands);
      return VKD_OK;
    }
  return vkd_fail(err, VKD_ERR_USAGE, "--completion %s: bash, zsh and fish are known", shell ? shell : "");
}
