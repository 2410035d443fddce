// Adapters into a model's parameters, merged or beside them, and out of them.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "lora_internal.h"

enum { PIECE = 1 << 20 }; // elements of a weight at once

enum vkd_status lora__read_pair(const struct lora_layer *l, struct lora_pair *pair, struct vkd_error *err) {
  uint64_t na = l->a->numel, nb = (uint64_t)(l->at.out * l->rank);
  pair->a = malloc((size_t)(na + nb) * sizeof *pair->a);
  if (!pair->a) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %s", l->a->name);
  pair->b = pair->a + na;
  enum vkd_status st = st_read_f32(l->a, pair->a, err);
  return st == VKD_OK ? st_read_f32_part(l->b, (uint64_t)(l->b_first * l->rank), nb, pair->b, err) : st;
}

// ---- merged --------------------------------------------------------------------------------------------------------
void lora__add_product(const struct lora_layer *l, const struct lora_pair *pair, double scale, int64_t first,
                       int64_t count, double *sum, float *w) {
  int64_t in = l->at.in, end = first + count;
  for (int64_t o = first / in; o * in < end; o++) {
    for (int64_t i = 0; i < in; i++) sum[i] = 0;
    for (int k = 0; k < l->rank; k++) {
      double factor = (double)pair->b[o * l->rank + k];
      const float *row = pair->a + k * in;
      for (int64_t i = 0; i < in; i++) sum[i] += factor * (double)row[i];
    }
    int64_t begin = first > o * in ? first - o * in : 0, stop = end < (o + 1) * in ? end - o * in : in;
    float *row = w + (o * in - first);
    for (int64_t i = begin; i < stop; i++) row[i] = (float)((double)row[i] + scale * sum[i]);
  }
}

static enum vkd_status merge_layer(const struct lora_layer *l, double strength, struct params *p,
                                   struct vkd_error *err) {
  int64_t in = l->at.in, numel = l->at.out * in;
  uint64_t start = (uint64_t)(l->at.part * numel);
  double scale = strength * l->alpha / l->rank, *sum = malloc((size_t)in * sizeof *sum);
  struct lora_pair pair = {NULL, NULL};
  float *w = malloc(PIECE * sizeof *w);
  enum vkd_status st =
      sum && w ? lora__read_pair(l, &pair, err) : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory to merge adapters");
  for (int64_t at = 0; at < numel && st == VKD_OK; at += PIECE) {
    int64_t n = numel - at < PIECE ? numel - at : PIECE;
    st = params_read_part(p, PARAMS_WEIGHT, l->at.row, start + (uint64_t)at, (uint64_t)n, w, err);
    if (st != VKD_OK) break;
    lora__add_product(l, &pair, scale, at, n, sum, w);
    st = params_write_part(p, PARAMS_WEIGHT, l->at.row, start + (uint64_t)at, (uint64_t)n, w, err);
  }
  free(sum);
  free(w);
  free(pair.a);
  return st;
}

enum vkd_status lora_merge(const struct lora *lora, double strength, struct params *p, struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  for (int i = 0; i < lora->count; i++)
    if (params_dtype(p, lora->layers[i].at.row) != VKD_F32)
      return vkd_fail(err, VKD_ERR_UNSUPPORTED,
                      "%s: cannot be merged into weights that are stored in %s, where most of a small change is lost; "
                      "apply the adapters on the fly, or take fp32",
                      lora_path(lora), vkd_dtype_name(p->config.compute));
  for (int i = 0; i < lora->count && st == VKD_OK; i++) st = merge_layer(&lora->layers[i], strength, p, err);
  return st;
}

// ---- on the fly ----------------------------------------------------------------------------------------------------
bool lora__is_uniform(const struct lora *lora) {
  for (int i = 1; i < lora->count; i++)
    if (lora->layers[i].rank != lora->layers[0].rank || lora->layers[i].alpha != lora->layers[0].alpha) return false;
  return true;
}

double lora__b_factor(const struct lora *lora, const struct lora_layer *l, double strength) {
  return lora__is_uniform(lora) ? 1 : strength * l->alpha / l->rank;
}

void lora_configure(const struct lora *lora, double strength, struct dit_config *c) {
  c->lora.rank = lora_rank(lora);
  c->lora.alpha = (float)(lora__is_uniform(lora) ? lora->layers[0].alpha * strength : c->lora.rank);
  c->lora.targets = 0;
  for (int i = 0; i < lora->count; i++) c->lora.targets |= lora->layers[i].at.target;
}

// Writes a layer into rows of a higher rank or the same; what lies past its own stays zero.
static enum vkd_status apply_layer(const struct lora_layer *l, double factor, struct params *p, enum params_kind kind,
                                   struct vkd_error *err) {
  int row = dit_adapter_row(&p->config, l->at.row, l->at.part), rank = p->config.lora.rank;
  if (row < 0 || l->rank > rank) return vkd_fail(err, VKD_ERR_INTERNAL, "%s: the model has no room for it", l->a->name);
  struct lora_pair pair = {NULL, NULL};
  float *wide = calloc((size_t)(l->at.out * rank), sizeof *wide);
  enum vkd_status st =
      wide ? lora__read_pair(l, &pair, err) : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for adapters");
  for (int64_t o = 0; st == VKD_OK && o < l->at.out; o++)
    for (int k = 0; k < l->rank; k++) wide[o * rank + k] = (float)(factor * (double)pair.b[o * l->rank + k]);
  if (st == VKD_OK) st = params_write_part(p, kind, row, 0, l->a->numel, pair.a, err);
  if (st == VKD_OK) st = params_write(p, kind, row + 1, wide, err);
  free(wide);
  free(pair.a);
  return st;
}

