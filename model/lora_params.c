// Adapters into a model's parameters, merged or beside them, and out of them.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "lora_internal.h"

enum { PIECE = 1 << 20 }; // elements of a weight at once

// A [rank, in] and this part's B [out, rank], malloc'd as one block.
static enum vkd_status read_pair(const struct lora_layer *l, float **a, float **b, struct vkd_error *err) {
  uint64_t na = l->a->numel, nb = (uint64_t)(l->at.out * l->rank);
  *a = malloc((size_t)(na + nb) * sizeof **a);
  if (!*a) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %s", l->a->name);
  *b = *a + na;
  enum vkd_status st = st_read_f32(l->a, *a, err);
  return st == VKD_OK ? st_read_f32_part(l->b, (uint64_t)(l->b_first * l->rank), nb, *b, err) : st;
}

// ---- merged --------------------------------------------------------------------------------------------------------
// w [rows, in] += scale * b [rows, rank] a [rank, in]; sum: [in]
static void add_product(const struct lora_layer *l, double scale, const float *a, const float *b, int64_t rows,
                        double *sum, float *w) {
  int64_t in = l->at.in;
  for (int64_t o = 0; o < rows; o++) {
    for (int64_t i = 0; i < in; i++) sum[i] = 0;
    for (int k = 0; k < l->rank; k++) {
      double factor = (double)b[o * l->rank + k];
      const float *row = a + k * in;
      for (int64_t i = 0; i < in; i++) sum[i] += factor * (double)row[i];
    }
    for (int64_t i = 0; i < in; i++) w[o * in + i] = (float)((double)w[o * in + i] + scale * sum[i]);
  }
}

static enum vkd_status merge_layer(const struct lora_layer *l, double strength, struct params *p,
                                   struct vkd_error *err) {
  int64_t in = l->at.in, rows = PIECE / in > 0 ? PIECE / in : 1;
  double scale = strength * l->alpha / l->rank, *sum = malloc((size_t)in * sizeof *sum);
  float *a = NULL, *b = NULL, *w = malloc((size_t)(rows * in) * sizeof *w);
  enum vkd_status st = sum && w ? read_pair(l, &a, &b, err) : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory to merge");
  for (int64_t o = 0; o < l->at.out && st == VKD_OK; o += rows) {
    int64_t n = l->at.out - o < rows ? l->at.out - o : rows;
    uint64_t first = (uint64_t)((l->at.part * l->at.out + o) * in), count = (uint64_t)(n * in);
    st = params_read_part(p, PARAMS_WEIGHT, l->at.row, first, count, w, err);
    if (st != VKD_OK) break;
    add_product(l, scale, a, b + o * l->rank, n, sum, w);
    st = params_write_part(p, PARAMS_WEIGHT, l->at.row, first, count, w, err);
  }
  free(sum);
  free(w);
  free(a);
  return st;
}

enum vkd_status lora_merge(const struct lora *lora, double strength, struct params *p, struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  for (int i = 0; i < lora->count && st == VKD_OK; i++) st = merge_layer(&lora->layers[i], strength, p, err);
  return st;
}

// ---- on the fly ----------------------------------------------------------------------------------------------------
// Whether one rank and alpha serve every layer, so that the values are the file's, bit for bit.
static bool is_uniform(const struct lora *lora) {
  for (int i = 1; i < lora->count; i++)
    if (lora->layers[i].rank != lora->layers[0].rank || lora->layers[i].alpha != lora->layers[0].alpha) return false;
  return true;
}

void lora_configure(const struct lora *lora, double strength, struct dit_config *c) {
  c->lora.rank = lora_rank(lora);
  c->lora.alpha = (float)(is_uniform(lora) ? lora->layers[0].alpha * strength : c->lora.rank);
  c->lora.targets = 0;
  for (int i = 0; i < lora->count; i++) c->lora.targets |= lora->layers[i].at.target;
}

// Writes a layer into rows of a higher rank or the same; what lies past its own stays zero.
static enum vkd_status apply_layer(const struct lora_layer *l, double factor, struct params *p, enum params_kind kind,
                                   struct vkd_error *err) {
  int row = dit_adapter_row(&p->config, l->at.row, l->at.part), rank = p->config.lora.rank;
  if (row < 0 || l->rank > rank) return vkd_fail(err, VKD_ERR_INTERNAL, "%s: the model has no room for it", l->a->name);
  float *a = NULL, *b = NULL, *wide = calloc((size_t)(l->at.out * rank), sizeof *wide);
  enum vkd_status st = wide ? read_pair(l, &a, &b, err) : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for adapters");
  for (int64_t o = 0; st == VKD_OK && o < l->at.out; o++)
    for (int k = 0; k < l->rank; k++)
      wide[o * rank + k] = factor == 1 ? b[o * l->rank + k] : (float)(factor * (double)b[o * l->rank + k]);
  if (st == VKD_OK) st = params_write_part(p, kind, row, 0, l->a->numel, a, err);
  if (st == VKD_OK) st = params_write(p, kind, row + 1, wide, err);
  free(wide);
  free(a);
  return st;
}

enum vkd_status lora_apply(const struct lora *lora, double strength, struct params *p, struct vkd_error *err) {
  bool uniform = is_uniform(lora);
  enum vkd_status st = VKD_OK;
  for (int i = 0; i < lora->count && st == VKD_OK; i++) {
    const struct lora_layer *l = &lora->layers[i];
    st = apply_layer(l, uniform ? 1 : strength * l->alpha / l->rank, p, PARAMS_WEIGHT, err);
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
  if (lora->count != want || !is_uniform(lora) || c.lora.rank != p->config.lora.rank ||
      c.lora.alpha != p->config.lora.alpha || c.lora.targets != p->config.lora.targets)
    st = vkd_fail(err, VKD_ERR_INPUT, "%s: %d adapters of rank %d, alpha %g; the model has %d of rank %d, alpha %g",
                  lora_path(lora), lora->count, c.lora.rank, (double)c.lora.alpha, want, p->config.lora.rank,
                  (double)p->config.lora.alpha);
  for (int i = 0; i < lora->count && st == VKD_OK; i++) st = apply_layer(&lora->layers[i], 1, p, kind, err);
  lora_close(&lora);
  return st;
}
