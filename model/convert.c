#include "vkdm/convert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vkdm/fileio.h"

enum { PIECE = 1 << 20, NAME_SIZE = 160 };

// One tensor of the new file.
struct item {
  struct convert *convert;
  char name[NAME_SIZE];
  int param;
  uint64_t first; // element of the parameter
  enum st_dtype dtype;
  bool bits; // copied as they are
};

struct convert {
  const struct convert_params *p;
  struct source *source;
  struct naming_tensor *tensors;
  struct item *items;
  struct st_entry *entries; // [count]
  size_t count;
  struct st_meta *meta; // [meta_count]
  size_t meta_count;
  struct derive_meta own;
  float *piece;         // [PIECE]
  uint64_t done, total; // bytes
};

static enum vkd_status fill_item(const struct item *item, uint64_t offset, void *dst, size_t size,
                                 struct vkd_error *err) {
  const struct convert *c = item->convert;
  size_t width = st_dtype_size(item->dtype);
  uint64_t first = item->first + offset / width, count = size / width, bad;
  if (item->bits) return source_read_bits(c->source, item->param, first, count, dst, err);
  while (count) {
    uint64_t n = count < PIECE ? count : PIECE;
    enum vkd_status st = source_read(c->source, item->param, first, n, c->piece, err);
    if (st != VKD_OK) return st;
    if (!st_narrow(item->dtype, c->piece, n, dst, &bad))
      return vkd_fail(err, VKD_ERR_INPUT, "%s: tensor '%s' holds %.9g, which %s cannot hold; take %s",
                      weights_path(c->p->weights), item->name, (double)c->piece[bad], st_dtype_name(item->dtype),
                      item->dtype == ST_F16 ? "bf16 or f32" : "f32");
    dst = (char *)dst + n * width;
    first += n;
    count -= n;
  }
  return VKD_OK;
}

static enum vkd_status fill(void *user, uint64_t offset, void *dst, size_t size, struct vkd_error *err) {
  const struct item *item = user;
  struct convert *c = item->convert;
  enum vkd_status st = fill_item(item, offset, dst, size, err);
  c->done += size;
  if (st == VKD_OK && c->p->progress) c->p->progress(c->p->user, c->done, c->total);
  return st;
}

// A table that every reader computes itself is left out, to the bit; any other one goes along.
static enum vkd_status is_computed(const struct convert *c, int param, bool *same, struct vkd_error *err) {
  int count;
  const struct dit_param *p = &source_params(c->source, &count)[param];
  size_t n = (size_t)p->numel;
  enum st_dtype dtype;
  *same = !source_stored(c->source, param);
  enum vkd_status st = source_dtype(c->source, param, 0, n, &dtype, err);
  if (st != VKD_OK || *same || dtype != ST_F32) return st;
  float *values = malloc(2 * n * sizeof *values);
  if (!values) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a table of %zu numbers", n);
  dit_param_init(&c->p->model->config, p, param, 0, values);
  st = source_read_bits(c->source, param, 0, n, values + n, err);
  *same = st == VKD_OK && memcmp(values, values + n, n * sizeof *values) == 0;
  free(values);
  return st;
}

static enum vkd_status add_item(struct convert *c, const struct naming_tensor *t, struct vkd_error *err) {
  static const enum st_dtype dtypes[] = {[CONVERT_F32] = ST_F32, [CONVERT_F16] = ST_F16, [CONVERT_BF16] = ST_BF16};
  struct item *item = &c->items[c->count];
  struct st_entry *entry = &c->entries[c->count];
  int count;
  const struct dit_param *p = &source_params(c->source, &count)[t->param];
  int64_t row = p->numel / p->shape.dim[0];
  *item = (struct item){.convert = c, .param = t->param, .first = (uint64_t)(t->first * row)};
  snprintf(item->name, sizeof item->name, "%s%s", c->p->prefix ? c->p->prefix : "", t->name);
  if (c->p->dtype != CONVERT_KEEP) {
    item->dtype = dtypes[c->p->dtype];
  } else {
    enum vkd_status st = source_dtype(c->source, t->param, item->first, (uint64_t)(t->rows * row), &item->dtype, err);
    if (st != VKD_OK) return st;
    item->bits = source_stored(c->source, t->param);
  }
  *entry =
      (struct st_entry){.name = item->name, .dtype = item->dtype, .ndim = t->shape.rank, .fill = fill, .user = item};
  for (int d = 0; d < t->shape.rank; d++) entry->shape[d] = (uint64_t)t->shape.dim[d];
  c->total += (uint64_t)(t->rows * row) * st_dtype_size(item->dtype);
  c->count++;
  return VKD_OK;
}

