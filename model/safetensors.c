// Reader of .safetensors.  Nothing in the header is believed before it is checked against the size of the file.
#include "vkdm/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json_in.h"
#include "vkd/nearest.h"
#include "vkdm/fileio.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file's bytes are used as they are");

enum { HEADER_LIMIT = 16 << 20 }; // of some 100 bytes a tensor; the format's own reader takes 100 MB

struct st_file {
  char *path;
  unsigned char *map;
  size_t map_size;
  json_t *header;
  struct st_tensor *tensors; // [count], by name
  size_t count;
  struct st_meta *meta; // [meta_count], by key
  size_t meta_count;
};

static const struct {
  const char *name;
  size_t size;
} dtypes[] = {
#define X(name, bytes) {#name, bytes},
    ST_DTYPE_MAP(X)
#undef X
};

const char *st_dtype_name(enum st_dtype dtype) { return dtypes[dtype].name; }
size_t st_dtype_size(enum st_dtype dtype) { return dtypes[dtype].size; }

static int by_name(const void *a, const void *b) {
  return strcmp(((const struct st_tensor *)a)->name, ((const struct st_tensor *)b)->name);
}

static int by_key(const void *a, const void *b) {
  return strcmp(((const struct st_meta *)a)->key, ((const struct st_meta *)b)->key);
}

static int by_place(const void *a, const void *b) {
  const struct st_tensor *x = *(const struct st_tensor *const *)a, *y = *(const struct st_tensor *const *)b;
  if (x->data != y->data) return (const char *)x->data < (const char *)y->data ? -1 : 1;
  return x->size < y->size ? -1 : x->size > y->size;
}

static enum vkd_status fail_tensor(const struct st_file *f, const char *name, const char *what, struct vkd_error *err) {
  return vkd_fail(err, VKD_ERR_INPUT, "%s: tensor '%.200s': %s", f->path, name, what);
}

static bool whole_number(const json_t *json, uint64_t *value) {
  if (!json_is_integer(json) || json_integer_value(json) < 0) return false;
  *value = (uint64_t)json_integer_value(json);
  return true;
}

// `base`, `room`: where the tensor data begin, and how many bytes they are.
static enum vkd_status parse_tensor(struct st_file *f, const char *name, const json_t *json, const unsigned char *base,
                                    uint64_t room, struct st_tensor *t, struct vkd_error *err) {
  const char *dtype = json_string_value(json_object_get(json, "dtype"));
  const json_t *shape = json_object_get(json, "shape"), *offsets = json_object_get(json, "data_offsets");
  if (!dtype || !json_is_array(shape) || !json_is_array(offsets) || json_array_size(offsets) != 2 ||
      json_object_size(json) != 3)
    return fail_tensor(f, name, "must have exactly dtype, shape and two data_offsets", err);
  *t = (struct st_tensor){.name = name, .dtype = ST_DTYPES, .numel = 1, .file = f};
  for (int i = 0; i < ST_DTYPES; i++)
    if (!strcmp(dtypes[i].name, dtype)) t->dtype = (enum st_dtype)i;
  if (t->dtype == ST_DTYPES) return fail_tensor(f, name, "unknown dtype", err);
  if (json_array_size(shape) > ST_MAX_DIMS) return fail_tensor(f, name, "more than 8 dimensions", err);
  t->ndim = (int)json_array_size(shape);
  for (int i = 0; i < t->ndim; i++) {
    uint64_t n;
    if (!whole_number(json_array_get(shape, (size_t)i), &n)) return fail_tensor(f, name, "shape is not whole", err);
    if (n && t->numel > UINT64_MAX / 16 / n) return fail_tensor(f, name, "shape overflows", err);
    t->shape[i] = n;
    t->numel *= n;
  }
  t->size = t->numel * dtypes[t->dtype].size;
  uint64_t begin, end;
  if (!whole_number(json_array_get(offsets, 0), &begin) || !whole_number(json_array_get(offsets, 1), &end) ||
      begin > end)
    return fail_tensor(f, name, "data_offsets are no range", err);
  if (end > room) return fail_tensor(f, name, "lies beyond the end of the file (is it truncated?)", err);
  if (end - begin != t->size) return fail_tensor(f, name, "data_offsets disagree with dtype and shape", err);
  t->data = base + begin;
  return VKD_OK;
}

