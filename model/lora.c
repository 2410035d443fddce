// The file: which tensor belongs to which layer, and the scale of each pair.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_in.h"
#include "lora_internal.h"
#include "vkdm/fileio.h"

enum { CONFIG_LIMIT = 1 << 20 };
enum { DOWN, UP, ALPHA, ROLES };

static const char *const prefixes[] = {"transformer.",     "base_model.model.transformer.", "base_model.model.",
                                       "diffusion_model.", "model.diffusion_model.",        "pipe.dit."};
static const char *const flat_prefixes[] = {"lora_unet_", "lora_transformer_"}; // then underscores stand for dots

static const struct {
  const char *suffix;
  int role;
} suffixes[] = {{".lora_A.weight", DOWN},
                {".lora_B.weight", UP},
                {".lora_A.default.weight", DOWN},
                {".lora_B.default.weight", UP},
                {".lora_down.weight", DOWN},
                {".lora_up.weight", UP},
                {".lora_down.default.weight", DOWN},
                {".lora_up.default.weight", UP},
                {".lora.down.weight", DOWN},
                {".lora.up.weight", UP},
                {".alpha", ALPHA}};

// What the file gives for a layer, under its own name or, where parts share one, under theirs.
struct slot {
  const struct st_tensor *role[ROLES];
};

struct reader {
  const struct st_file *file;
  struct dit_adapter *adapters;
  int count;
  struct slot *slots; // [2 * count]: apart, then whole
  char list[700];
  int bad;
  bool rooted, known_alpha; // alpha / sqrt(rank); `alpha` is of all layers
  double alpha;
  json_t *pattern; // of alphas by layer; borrowed
};

static void complain(struct reader *r, const char *name, const char *why) {
  size_t at = strlen(r->list);
  if (at + 1 < sizeof r->list) snprintf(r->list + at, sizeof r->list - at, "%s%s %s", r->bad ? ", " : "", name, why);
  r->bad++;
}

// ---- names ---------------------------------------------------------------------------------------------------------
static bool same_name(const char *module, const char *name, size_t length, bool flat) {
  if (!*module || strlen(module) != length) return false;
  for (size_t i = 0; i < length; i++)
    if (name[i] != (flat && module[i] == '.' ? '_' : module[i])) return false;
  return true;
}

// The slot of a layer's name; -1: the model has no such layer.
static int find_layer(const struct reader *r, const char *name, size_t length, bool flat) {
  for (int i = 0; i < r->count; i++)
    for (int n = 0; n < DIT_NAMINGS; n++)
      if (same_name(r->adapters[i].module[n], name, length, flat))
        return r->adapters[i].parts > 1 && n != DIT_NAMING_DIFFUSERS ? r->count + i : i;
  return -1;
}

static int find_slot(const struct reader *r, const char *name, size_t length) {
  int found = find_layer(r, name, length, false);
  for (size_t i = 0; found < 0 && i < sizeof prefixes / sizeof prefixes[0]; i++) {
    size_t skip = strlen(prefixes[i]);
    if (length > skip && strncmp(name, prefixes[i], skip) == 0)
      found = find_layer(r, name + skip, length - skip, false);
  }
  for (size_t i = 0; found < 0 && i < sizeof flat_prefixes / sizeof flat_prefixes[0]; i++) {
    size_t skip = strlen(flat_prefixes[i]);
    if (length > skip && strncmp(name, flat_prefixes[i], skip) == 0)
      found = find_layer(r, name + skip, length - skip, true);
  }
  return found;
}

static void sort_tensor(struct reader *r, const struct st_tensor *t) {
  size_t length = strlen(t->name);
  for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
    size_t end = strlen(suffixes[i].suffix);
    if (length <= end || strcmp(t->name + length - end, suffixes[i].suffix) != 0) continue;
    int slot = find_slot(r, t->name, length - end);
    if (slot < 0) continue;
    const struct st_tensor **place = &r->slots[slot].role[suffixes[i].role];
    if (*place) complain(r, t->name, "says again what another name has said");
    *place = t;
    return;
  }
  complain(r, t->name, "is unknown");
}

// ---- alpha ---------------------------------------------------------------------------------------------------------
static enum vkd_status take_alpha(struct reader *r, double alpha, const char *where, struct vkd_error *err) {
  if (!isfinite(alpha)) return vkd_fail(err, VKD_ERR_INPUT, "%s: lora_alpha is not a finite number", where);
  r->alpha = alpha;
  r->known_alpha = true;
  return VKD_OK;
}

