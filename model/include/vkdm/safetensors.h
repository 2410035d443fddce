// .safetensors files: a JSON header and raw little-endian tensors.  Format: huggingface/safetensors, README "Format".
#ifndef VKDM_SAFETENSORS_H
#define VKDM_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vkd/status.h"

// name, bytes per element
#define ST_DTYPE_MAP(X)                                                                                                \
  X(F64, 8)                                                                                                            \
  X(F32, 4)                                                                                                            \
  X(F16, 2)                                                                                                            \
  X(BF16, 2)                                                                                                           \
  X(I64, 8) X(I32, 4) X(I16, 2) X(I8, 1) X(U64, 8) X(U32, 4) X(U16, 2) X(U8, 1) X(BOOL, 1) X(F8_E4M3, 1) X(F8_E5M2, 1)

enum st_dtype {
#define X(name, bytes) ST_##name,
  ST_DTYPE_MAP(X)
#undef X
      ST_DTYPES
};

const char *st_dtype_name(enum st_dtype dtype);
size_t st_dtype_size(enum st_dtype dtype);

enum { ST_MAX_DIMS = 8 };

struct st_file;

struct st_tensor {
  const char *name;
  enum st_dtype dtype;
  int ndim; // 0: a scalar
  uint64_t shape[ST_MAX_DIMS];
  uint64_t numel, size; // elements, bytes
  const void *data;     // [size] in the mapped file, not aligned
  const struct st_file *file;
};

// Maps the file and checks the header: length, syntax, every number, no duplicates, no overlap, no hole, nothing past
// the end. Errors: VKD_ERR_INPUT naming file and tensor.  The file must not be truncated by others while it is open.
enum vkd_status st_open(const char *path, struct st_file **out, struct vkd_error *err);
void st_close(struct st_file **file); // NULL inside is fine

const char *st_path(const struct st_file *file);
size_t st_count(const struct st_file *file);
const struct st_tensor *st_at(const struct st_file *file, size_t i);           // in order of name, i < st_count
const struct st_tensor *st_find(const struct st_file *file, const char *name); // NULL: none
const char *st_metadata(const struct st_file *file, const char *key);          // NULL: none
size_t st_metadata_count(const struct st_file *file);                          // in order of key
void st_metadata_at(const struct st_file *file, size_t i, const char **key, const char **value);

// The tensor of that name and shape; ndim < 0: any shape.  Errors: VKD_ERR_INPUT naming the file, the tensor, the
// nearest name or both shapes.
enum vkd_status st_require(const struct st_file *file, const char *name, int ndim, const uint64_t *shape,
                           const struct st_tensor **out, struct vkd_error *err);

// Elements [first, first + count) as f32 from F64 (rounded to nearest), F32, F16, BF16, F8_E4M3 (without infinities) or
// F8_E5M2, or as i32 from I32, I64 or U8. dst: [count].  Errors: VKD_ERR_INPUT on another type, an I64 beyond
// i32 or a finite F64 beyond f32; VKD_ERR_INTERNAL on a range outside the tensor.
enum vkd_status st_read_f32_part(const struct st_tensor *tensor, uint64_t first, uint64_t count, float *dst,
                                 struct vkd_error *err);
enum vkd_status st_read_i32_part(const struct st_tensor *tensor, uint64_t first, uint64_t count, int32_t *dst,
                                 struct vkd_error *err);
// The whole tensor, dst: [numel].
enum vkd_status st_read_f32(const struct st_tensor *tensor, float *dst, struct vkd_error *err);
enum vkd_status st_read_i32(const struct st_tensor *tensor, int32_t *dst, struct vkd_error *err);

// src [count] as F32, F16 or BF16, rounded to nearest, ties to even; dst is aligned to its element.  False where a
// finite value would become infinite: the first is at *overflow, and dst is not complete.
bool st_narrow(enum st_dtype dtype, const float *src, uint64_t count, void *dst, uint64_t *overflow);

// One tensor to write: `data` [size] in the file's type, or, where data is NULL, `fill`, which is asked for bytes
// [offset, offset + size) in rising order, so that a large tensor needs no host copy.  shape: as in st_tensor.
struct st_entry {
  const char *name;
  enum st_dtype dtype;
  int ndim;
  uint64_t shape[ST_MAX_DIMS];
  const void *data;
  enum vkd_status (*fill)(void *user, uint64_t offset, void *dst, size_t size, struct vkd_error *err);
  void *user;
};

struct st_meta {
  const char *key, *value;
};

// Writes all entries, in any order given, under a temporary name and renames it when durable.  Equal contents give
// equal bytes: tensors lie by falling element size and then name, so each is aligned to its element; the data begin at
// a multiple of 8. Errors: VKD_ERR_INTERNAL on a duplicate or malformed entry; what `fill` returns; as fileio.h.
enum vkd_status st_write(const char *path, const struct st_entry *entries, size_t count, const struct st_meta *meta,
                         size_t meta_count, struct vkd_error *err);

#endif
