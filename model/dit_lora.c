// Low-rank adapters: which layers may have one, and where its rows lie in the parameter table.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dit_internal.h"
#include "vkd/nearest.h"

enum { PARTS = 3 };

// Linear layers by the end of their name in diffusers' naming.
static const struct {
  const char *end;
  unsigned target;
} layers[] = {{"to_q", DIT_LORA_Q},
              {"to_k", DIT_LORA_K},
              {"to_v", DIT_LORA_V},
              {"to_out.0", DIT_LORA_O},
              {"net.0.proj", DIT_LORA_FFN},
              {"net.2", DIT_LORA_FFN},
              {"text_embedder.linear_1", DIT_LORA_OTHER},
              {"text_embedder.linear_2", DIT_LORA_OTHER},
              {"time_embedder.linear_1", DIT_LORA_OTHER},
              {"time_embedder.linear_2", DIT_LORA_OTHER},
              {"time_proj", DIT_LORA_OTHER},
              {"proj_out", DIT_LORA_OTHER},
              {"norm1.linear", DIT_LORA_OTHER},
              {"proj_out_1", DIT_LORA_OTHER},
              {"proj_out_2", DIT_LORA_OTHER}};

static const struct {
  const char *name;
  unsigned targets;
} words[] = {{"q", DIT_LORA_Q},
             {"k", DIT_LORA_K},
             {"v", DIT_LORA_V},
             {"o", DIT_LORA_O},
             {"to_q", DIT_LORA_Q},
             {"to_k", DIT_LORA_K},
             {"to_v", DIT_LORA_V},
             {"to_out.0", DIT_LORA_O},
             {"qkv", DIT_LORA_Q | DIT_LORA_K | DIT_LORA_V},
             {"attention", DIT_LORA_Q | DIT_LORA_K | DIT_LORA_V | DIT_LORA_O},
             {"ffn", DIT_LORA_FFN},
             {"all", DIT_LORA_ALL},
             {"all-linear", DIT_LORA_ALL}};
enum { WORDS = sizeof words / sizeof words[0] };

enum vkd_status dit_lora_targets(const char *text, unsigned *targets, struct vkd_error *err) {
  *targets = 0;
  for (const char *at = text; *at;) {
    at += strspn(at, " ,");
    size_t length = strcspn(at, " ,");
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)(length < sizeof word ? length : sizeof word - 1), at);
    unsigned found = 0;
    struct vkd_nearest nearest = {.name = word};
    for (int i = 0; i < WORDS; i++) {
      if (strcmp(words[i].name, word) == 0) found = words[i].targets;
      vkd_nearest_offer(&nearest, words[i].name);
    }
    if (length && !found)
      return vkd_fail(
          err, VKD_ERR_INPUT, "train.lora_targets: '%s' is unknown; a list of q, k, v, o, ffn, or all%s%s%s", word,
          nearest.best ? " (did you mean " : "", nearest.best ? nearest.best : "", nearest.best ? "?)" : "");
    *targets |= found;
    at += length;
  }
  return *targets ? VKD_OK
                  : vkd_fail(err, VKD_ERR_INPUT, "train.lora_targets: empty; a list of q, k, v, o, ffn, or all");
}

// The target of every part of a table's row; returns how many parts there are, 0: no layer that takes an adapter.
static int parts_of(const struct dit_row *row, unsigned target[PARTS]) {
  const char *name = row->name[DIT_NAMING_DIFFUSERS], *stop = name ? strrchr(name, '.') : NULL;
  if (!stop || strcmp(stop, ".weight") != 0) return 0;
  if (row->dims[0] == DIM_DIM3) {
    target[0] = DIT_LORA_Q;
    target[1] = DIT_LORA_K;
    target[2] = DIT_LORA_V;
    return PARTS;
  }
  for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
    size_t length = strlen(layers[i].end);
    const char *end = stop - length;
    if (end < name || strncmp(end, layers[i].end, length) != 0 || (end > name && end[-1] != '.')) continue;
    target[0] = layers[i].target;
    return 1;
  }
  return 0;
}

