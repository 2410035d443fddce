// Adapters in or beside weights that are read from the host, block after block.
#include <stdlib.h>
#include <string.h>

#include "lora_internal.h"

struct lora_reader {
  struct params_reader self;
  const struct params_reader *inner;
  const struct lora *lora;
  double strength;
  struct dit_config config; // the model whose rows are read
  bool apply;
  struct lora_pair *pairs; // [lora->count]
  int *rows;               // [lora->count] of A, with apply
};

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

// An adapter's row: the file's values, and zero where the file has no such layer or a lower rank.
static void read_adapter(const struct lora_reader *r, int index, int64_t first, int64_t count, float *dst) {
  memset(dst, 0, (size_t)count * sizeof *dst);
  for (int i = 0; i < r->lora->count; i++) {
    const struct lora_layer *l = &r->lora->layers[i];
    const struct lora_pair *pair = &r->pairs[i];
    int rank = r->config.lora.rank;
    if (r->rows[i] == index)
      for (int64_t k = first; k < least(first + count, l->rank * l->at.in); k++) dst[k - first] = pair->a[k];
    if (r->rows[i] + 1 != index) continue;
    double factor = lora__b_factor(r->lora, l, r->strength);
    for (int64_t k = first; k < first + count; k++)
      if (k % rank < l->rank) dst[k - first] = (float)(factor * (double)pair->b[k / rank * l->rank + k % rank]);
  }
}

// Several threads read at once: what the work needs is each one's own.
static enum vkd_status add_adapters(const struct lora_reader *r, int index, int64_t first, int64_t count, float *dst,
                                    struct vkd_error *err) {
  for (int i = 0; i < r->lora->count; i++) {
    const struct lora_layer *l = &r->lora->layers[i];
    if (l->at.row != index) continue;
    int64_t numel = l->at.out * l->at.in, start = l->at.part * numel;
    int64_t begin = most(first, start), end = least(first + count, start + numel);
    if (begin >= end) continue;
    double *sum = malloc((size_t)l->at.in * sizeof *sum);
    if (!sum) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for adapters");
    lora__add_product(l, &r->pairs[i], r->strength * l->alpha / l->rank, begin - start, end - begin, sum,
                      dst + (begin - first));
    free(sum);
  }
  return VKD_OK;
}

static enum vkd_status read_part(void *user, int index, uint64_t first, uint64_t count, float *dst,
                                 struct vkd_error *err) {
  const struct lora_reader *r = user;
  if (r->apply && index >= dit_base_rows(&r->config)) {
    read_adapter(r, index, (int64_t)first, (int64_t)count, dst);
    return VKD_OK;
  }
  enum vkd_status st = r->inner->read(r->inner->user, index, first, count, dst, err);
  return st == VKD_OK && !r->apply ? add_adapters(r, index, (int64_t)first, (int64_t)count, dst, err) : st;
}

enum vkd_status lora_reader_create(struct lora_reader **out, const struct lora *lora, double strength, bool apply,
                                   const struct dit_config *base, const struct params_reader *inner,
                                   struct vkd_error *err) {
  struct lora_reader *r = *out = calloc(1, sizeof *r);
  if (!r) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for adapters");
  r->self = (struct params_reader){.read = read_part, .user = r};
  r->inner = inner;
  r->lora = lora;
  r->strength = strength;
  r->config = *base;
  r->apply = apply;
  if (apply) lora_configure(lora, strength, &r->config);
  size_t n = lora->count > 0 ? (size_t)lora->count : 0;
  r->pairs = calloc(n, sizeof *r->pairs);
  r->rows = calloc(n, sizeof *r->rows);
  enum vkd_status st =
      r->pairs && r->rows ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %d adapters", lora->count);
  for (int i = 0; i < lora->count && st == VKD_OK; i++) {
    r->rows[i] = dit_adapter_row(&r->config, lora->layers[i].at.row, lora->layers[i].at.part);
    st = lora__read_pair(&lora->layers[i], &r->pairs[i], err);
  }
  if (st != VKD_OK) lora_reader_destroy(out);
  return st;
}

const struct params_reader *lora_reader_get(const struct lora_reader *r) { return &r->self; }

void lora_reader_destroy(struct lora_reader **pr) {
  struct lora_reader *r = *pr;
  if (!r) return;
  for (int i = 0; r->pairs && i < r->lora->count; i++) free(r->pairs[i].a);
  free(r->pairs);
  free(r->rows);
  free(r);
  *pr = NULL;
}