static enum vkd_status parse_metadata(struct st_file *f, json_t *json, struct vkd_error *err) {
  if (!json_is_object(json)) return vkd_fail(err, VKD_ERR_INPUT, "%s: __metadata__ is not a map", f->path);
  f->meta = calloc(json_object_size(json) + 1, sizeof *f->meta);
  if (!f->meta) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", f->path);
  const char *key;
  json_t *value;
  json_object_foreach(json, key, value) {
    if (!json_is_string(value))
      return vkd_fail(err, VKD_ERR_INPUT, "%s: __metadata__ '%.200s' is not a string", f->path, key);
    f->meta[f->meta_count++] = (struct st_meta){key, json_string_value(value)};
  }
  qsort(f->meta, f->meta_count, sizeof *f->meta, by_key);
  return VKD_OK;
}

// Sorted by place, every tensor begins where the last one ended, and the last ends with the file.
static enum vkd_status check_coverage(const struct st_file *f, const unsigned char *base, uint64_t room,
                                      struct vkd_error *err) {
  const struct st_tensor **order = malloc((f->count + 1) * sizeof *order);
  if (!order) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", f->path);
  for (size_t i = 0; i < f->count; i++) order[i] = &f->tensors[i];
  qsort(order, f->count, sizeof *order, by_place);
  enum vkd_status status = VKD_OK;
  const unsigned char *end = base;
  for (size_t i = 0; i < f->count && !status; i++) {
    const unsigned char *begin = order[i]->data;
    if (begin < end)
      status = fail_tensor(f, order[i]->name, "overlaps another tensor", err);
    else if (begin > end)
      status = fail_tensor(f, order[i]->name, "bytes before it belong to no tensor", err);
    end = begin + order[i]->size;
  }
  free(order);
  if (!status && end != base + room)
    status = vkd_fail(err, VKD_ERR_INPUT, "%s: %" PRIu64 " bytes at the end belong to no tensor", f->path,
                      room - (uint64_t)(end - base));
  return status;
}

static enum vkd_status map_file(struct st_file *f, struct vkd_error *err) {
  struct stat st;
  // not blocking, lest a FIFO of that name hangs us
  int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return fileio_fail("open it", f->path, err);
  enum vkd_status status = VKD_OK;
  if (fstat(fd, &st))
    status = vkd_fail(err, VKD_ERR_IO, "%s: cannot read it: %s", f->path, strerror(errno));
  else if (!S_ISREG(st.st_mode))
    status = vkd_fail(err, VKD_ERR_INPUT, "%s: is not a file", f->path);
  else if (st.st_size < 8 || (uintmax_t)st.st_size > SIZE_MAX)
    status = vkd_fail(err, VKD_ERR_INPUT, "%s: too short for a .safetensors file", f->path);
  if (!status) {
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) {
      status = vkd_fail(err, VKD_ERR_IO, "%s: cannot map it: %s", f->path, strerror(errno));
    } else {
      f->map = map;
      f->map_size = (size_t)st.st_size;
    }
  }
  close(fd);
  return status;
}

