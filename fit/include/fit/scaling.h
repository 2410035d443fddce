// How a step's time and memory grow with tokens per sample n and samples B.
//   seconds = fixed + per_token B n + per_pair B n^2        (attention is the last term)
//   bytes   = fixed + per_token B n
#ifndef FIT_SCALING_H
#define FIT_SCALING_H

#include <stddef.h>

#include "fit/error.h"

struct fit_scaling_row {
  double tokens, batch;
  double seconds, bytes; // of a step
  double attention;      // share of the time that attention takes, as measured; NaN: not measured
};

struct fit_scaling {
  double fixed, per_token, per_pair; // seconds
  double worst;                      // the largest |measured / fitted - 1|
  double bytes_fixed, bytes_per_token, bytes_worst;
};

double fit_scaling_seconds(const struct fit_scaling *s, double tokens, double batch);
double fit_scaling_bytes(const struct fit_scaling *s, double tokens, double batch);

// Least squares of relative errors.  Errors: FIT_ERR_INPUT on rows that do not determine the terms: tokens of three
// sizes are needed.
enum fit_status fit_scaling(const struct fit_scaling_row *rows, size_t count, struct fit_scaling *out,
                            struct fit_error *err);

// Time and memory per token against tokens, rows [0, split), and against batch, the others, as one SVG file.
enum fit_status fit_scaling_plot(const char *path, const struct fit_scaling_row *rows, size_t count, size_t split,
                                 const struct fit_scaling *s, struct fit_error *err);

#endif
