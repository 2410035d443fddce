// Parameters to and from safetensors, in the public namings.
#include <stdlib.h>
#include <string.h>

#include "vkdm/params.h"
#include "vkdm/source.h"

enum { PIECE = 1 << 20 }; // elements converted at once

enum vkd_status params_load_weights(struct params *p, enum params_kind kind, const struct weights *weights,
                                    enum dit_naming *naming, struct vkd_error *err) {
  struct source *source = NULL;
  float *piece = NULL;
  enum vkd_status st = source_open(&source, weights, &p->config, err);
  if (st != VKD_OK) return st;
  if (naming) *naming = source_naming(source);
  if (!(piece = malloc(PIECE * sizeof *piece))) {
    st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory to load weights", weights_path(weights));
    goto fail;
  }
  for (int i = 0; i < p->count; i++) {
    if (!params_has(p, kind, i)) continue;
    uint64_t numel = (uint64_t)p->rows[i].numel;
    for (uint64_t at = 0; at < numel; at += PIECE) {
      uint64_t n = numel - at < PIECE ? numel - at : PIECE;
      if ((st = source_read(source, i, at, n, piece, err)) != VKD_OK) goto fail;
      if ((st = params_write_part(p, kind, i, at, n, piece, err)) != VKD_OK) goto fail;
    }
  }
fail:
  free(piece);
  source_close(&source);
  return st;
}

enum vkd_status params_load(struct params *p, enum params_kind kind, const struct st_file *file,
                            enum dit_naming *naming, struct vkd_error *err) {
  struct weights *weights = NULL;
  enum vkd_status st = weights_wrap(&weights, file, err);
  if (st == VKD_OK) st = params_load_weights(p, kind, weights, naming, err);
  weights_close(&weights);
  return st;
}

struct fill {
  const struct params *params;
  enum params_kind kind;
  int index;
  uint64_t first; // element of the parameter
};

static enum vkd_status fill_from_device(void *user, uint64_t offset, void *dst, size_t size, struct vkd_error *err) {
  const struct fill *f = user;
  return params_read_part(f->params, f->kind, f->index, f->first + offset / 4, size / 4, dst, err);
}

// Whether a parameter on the device is what dit_param_init() makes of it.
static enum vkd_status is_computed(const struct params *p, enum params_kind kind, int i, bool *same,
                                   struct vkd_error *err) {
  size_t n = (size_t)p->rows[i].numel;
  float *values = malloc(2 * n * sizeof *values);
  if (!values) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory to save %zu numbers", n);
  dit_param_init(&p->config, &p->rows[i], i, 0, values);
  enum vkd_status st = params_read(p, kind, i, values + n, err);
  *same = st == VKD_OK && memcmp(values, values + n, n * sizeof *values) == 0;
  free(values);
  return st;
}

enum vkd_status params_save(const struct params *p, enum params_kind kind, enum dit_naming naming, const char *path,
                            const struct st_meta *meta, size_t meta_count, struct vkd_error *err) {
  struct naming_tensor *tensors = NULL;
  struct st_entry *entries = NULL;
  struct fill *fills = NULL;
  int count = 0;
  size_t n = 0;
  enum vkd_status st = naming_tensors(&p->config, naming, &tensors, &count, err);
  if (st != VKD_OK) return st;
  entries = calloc((size_t)count, sizeof *entries);
  fills = calloc((size_t)count, sizeof *fills);
  if (!entries || !fills) {
    st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory to save %d tensors", path, count);
    goto fail;
  }
  for (int i = 0; i < count; i++) {
    const struct naming_tensor *t = &tensors[i];
    bool computed = false;
    if (!params_has(p, kind, t->param)) continue;
    if (t->optional && naming != dit_native_naming(&p->config) &&
        (st = is_computed(p, kind, t->param, &computed, err)) != VKD_OK)
      goto fail;
    if (computed) continue;
    const struct dit_param *row = &p->rows[t->param];
    fills[n] = (struct fill){p, kind, t->param, (uint64_t)(t->first * (row->numel / row->shape.dim[0]))};
    entries[n] = (struct st_entry){
        .name = t->name, .dtype = ST_F32, .ndim = t->shape.rank, .fill = fill_from_device, .user = &fills[n]};
    for (int d = 0; d < t->shape.rank; d++) entries[n].shape[d] = (uint64_t)t->shape.dim[d];
    n++;
  }
  st = st_write(path, entries, n, meta, meta_count, err);
fail:
  free(entries);
  free(fills);
  free(tensors);
  return st;
}
