// Weights from the host into memory, as a device stores them, on as many threads as help.  Internal to model/.
#ifndef VKDM_FILL_H
#define VKDM_FILL_H

#include "vkdm/params.h"

// Elements [first, first + count) of parameter `index` as dtype (fp32, or rounded to nearest even), dst aligned to it.
struct fill {
  int index;
  enum vkd_dtype dtype;
  uint64_t first, count;
  void *dst;
};

// Errors: the first one of the reader.
enum vkd_status fill_run(const struct params_reader *reader, const struct fill *fills, int count,
                         struct vkd_error *err);

#endif