// PEFT's configuration; keys may stand behind a prefix.
static enum vkd_status take_peft(struct reader *r, json_t *root, const char *prefix, const char *where,
                                 struct vkd_error *err) {
  static const char *const refused[] = {"use_dora", "fan_in_fan_out", "lora_bias", "use_qalora"};
  char key[64];
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    snprintf(key, sizeof key, "%s%s", prefix, refused[i]);
    if (json_is_true(json_object_get(root, key)))
      return vkd_fail(err, VKD_ERR_INPUT, "%s: %s is set, which is not supported here", where, key);
  }
  snprintf(key, sizeof key, "%speft_type", prefix);
  const char *type = json_string_value(json_object_get(root, key));
  if (type && strcmp(type, "LORA") != 0)
    return vkd_fail(err, VKD_ERR_INPUT, "%s: adapters of type %.60s, only LORA is supported", where, type);
  snprintf(key, sizeof key, "%suse_rslora", prefix);
  r->rooted = json_is_true(json_object_get(root, key));
  snprintf(key, sizeof key, "%salpha_pattern", prefix);
  r->pattern = json_object_get(root, key);
  snprintf(key, sizeof key, "%slora_alpha", prefix);
  const json_t *alpha = json_object_get(root, key);
  if (!alpha) return VKD_OK;
  return take_alpha(r, json_is_number(alpha) ? json_number_value(alpha) : NAN, where, err);
}

static enum vkd_status take_metadata(struct reader *r, json_t **root, struct vkd_error *err) {
  static const char *const keys[] = {"lora_alpha", "transformer.lora_alpha", "ss_network_alpha"};
  const char *text = st_metadata(r->file, "lora_adapter_metadata"), *path = st_path(r->file);
  if (text) {
    if (!(*root = json_in(text, strlen(text), JSON_IN_VALUES, NULL)) || !json_is_object(*root))
      return vkd_fail(err, VKD_ERR_INPUT, "%s: metadata lora_adapter_metadata is not a JSON object", path);
    return take_peft(r, *root, json_object_get(*root, "transformer.lora_alpha") ? "transformer." : "", path, err);
  }
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    char *end;
    if (!(text = st_metadata(r->file, keys[i]))) continue;
    double alpha = strtod(text, &end);
    if (end == text || *end) continue; // kohya's "None"
    return take_alpha(r, alpha, path, err);
  }
  return VKD_OK;
}

static enum vkd_status take_neighbour(struct reader *r, json_t **root, struct vkd_error *err) {
  const char *file = st_path(r->file), *slash = strrchr(file, '/');
  char *folder = slash ? strndup(file, (size_t)(slash - file) + (slash == file)) : strdup("."), *text = NULL;
  char *path = folder ? fileio_join(folder, "adapter_config.json") : NULL;
  size_t size = 0;
  enum vkd_status st = path ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a path");
  if (st == VKD_OK && fileio_is_file(path)) {
    st = fileio_read_whole(path, CONFIG_LIMIT, &text, &size, err);
    if (st == VKD_OK && (!(*root = json_in(text, size, JSON_IN_VALUES, NULL)) || !json_is_object(*root)))
      st = vkd_fail(err, VKD_ERR_INPUT, "%s: not a JSON object", path);
    if (st == VKD_OK) st = take_peft(r, *root, "", path, err);
  }
  free(text);
  free(path);
  free(folder);
  return st;
}

// Whether a key of PEFT's patterns means the layer: its name, or the end of it.
static bool pattern_fits(const char *key, const char *module) {
  size_t k = strlen(key), m = strlen(module);
  return k && k <= m && strcmp(module + m - k, key) == 0 && (k == m || module[m - k - 1] == '.');
}

static double alpha_of(const struct reader *r, const struct dit_adapter *at, int rank) {
  double alpha = r->known_alpha ? r->alpha : rank;
  const char *key;
  json_t *value;
  json_object_foreach(r->pattern, key, value) {
    for (int n = 0; n < DIT_NAMINGS; n++)
      if (pattern_fits(key, at->module[n])) alpha = json_is_number(value) ? json_number_value(value) : NAN;
  }
  return r->rooted ? alpha * sqrt((double)rank) : alpha;
}

// ---- pairs ---------------------------------------------------------------------------------------------------------
static bool is_float(const struct st_tensor *t) {
  return t->dtype == ST_F64 || t->dtype == ST_F32 || t->dtype == ST_F16 || t->dtype == ST_BF16;
}

