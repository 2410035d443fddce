#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "assets.h"
#include "tables.h"
#include "vkdm/config.h"

static void add_word(struct slot *slot, const char *word, int length) {
  size_t at = strlen(slot->words);
  if (at + (size_t)length + 2 <= sizeof slot->words)
    snprintf(slot->words + at, sizeof slot->words - at, "%s%.*s", at ? " " : "", length, word);
}

// Built-in files "FOLDER/NAME.yaml".
static void add_assets(struct slot *slot, const char *folder) {
  size_t before = strlen(folder) + 1, after = strlen(".yaml");
  for (const struct asset *a = assets; a->name; a++)
    if (!strncmp(a->name, folder, before - 1) && strlen(a->name) > before + after)
      add_word(slot, a->name + before, (int)(strlen(a->name) - before - after));
}

static bool names_files(const char *word) {
  static const char *const names[] = {"FILE", "DIR", "RUN", "CONFIG", "SWEEP", "LAW", "CHECKPOINT", "SRC", "OUT"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strstr(word, names[i])) return true;
  return false;
}

static struct slot slot_of(const char *text) {
  struct slot slot = {0};
  while (*(text += strspn(text, " |[]"))) {
    char word[64];
    size_t length = strcspn(text, " |[]");
    snprintf(word, sizeof word, "%.*s", (int)length, text);
    text += length;
    if (!strcmp(word, "key=value")) slot.keys = true;
    if (strstr(word, "CONFIG")) add_assets(&slot, "configs");
    if (strstr(word, "SWEEP")) add_assets(&slot, "sweeps");
    if (names_files(word)) slot.files = true;
    bool literal = islower((unsigned char)*word) && !strchr(word, '=');
    for (const char *c = word; *c; c++) literal = literal && !isupper((unsigned char)*c);
    if (literal) add_word(&slot, word, (int)strlen(word));
  }
  return slot;
}

struct slot slot_of_option(const struct cmd_opt *opt) {
  return slot_of(opt->metavar ? opt->metavar : "");
}
struct slot slot_of_arguments(const struct cmd *cmd) {
  return slot_of(cmd->usage);
}

bool slot_of_key(size_t i, const char **key, const char **help, struct slot *slot) {
  static const char between[] = " or ";
  const char *fallback;
  char accepted[160];
  *slot = (struct slot){0};
  if (!config_describe(i, key, &fallback, help, accepted, sizeof accepted)) return false;
  slot->files = !strncmp(accepted, "text", 4);
  // A fixed set is words alone, "fp32 or fp16 or bf16", not "a whole number from 1 to 8".
  for (const char *word = accepted, *end; *word; word = end) {
    end = strstr(word, between);
    int length = end ? (int)(end - word) : (int)strlen(word);
    if (memchr(word, ' ', (size_t)length)) {
      *slot->words = 0;
      break;
    }
    add_word(slot, word, length);
    end = word + length + (end ? sizeof between - 1 : 0);
  }
  return true;
}
