// Writer of .safetensors: deterministic bytes, tensors streamed through one bounded buffer.
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "vkdm/fileio.h"
#include "vkdm/safetensors.h"

enum { BUFFER_SIZE = 4 << 20 };

static int by_layout(const void *a, const void *b) {
  const struct st_entry *x = *(const struct st_entry *const *)a, *y = *(const struct st_entry *const *)b;
  size_t sx = st_dtype_size(x->dtype), sy = st_dtype_size(y->dtype);
  if (sx != sy) return sx > sy ? -1 : 1;
  return strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b) {
  return strcmp((*(const struct st_entry *const *)a)->name, (*(const struct st_entry *const *)b)->name);
}

static int by_key(const void *a, const void *b) {
  return strcmp((*(const struct st_meta *const *)a)->key, (*(const struct st_meta *const *)b)->key);
}

static bool entry_bytes(const struct st_entry *e, uint64_t *bytes) {
  if (e->ndim < 0 || e->ndim > ST_MAX_DIMS || (unsigned)e->dtype >= ST_DTYPES) return false;
  uint64_t numel = 1;
  for (int i = 0; i < e->ndim; i++) {
    if (e->shape[i] && numel > INT64_MAX / 8 / e->shape[i]) return false;
    numel *= e->shape[i];
  }
  *bytes = numel * st_dtype_size(e->dtype);
  return *bytes == 0 || e->data || e->fill;
}

static int add_entry(json_t *header, const struct st_entry *e, uint64_t begin, uint64_t end) {
  json_t *shape = json_array();
  for (int i = 0; i < e->ndim; i++) json_array_append_new(shape, json_integer((json_int_t)e->shape[i]));
  return json_object_set_new(header, e->name,
                             json_pack("{s:s,s:o,s:[I,I]}", "dtype", st_dtype_name(e->dtype), "shape", shape,
                                       "data_offsets", (json_int_t)begin, (json_int_t)end));
}

// *out: the header as JSON text, padded with spaces to a multiple of 8.
static enum vkd_status make_header(const char *path, const struct st_entry **order, size_t count,
                                   const struct st_meta **meta, size_t meta_count, char **out, size_t *length,
                                   struct vkd_error *err) {
  enum vkd_status status = VKD_OK;
  json_t *header = json_object();
  char *text = NULL, *padded = NULL;
  uint64_t at = 0;
  if (meta_count) {
    json_t *map = json_object();
    json_object_set(header, "__metadata__", map);
    int failed = 0;
    for (size_t i = 0; i < meta_count; i++)
      failed |= json_object_get(map, meta[i]->key) != NULL ||
                json_object_set_new(map, meta[i]->key, json_string(meta[i]->value));
    json_decref(map);
    if (failed) {
      status = vkd_fail(err, VKD_ERR_INTERNAL, "%s: metadata with a duplicate key or a text that is not UTF-8", path);
      goto fail;
    }
  }
  for (size_t i = 0; i < count; i++) {
    uint64_t bytes;
    if (!entry_bytes(order[i], &bytes) || bytes > INT64_MAX - at || !strcmp(order[i]->name, "__metadata__") ||
        add_entry(header, order[i], at, at + bytes)) {
      status =
          vkd_fail(err, VKD_ERR_INTERNAL, "%s: tensor '%s' has no valid name, shape or data", path, order[i]->name);
      goto fail;
    }
    at += bytes;
  }
  text = json_dumps(header, JSON_COMPACT);
  if (text) {
    size_t n = strlen(text);
    *length = (n + 7) / 8 * 8;
    padded = malloc(*length + 1);
    if (padded) {
      memset(padded, ' ', *length);
      memcpy(padded, text, n);
    }
  }
  if (!padded) status = vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", path);
fail:
  free(text);
  json_decref(header);
  *out = padded;
  return status;
}

static enum vkd_status write_entry(struct fileio *f, const struct st_entry *e, void *buffer, struct vkd_error *err) {
  uint64_t bytes = 0;
  entry_bytes(e, &bytes);
  if (e->data) return fileio_write(f, e->data, (size_t)bytes, err);
  for (uint64_t at = 0; at < bytes;) {
    size_t n = bytes - at < BUFFER_SIZE ? (size_t)(bytes - at) : BUFFER_SIZE;
    enum vkd_status status = e->fill(e->user, at, buffer, n, err);
    if (!status) status = fileio_write(f, buffer, n, err);
    if (status) return status;
    at += n;
  }
  return VKD_OK;
}

enum vkd_status st_write(const char *path, const struct st_entry *entries, size_t count, const struct st_meta *meta,
                         size_t meta_count, struct vkd_error *err) {
  enum vkd_status status = VKD_OK;
  struct fileio f = {0};
  char *header = NULL;
  const struct st_entry **order = malloc((count + 1) * sizeof *order);
  const struct st_meta **metas = malloc((meta_count + 1) * sizeof *metas);
  void *buffer = malloc(BUFFER_SIZE);
  if (!order || !metas || !buffer) {
    status = vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", path);
    goto fail;
  }
  for (size_t i = 0; i < count; i++) order[i] = &entries[i];
  for (size_t i = 0; i < meta_count; i++) metas[i] = &meta[i];
  qsort(metas, meta_count, sizeof *metas, by_key);
  qsort(order, count, sizeof *order, by_name);
  for (size_t i = 1; i < count; i++)
    if (!strcmp(order[i - 1]->name, order[i]->name)) {
      status = vkd_fail(err, VKD_ERR_INTERNAL, "%s: tensor '%s' is given twice", path, order[i]->name);
      goto fail;
    }
  qsort(order, count, sizeof *order, by_layout);
  size_t length = 0;
  status = make_header(path, order, count, metas, meta_count, &header, &length, err);
  if (status) goto fail;
  uint64_t length64 = length;
  status = fileio_begin(&f, path, err);
  if (!status) status = fileio_write(&f, &length64, sizeof length64, err);
  if (!status) status = fileio_write(&f, header, length, err);
  for (size_t i = 0; i < count && !status; i++) status = write_entry(&f, order[i], buffer, err);
  if (!status) status = fileio_commit(&f, err);
fail:
  fileio_abort(&f);
  free(header);
  free(buffer);
  free(metas);
  free(order);
  return status;
}
