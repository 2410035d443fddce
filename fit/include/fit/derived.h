// Intervals of what follows from a joint law: the same quantity from every law of a bootstrap's sample, and percentiles
// of the results.  sample: [count][FIT_JOINT_PARAMS], SI, as in struct fit_bootstrap; level: of the intervals, 0 .. 1.
#ifndef FIT_DERIVED_H
#define FIT_DERIVED_H

#include "fit/plan.h"
#include "fit/solve.h"

struct fit_sample {
  const double *law;
  int count;
  double level;
};

struct fit_sample fit_bootstrap_sample(const struct fit_bootstrap *b);

// Percentiles and standard deviation of a quantity's values, one per law.  Sorts value [count >= 2].
struct fit_interval fit_interval_of(double *value, int count, double level);

struct fit_optimum_interval {
  struct fit_interval params, tokens, loss; // N_opt, T_opt and the loss there
  int laws;                                 // those of the sample that have an optimum
};

// Errors: FIT_ERR_INPUT when fewer than 2, or fewer than nine tenths, of the laws have an optimum at `compute`;
// FIT_ERR_FAILED without memory.
enum fit_status fit_optimum_interval(const struct fit_sample *s, const struct fit_family *f, double compute,
                                     struct fit_optimum_interval *out, struct fit_error *err);

// Of the loss of one model.  Errors: FIT_ERR_INPUT with fewer than 2 laws, FIT_ERR_FAILED without memory.
enum fit_status fit_loss_interval(const struct fit_sample *s, double params, double tokens, struct fit_interval *out,
                                  struct fit_error *err);

#endif
