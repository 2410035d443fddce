// Weight files from one public naming to another.
#ifndef VKDM_CONVERT_H
#define VKDM_CONVERT_H

#include "vkdm/derive.h"
#include "vkdm/source.h"

enum convert_dtype { CONVERT_KEEP, CONVERT_F32, CONVERT_F16, CONVERT_BF16 };

struct convert_params {
  const struct weights *weights;
  const struct derived *model; // of the weights
  enum dit_naming naming;
  const char *prefix; // before every name; NULL: none
  enum convert_dtype dtype;
  void (*progress)(void *user, uint64_t bytes, uint64_t total); // of the new file's tensors; NULL: none
  void *user;
};

// Writes all parameters to `path`, tensor by tensor, in bounded memory.  CONVERT_KEEP keeps every bit; narrowing rounds
// to nearest, ties to even.  Metadata goes along.
// Errors: as source_open(); VKD_ERR_USAGE where path is one of the files that are read; VKD_ERR_INPUT where a finite
// value overflows F16, naming tensor and value.
enum vkd_status convert_weights(const struct convert_params *params, const char *path, struct vkd_error *err);

#endif
