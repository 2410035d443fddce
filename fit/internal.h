// What the files of this folder share and callers do not see.
#ifndef FIT_INTERNAL_H
#define FIT_INTERNAL_H

#include "fit/solve.h"

#define FIT_MAX_STARTS 16

// A fit made ready: observations centred, options checked.  Weights may change between calls of fit__minimise.
struct fit_problem {
  const struct fit_law *law;
  struct fit_obs *obs; // [count]
  size_t count;
  struct fit_centre centre;
  enum fit_loss loss;
  double delta;
  double held[FIT_MAX_PARAMS]; // working parameters, NaN where free
  int polish;                  // of the law's own starts, how many are taken to the end; 0 only with a first one
};

enum fit_status fit__problem_init(struct fit_problem *p, const struct fit_runs *runs, const struct fit_options *options,
                                  struct fit_error *err);
void fit__problem_free(struct fit_problem *p);

// Fits with weights (NULL: ones), from `first` (working parameters, NULL: none) and from the law's own starts.
// Writes working parameters to x and the numbers to *out.  False: no memory, or no start ended at a minimum.
bool fit__minimise(const struct fit_problem *p, const double *weight, const double *first, double *x,
                   struct fit_solution *out);

#endif
