// The training curves of a runs table: rows of one run in order of compute, and the loss between two of them.
#ifndef FIT_CURVES_H
#define FIT_CURVES_H

#include "fit/plan.h"
#include "fit/runs.h"

struct fit_curve {
  double params;
  int run, size;       // size: index of its N among the distinct ones, rising
  size_t first, count; // its points; at least two
};

struct fit_curves {
  struct fit_curve *curve;
  int curves, sizes;               // sizes: distinct N of the curves, equal to 1e-6
  double *compute, *tokens, *loss; // logarithms, of every point; compute rises strictly along a curve
};

// Runs of fewer than two rows of different compute are no curves.  False: no memory.
bool fit__curves_init(struct fit_curves *c, const struct fit_runs *runs, const struct fit_family *f);
void fit__curves_free(struct fit_curves *c);

// ln T and ln L where the curve passes ln C = compute, linear between points; false beyond its ends.
bool fit__curve_at(const struct fit_curves *c, const struct fit_curve *curve, double compute, double *tokens,
                   double *loss);

// ln C of a row: the table's FLOPs, else the family's.
double fit__log_compute(const struct fit_run *run, const struct fit_family *f);

#endif
