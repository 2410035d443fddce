// What kernels reach, beside what a device can do: FLOP/s against FLOPs per byte, under the peaks of arithmetic and
// memory.  Source: Williams, Waterman & Patterson 2009, doi:10.1145/1498765.1498785
#ifndef FIT_ROOFLINE_H
#define FIT_ROOFLINE_H

#include <stddef.h>

#include "fit/error.h"

struct fit_roofline_row {
  const char *name;
  double flops, bytes, seconds;
};

struct fit_roofline {
  const char *title;
  double peak_flops, peak_bytes; // per second
  const struct fit_roofline_row *rows;
  size_t count;
};

// One mark per row that has FLOPs, bytes and a time, with its name where there is room for it; an area is a share of
// the rows' time.  Rows without FLOPs are told in the legend.  Written whole or not at all. Errors: FIT_ERR_INPUT where
// a peak is not above 0 or no row can be drawn; FIT_ERR_FAILED without memory or on a failed write.
enum fit_status fit_roofline_write(const char *path, const struct fit_roofline *r, struct fit_error *err);

#endif