// The pair of a slot as layers: one, or every part of one that parts share.
static enum vkd_status add_pair(struct reader *r, struct lora *lora, int slot, struct vkd_error *err) {
  const struct st_tensor *a = r->slots[slot].role[DOWN], *b = r->slots[slot].role[UP],
                         *alpha = r->slots[slot].role[ALPHA];
  const struct dit_adapter *first = &r->adapters[slot % r->count];
  int parts = slot >= r->count ? first->parts : 1;
  uint64_t in = (uint64_t)first->in, out = (uint64_t)(first->out * parts);
  if (!a && !b && !alpha) return VKD_OK;
  if (!a || !b) {
    complain(r, a ? a->name : b ? b->name : alpha->name, a ? "has no lora_B" : b ? "has no lora_A" : "has no pair");
    return VKD_OK;
  }
  char why[96];
  snprintf(why, sizeof why, "is not [rank, %llu]", (unsigned long long)in);
  bool good = a->ndim == 2 && a->shape[1] == in && a->shape[0] >= 1 && a->shape[0] <= 1 << 20 && is_float(a);
  if (!good) complain(r, a->name, why);
  snprintf(why, sizeof why, "is not [%llu, %llu]", (unsigned long long)out,
           (unsigned long long)(good ? a->shape[0] : 0));
  if (good && !(b->ndim == 2 && b->shape[0] == out && b->shape[1] == a->shape[0] && is_float(b))) {
    complain(r, b->name, why);
    good = false;
  }
  if (alpha && !(alpha->numel == 1 && is_float(alpha))) {
    complain(r, alpha->name, "is not one number");
    good = false;
  }
  if (!good) return VKD_OK;
  float told = 0;
  enum vkd_status st = alpha ? st_read_f32(alpha, &told, err) : VKD_OK;
  for (int k = 0; k < parts && st == VKD_OK; k++) {
    struct lora_layer *layer = &lora->layers[lora->count++];
    *layer = (struct lora_layer){.at = first[k], .a = a, .b = b, .b_first = k * first->out, .rank = (int)a->shape[0]};
    layer->alpha = alpha ? (double)told : alpha_of(r, &first[k], layer->rank);
    if (!isfinite(layer->alpha)) complain(r, a->name, "has an alpha that is not a finite number");
  }
  return st;
}

// Layers that the file gives both whole and in parts.
static void check_twice(struct reader *r) {
  for (int i = 0; i < r->count; i++) {
    const struct slot *whole = &r->slots[r->count + i - r->adapters[i].part];
    if (r->adapters[i].parts > 1 && r->slots[i].role[DOWN] && whole->role[DOWN])
      complain(r, r->slots[i].role[DOWN]->name, "says again what another name has said");
  }
}

static enum vkd_status read_all(struct reader *r, struct lora *lora, struct vkd_error *err) {
  json_t *own = NULL, *beside = NULL;
  enum vkd_status st = take_metadata(r, &own, err);
  if (st == VKD_OK && !r->known_alpha) st = take_neighbour(r, &beside, err);
  for (size_t i = 0; st == VKD_OK && i < st_count(r->file); i++) sort_tensor(r, st_at(r->file, i));
  if (st == VKD_OK) check_twice(r);
  for (int i = 0; st == VKD_OK && i < 2 * r->count; i++) st = add_pair(r, lora, i, err);
  if (st == VKD_OK && r->bad)
    st = vkd_fail(err, VKD_ERR_INPUT, "%s: %d tensors do not fit the model as low-rank adapters: %s", st_path(r->file),
                  r->bad, r->list);
  else if (st == VKD_OK && !lora->count)
    st = vkd_fail(err, VKD_ERR_INPUT, "%s: holds no low-rank adapters", st_path(r->file));
  json_decref(own);
  json_decref(beside);
  return st;
}

// The file that a path means; *out is malloc'd.
static enum vkd_status find_file(const char *path, char **out, struct vkd_error *err) {
  static const char *const names[] = {"adapter_model.safetensors", "pytorch_lora_weights.safetensors",
                                      "lora.safetensors"};
  *out = NULL;
  for (size_t i = 0; fileio_is_dir(path) && i < sizeof names / sizeof names[0]; i++) {
    if (!(*out = fileio_join(path, names[i]))) break;
    if (fileio_is_file(*out)) return VKD_OK;
    free(*out);
    *out = NULL;
  }
  if (fileio_is_dir(path))
    return vkd_fail(err, VKD_ERR_INPUT, "%s: holds no %s, %s or %s", path, names[0], names[1], names[2]);
  return (*out = strdup(path)) ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a path");
}

enum vkd_status lora_open(struct lora **out, const char *path, const struct dit_config *config, struct vkd_error *err) {
  struct lora *lora = *out = calloc(1, sizeof *lora);
  struct reader r = {.count = 0};
  char *name = NULL;
  enum vkd_status st =
      lora ? find_file(path, &name, err) : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for adapters");
  if (st == VKD_OK) st = st_open(name, &lora->file, err);
  if (st == VKD_OK) st = dit_adapters(config, &r.adapters, &r.count, err);
  if (st == VKD_OK) {
    r.file = lora->file;
    r.slots = calloc(2 * (size_t)r.count, sizeof *r.slots);
    lora->layers = calloc(2 * (size_t)r.count, sizeof *lora->layers);
    if (!r.slots || !lora->layers) st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %d adapters", r.count);
  }
  if (st == VKD_OK) st = read_all(&r, lora, err);
  free(name);
  free(r.adapters);
  free(r.slots);
  if (st != VKD_OK) lora_close(out);
  return st;
}

void lora_close(struct lora **pl) {
  struct lora *lora = *pl;
  if (!lora) return;
  st_close(&lora->file);
  free(lora->layers);
  free(lora);
  *pl = NULL;
}

const char *lora_path(const struct lora *lora) { return st_path(lora->file); }
int lora_count(const struct lora *lora) { return lora->count; }
int lora_rank(const struct lora *lora) {
  int rank = 0;
  for (int i = 0; i < lora->count; i++)
    if (lora->layers[i].rank > rank) rank = lora->layers[i].rank;
  return rank;
}
