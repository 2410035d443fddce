// A model's parameters where they lie in a weight file, whatever its naming and its element types.
#ifndef VKDM_SOURCE_H
#define VKDM_SOURCE_H

#include "vkdm/naming.h"
#include "vkdm/weights.h"

struct source;

// Finds every parameter of the model; naming and prefix are recognised.  weights outlive the source.
// Errors: VKD_ERR_INPUT naming all tensors that are missing, unknown, of another shape or type, sorted by kind; naming
// the first copy that differs.
enum vkd_status source_open(struct source **out, const struct weights *weights, const struct dit_config *config,
                            struct vkd_error *err);
void source_close(struct source **source); // NULL inside is fine

enum dit_naming source_naming(const struct source *source);
const char *source_prefix(const struct source *source);
const struct dit_param *source_params(const struct source *source, int *count); // dit_params() of the model

// Whether the file holds parameter `param`; what it does not is computed by source_read().
bool source_stored(const struct source *source, int param);
// The type of elements [first, first + count) of a parameter, F32 where it is not stored.
// Errors: VKD_ERR_INPUT where they lie in tensors of different types.
enum vkd_status source_dtype(const struct source *source, int param, uint64_t first, uint64_t count,
                             enum st_dtype *dtype, struct vkd_error *err);

// Elements [first, first + count) of a parameter, dst: [count].  The second: bytes as they lie in the file, where
// source_dtype() is one and the parameter is stored.
enum vkd_status source_read(const struct source *source, int param, uint64_t first, uint64_t count, float *dst,
                            struct vkd_error *err);
enum vkd_status source_read_bits(const struct source *source, int param, uint64_t first, uint64_t count, void *dst,
                                 struct vkd_error *err);

#endif
