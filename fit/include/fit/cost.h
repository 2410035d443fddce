// What a sample costs beside what the model is worth: held-out loss against seconds per sample.
#ifndef FIT_COST_H
#define FIT_COST_H

#include <stdbool.h>
#include <stddef.h>

#include "fit/error.h"

struct fit_cost_row {
  double params, loss; // > 0
  int steps;           // of the sampler, > 0
  double seconds;      // per sample; rows without a time above 0 are left out
};

// A line for each number of steps, through its sizes; *svg: the drawing, to be freed.  alone: as a file, else inline in
// a report.  Errors: FIT_ERR_INPUT where no row can be drawn, FIT_ERR_FAILED without memory.
enum fit_status fit_cost_plot(const struct fit_cost_row *rows, size_t count, bool alone, char **svg,
                              struct fit_error *err);

#endif