static enum vkd_status list_items(struct convert *c, struct vkd_error *err) {
  const struct convert_params *p = c->p;
  bool native = p->naming == dit_native_naming(&p->model->config);
  int count;
  enum vkd_status st = naming_tensors(&p->model->config, p->naming, &c->tensors, &count, err);
  if (st != VKD_OK) return st;
  c->items = calloc((size_t)count, sizeof *c->items);
  c->entries = calloc((size_t)count, sizeof *c->entries);
  c->piece = malloc(PIECE * sizeof *c->piece);
  if (!c->items || !c->entries || !c->piece)
    return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory to convert %d tensors", count);
  for (int i = 0; i < count && st == VKD_OK; i++) {
    bool computed = false;
    if (c->tensors[i].optional && !native) st = is_computed(c, c->tensors[i].param, &computed, err);
    if (st == VKD_OK && !computed) st = add_item(c, &c->tensors[i], err);
  }
  return st;
}

// That of the file, ours anew, and the mark that PyTorch's loaders look for.
static enum vkd_status list_metadata(struct convert *c, struct vkd_error *err) {
  const struct weights *w = c->p->weights;
  size_t count = weights_metadata_count(w);
  c->meta = calloc(count + DERIVE_META + 1, sizeof *c->meta);
  if (!c->meta) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for metadata");
  for (size_t i = 0; i < count; i++) {
    struct st_meta *m = &c->meta[c->meta_count];
    weights_metadata_at(w, i, &m->key, &m->value);
    c->meta_count += !derive_is_metadata(m->key);
  }
  if (!weights_metadata(w, "format")) c->meta[c->meta_count++] = (struct st_meta){"format", "pt"};
  derive_metadata(c->p->model, &c->own);
  for (size_t i = 0; i < c->own.count; i++) c->meta[c->meta_count++] = c->own.rows[i];
  return VKD_OK;
}

// A file that is read would be lost where the new one has fewer bits, or is of a shard alone.
static enum vkd_status check_path(const struct weights *w, const char *path, struct vkd_error *err) {
  const struct st_file *file = NULL;
  bool same = fileio_is_same(path, weights_path(w));
  for (size_t i = 0; i < weights_count(w) && !same; i++) {
    if (weights_at(w, i)->file == file) continue;
    file = weights_at(w, i)->file;
    same = fileio_is_same(path, st_path(file));
  }
  return same ? vkd_fail(err, VKD_ERR_USAGE, "%s: is what is converted; name another file to write", path) : VKD_OK;
}

enum vkd_status convert_weights(const struct convert_params *p, const char *path, struct vkd_error *err) {
  struct convert c = {.p = p};
  enum vkd_status st = check_path(p->weights, path, err);
  if (st == VKD_OK) st = source_open(&c.source, p->weights, &p->model->config, err);
  if (st == VKD_OK) st = list_items(&c, err);
  if (st == VKD_OK) st = list_metadata(&c, err);
  if (st == VKD_OK) st = st_write(path, c.entries, c.count, c.meta, c.meta_count, err);
  free(c.piece);
  free(c.meta);
  free(c.entries);
  free(c.items);
  free(c.tensors);
  source_close(&c.source);
  return st;
}
