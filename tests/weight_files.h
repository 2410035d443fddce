// Weight files for tests: tensors of a naming, filled with random values of any type.
#ifndef VKD_TEST_WEIGHT_FILES_H
#define VKD_TEST_WEIGHT_FILES_H

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "models.h"
#include "vkdm/naming.h"
#include "vkdm/safetensors.h"
#include "xorshift.h"

struct weight_file {
  struct st_entry *entries;
  char (*names)[160];
  struct naming_tensor *tensors;
  size_t count;
};

// F32: numbers from -1 to 1; 16 bits: the same, cut; other types: any bytes.  Equal for equal (param, first).
static inline void *weight_files_values(const struct naming_tensor *t, enum st_dtype dtype, uint64_t seed) {
  size_t numel = (size_t)vkd_shape_numel(&t->shape), size = st_dtype_size(dtype);
  unsigned char *data = malloc(numel * size);
  uint64_t state = seed * 0x9e3779b97f4a7c15u + (uint64_t)t->param * 1000003 + (uint64_t)t->first + 1;
  for (size_t i = 0; data && i < numel; i++) {
    uint32_t word = (uint32_t)(xorshift(&state) >> 32);
    float value = (float)(int32_t)word * 0x1p-31f;
    if (dtype == ST_F32) memcpy(&word, &value, sizeof word);
    if (dtype == ST_BF16) memcpy(&word, (char *)&value + 2, 2);
    if (dtype == ST_F16) word &= 0xbbff; // the exponent's top bit off: below 2
    memcpy(data + i * size, &word, size < 4 ? size : 4);
    if (size == 8) memset(data + i * size + 4, 0, 4);
  }
  return data;
}

// All tensors of the naming; with_optional: those that a file may leave out, too.
static inline void weight_file_make(struct weight_file *f, const struct dit_config *c, enum dit_naming naming,
                                    const char *prefix, enum st_dtype dtype, bool with_optional, uint64_t seed) {
  struct vkd_error err = {0};
  int count = 0;
  *f = (struct weight_file){.count = 0};
  enum vkd_status st = naming_tensors(c, naming, &f->tensors, &count, &err);
  f->entries = calloc((size_t)count + 8, sizeof *f->entries); // a few more, for tests that add some
  f->names = calloc((size_t)count + 8, sizeof *f->names);
  CHECK(st == VKD_OK && f->entries && f->names, "%s", err.what);
  for (int i = 0; i < count; i++) {
    const struct naming_tensor *t = &f->tensors[i];
    if (t->optional && !with_optional) continue;
    struct st_entry *e = &f->entries[f->count];
    snprintf(f->names[f->count], sizeof f->names[0], "%s%s", prefix, t->name);
    *e = (struct st_entry){
        .name = f->names[f->count], .dtype = dtype, .ndim = t->shape.rank, .data = weight_files_values(t, dtype, seed)};
    for (int d = 0; d < t->shape.rank; d++) e->shape[d] = (uint64_t)t->shape.dim[d];
    f->count++;
  }
}

static inline void weight_file_free(struct weight_file *f) {
  for (size_t i = 0; i < f->count; i++) free((void *)f->entries[i].data);
  free(f->entries);
  free(f->names);
  free(f->tensors);
}

static inline struct st_entry *weight_file_find(struct weight_file *f, const char *name) {
  for (size_t i = 0; i < f->count; i++)
    if (strcmp(f->entries[i].name, name) == 0) return &f->entries[i];
  CHECK(false, "no entry %s", name);
  exit(1);
}

static inline void weight_file_write(const struct weight_file *f, const char *path, const struct st_meta *meta,
                                     size_t meta_count) {
  struct vkd_error err = {0};
  enum vkd_status st = st_write(path, f->entries, f->count, meta, meta_count, &err);
  CHECK(st == VKD_OK, "%s", err.what);
}

#endif