// Adapters of rows [0, count) of a table, and of parts [0, part) of row `count`.
static int count_in(const struct dit_row *rows, int count, int part, unsigned targets) {
  int n = 0;
  unsigned target[PARTS];
  for (int i = 0; i < count; i++)
    for (int k = parts_of(&rows[i], target); k-- > 0;) n += (target[k] & targets) != 0;
  if (part > 0 && parts_of(&rows[count], target) >= part)
    while (part-- > 0) n += (target[part] & targets) != 0;
  return n;
}

static unsigned wanted(const struct dit_config *c) { return c->lora.rank > 0 ? c->lora.targets : 0; }

int dit_base_rows(const struct dit_config *c) {
  return dit_block_param(c, c->depth, 0) + (c->family == DIT_CROSS && c->class_rows > 0);
}

int dit_adapter_row(const struct dit_config *c, int row, int part) {
  const struct dit_family_row *f = dit_family_of(c);
  unsigned target[PARTS], targets = wanted(c);
  if (!targets || row >= dit_block_param(c, c->depth, 0)) return -1;
  int outer = count_in(f->outer, f->outer_rows, 0, targets), at;
  const struct dit_row *rows = f->outer;
  if (row < f->outer_rows) {
    at = count_in(rows, row, part, targets);
  } else {
    int block = (row - f->outer_rows) / f->block_rows;
    rows = f->block;
    row = (row - f->outer_rows) % f->block_rows;
    at = outer + block * count_in(rows, f->block_rows, 0, targets) + count_in(rows, row, part, targets);
  }
  if (part >= parts_of(&rows[row], target) || !(target[part] & targets)) return -1;
  return dit_base_rows(c) + 2 * at;
}

void dit_block_adapter_rows(const struct dit_config *c, int block, int *first, int *count) {
  const struct dit_family_row *f = dit_family_of(c);
  int outer = count_in(f->outer, f->outer_rows, 0, wanted(c)), each = count_in(f->block, f->block_rows, 0, wanted(c));
  *first = dit_base_rows(c) + 2 * (outer + block * each);
  *count = 2 * each;
}

// The layer's name without ".weight"; of one part of the matrix that diffusers stores apart, that part's.
static void module_name(const struct dit_row *row, int naming, int block, int part, int parts, char out[96]) {
  static const char *const apart[PARTS] = {"to_q", "to_k", "to_v"};
  char name[96];
  dit_row_name(row, naming, block, name);
  size_t length = strlen(name);
  if (length) name[length - strlen(".weight")] = 0;
  snprintf(out, 96, "%s", name);
  if (parts > 1 && naming == DIT_NAMING_DIFFUSERS) {
    char *leaf = strrchr(out, '.') + 1;
    snprintf(leaf, (size_t)(out + 96 - leaf), "%s", apart[part]);
  }
}

static int add(const struct dit_config *c, const struct dit_row *row, int index, int block, struct dit_adapter *out) {
  unsigned target[PARTS];
  int parts = parts_of(row, target);
  for (int k = 0; k < parts; k++) {
    struct dit_adapter *a = &out[k];
    *a = (struct dit_adapter){.row = index, .part = k, .parts = parts, .target = target[k]};
    a->out = dit_dim(c, row->dims[0]) / parts;
    a->in = dit_dim(c, row->dims[1]);
    for (int n = 0; n < DIT_NAMINGS; n++) module_name(row, n, block, k, parts, a->module[n]);
  }
  return parts;
}

enum vkd_status dit_adapters(const struct dit_config *c, struct dit_adapter **adapters, int *count,
                             struct vkd_error *err) {
  const struct dit_family_row *f = dit_family_of(c);
  int n = 0, most = count_in(f->outer, f->outer_rows, 0, DIT_LORA_ALL) +
                    c->depth * count_in(f->block, f->block_rows, 0, DIT_LORA_ALL);
  struct dit_adapter *a = *adapters = calloc((size_t)most + 1, sizeof *a);
  if (!a) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %d adapters", most);
  for (int i = 0; i < f->outer_rows; i++) n += add(c, &f->outer[i], i, -1, a + n);
  for (int b = 0; b < c->depth; b++)
    for (int i = 0; i < f->block_rows; i++) n += add(c, &f->block[i], dit_block_param(c, b, i), b, a + n);
  *count = n;
  return VKD_OK;
}