enum vkd_status lora_apply(const struct lora *lora, double strength, struct params *p, struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  for (int i = 0; i < lora->count && st == VKD_OK; i++) {
    const struct lora_layer *l = &lora->layers[i];
    st = apply_layer(l, lora__b_factor(lora, l, strength), p, PARAMS_WEIGHT, err);
  }
  return st;
}

// ---- files of a trained model --------------------------------------------------------------------------------------
static json_t *exact(double x) { return x == floor(x) && fabs(x) < 1e9 ? json_integer((json_int_t)x) : json_real(x); }

// What diffusers looks for: PEFT's configuration as JSON in one metadata text.
static char *metadata(const struct dit_config *c, const struct dit_adapter *adapters, int count) {
  json_t *o = json_object(), *names = json_array();
  for (int i = 0; i < count; i++)
    if (adapters[i].target & c->lora.targets)
      json_array_append_new(names, json_string(adapters[i].module[DIT_NAMING_DIFFUSERS]));
  json_object_set_new(o, "transformer.peft_type", json_string("LORA"));
  json_object_set_new(o, "transformer.r", json_integer(c->lora.rank));
  json_object_set_new(o, "transformer.lora_alpha", exact(c->lora.alpha));
  json_object_set_new(o, "transformer.target_modules", names);
  char *text = json_dumps(o, JSON_COMPACT);
  json_decref(o);
  return text;
}

struct fill {
  const struct params *params;
  enum params_kind kind;
  int row;
  char name[112];
};

static enum vkd_status fill_from_device(void *user, uint64_t offset, void *dst, size_t size, struct vkd_error *err) {
  const struct fill *f = user;
  return params_read_part(f->params, f->kind, f->row, offset / 4, size / 4, dst, err);
}

enum vkd_status lora_save(const struct params *p, enum params_kind kind, const char *path, struct vkd_error *err) {
  int first = dit_base_rows(&p->config), n = p->count - first, adapter_count = 0;
  struct dit_adapter *adapters = NULL;
  struct st_entry *entries = calloc((size_t)n + 1, sizeof *entries);
  struct fill *fills = calloc((size_t)n + 1, sizeof *fills);
  enum vkd_status st = dit_adapters(&p->config, &adapters, &adapter_count, err);
  char *text = st == VKD_OK ? metadata(&p->config, adapters, adapter_count) : NULL;
  if (st == VKD_OK && (!entries || !fills || !text))
    st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory to save %d tensors", n);
  for (int i = 0; i < n && st == VKD_OK; i++) {
    const struct dit_param *row = &p->rows[first + i];
    fills[i] = (struct fill){.params = p, .kind = kind, .row = first + i};
    snprintf(fills[i].name, sizeof fills[i].name, "transformer.%s", row->name[DIT_NAMING_DIFFUSERS]);
    entries[i] = (struct st_entry){.name = fills[i].name,
                                   .dtype = ST_F32,
                                   .ndim = 2,
                                   .shape = {(uint64_t)row->shape.dim[0], (uint64_t)row->shape.dim[1]},
                                   .fill = fill_from_device,
                                   .user = &fills[i]};
  }
  const struct st_meta meta[] = {{"format", "pt"}, {"lora_adapter_metadata", text}};
  if (st == VKD_OK) st = st_write(path, entries, (size_t)n, meta, 2, err);
  free(text);
  free(adapters);
  free(entries);
  free(fills);
  return st;
}

enum vkd_status lora_restore(const char *path, struct params *p, enum params_kind kind, struct vkd_error *err) {
  struct lora *lora = NULL;
  int want = (p->count - dit_base_rows(&p->config)) / 2;
  enum vkd_status st = lora_open(&lora, path, &p->config, err);
  if (st != VKD_OK) return st;
  struct dit_config c = p->config;
  lora_configure(lora, 1, &c);
  if (lora->count != want || !lora__is_uniform(lora) || c.lora.rank != p->config.lora.rank ||
      c.lora.alpha != p->config.lora.alpha || c.lora.targets != p->config.lora.targets)
    st = vkd_fail(err, VKD_ERR_INPUT, "%s: %d adapters of rank %d, alpha %g; the model has %d of rank %d, alpha %g",
                  lora_path(lora), lora->count, c.lora.rank, (double)c.lora.alpha, want, p->config.lora.rank,
                  (double)p->config.lora.alpha);
  for (int i = 0; i < lora->count && st == VKD_OK; i++) st = apply_layer(&lora->layers[i], 1, p, kind, err);
  lora_close(&lora);
  return st;
}