static enum vkd_status parse_header(struct st_file *f, struct vkd_error *err) {
  uint64_t length;
  memcpy(&length, f->map, sizeof length); // NOLINT(clang-analyzer-core.NonNullParamChecker): mapped before
  if (length > f->map_size - 8 || length > HEADER_LIMIT || length < 2 || f->map[8] != '{')
    return vkd_fail(err, VKD_ERR_INPUT, "%s: no .safetensors file (its header would be %" PRIu64 " bytes)", f->path,
                    length);
  json_error_t where;
  f->header = json_in((const char *)f->map + 8, (size_t)length, JSON_IN_VALUES, &where);
  if (!f->header) return vkd_fail(err, VKD_ERR_INPUT, "%s: header byte %d: %s", f->path, where.position, where.text);
  f->tensors = calloc(json_object_size(f->header) + 1, sizeof *f->tensors);
  if (!f->tensors) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", f->path);
  const unsigned char *base = f->map + 8 + length;
  uint64_t room = f->map_size - 8 - length;
  const char *name;
  json_t *value;
  json_object_foreach(f->header, name, value) {
    enum vkd_status status;
    if (!strcmp(name, "__metadata__"))
      status = parse_metadata(f, value, err);
    else
      status = parse_tensor(f, name, value, base, room, &f->tensors[f->count++], err);
    if (status) return status;
  }
  qsort(f->tensors, f->count, sizeof *f->tensors, by_name);
  return check_coverage(f, base, room, err);
}

enum vkd_status st_open(const char *path, struct st_file **out, struct vkd_error *err) {
  *out = NULL;
  struct st_file *f = calloc(1, sizeof *f);
  if (!f) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", path);
  enum vkd_status status = VKD_OK;
  f->path = strdup(path);
  if (!f->path) status = vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", path);
  if (!status) status = map_file(f, err);
  if (!status) status = parse_header(f, err);
  if (status) st_close(&f);
  *out = f;
  return status;
}

void st_close(struct st_file **file) {
  struct st_file *f = *file;
  if (!f) return;
  if (f->map) munmap(f->map, f->map_size);
  json_decref(f->header);
  free(f->tensors);
  free(f->meta);
  free(f->path);
  free(f);
  *file = NULL;
}

const char *st_path(const struct st_file *file) { return file->path; }
size_t st_count(const struct st_file *file) { return file->count; }
const struct st_tensor *st_at(const struct st_file *file, size_t i) { return &file->tensors[i]; }
size_t st_metadata_count(const struct st_file *file) { return file->meta_count; }

void st_metadata_at(const struct st_file *file, size_t i, const char **key, const char **value) {
  *key = file->meta[i].key;
  *value = file->meta[i].value;
}

const struct st_tensor *st_find(const struct st_file *file, const char *name) {
  struct st_tensor key = {.name = name};
  return bsearch(&key, file->tensors, file->count, sizeof key, by_name);
}

const char *st_metadata(const struct st_file *file, const char *key) {
  if (!file->meta) return NULL;
  struct st_meta wanted = {.key = key};
  const struct st_meta *found = bsearch(&wanted, file->meta, file->meta_count, sizeof wanted, by_key);
  return found ? found->value : NULL;
}

static const char *shape_text(int ndim, const uint64_t *shape, char text[192]) {
  int n = snprintf(text, 192, "[");
  for (int i = 0; i < ndim; i++) n += snprintf(text + n, 192 - (size_t)n, "%s%" PRIu64, i ? "," : "", shape[i]);
  snprintf(text + n, 192 - (size_t)n, "]");
  return text;
}

enum vkd_status st_require(const struct st_file *file, const char *name, int ndim, const uint64_t *shape,
                           const struct st_tensor **out, struct vkd_error *err) {
  const struct st_tensor *t = *out = st_find(file, name);
  if (!t) {
    struct vkd_nearest nearest = {.name = name};
    for (size_t i = 0; i < file->count; i++) vkd_nearest_offer(&nearest, file->tensors[i].name);
    return vkd_fail(err, VKD_ERR_INPUT, "%s: tensor '%s' is missing%s%.200s%s", file->path, name,
                    nearest.best ? " (nearest: '" : "", nearest.best ? nearest.best : "", nearest.best ? "')" : "");
  }
  if (ndim < 0 || (ndim == t->ndim && !memcmp(shape, t->shape, (size_t)ndim * sizeof *shape))) return VKD_OK;
  char got[192], want[192];
  return vkd_fail(err, VKD_ERR_INPUT, "%s: tensor '%s' has shape %s, %s is needed", file->path, name,
                  shape_text(t->ndim, t->shape, got), shape_text(ndim, shape, want));
}
