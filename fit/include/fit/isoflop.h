// Compute-optimal sizes without a law of the loss: parabolas in ln N at equal compute (IsoFLOP), and the lower envelope
// of the training curves.  Both end in a power law N_opt = k * C^a.  SI units.
#ifndef FIT_ISOFLOP_H
#define FIT_ISOFLOP_H

#include <stdbool.h>

#include "fit/plan.h"
#include "fit/solve.h"

#define FIT_MAX_BUDGETS 64
#define FIT_ISOFLOP_SIZES 4 // fewer distinct sizes leave a parabola nothing to be checked by

// What became of a budget.
#define FIT_BUDGET_MAP(X)                                                                                              \
  X(ACCEPTED, "accepted")                                                                                              \
  X(TOO_FEW_SIZES, "fewer than 4 model sizes")                                                                         \
  X(NO_MINIMUM, "the parabola has no minimum: the loss does not curve upwards in ln N")                                \
  X(FLAT, "the curvature is less than twice its standard error: any size could be the best")                           \
  X(MINIMUM_AT_SMALLEST, "the minimum lies at or under the smallest size: train smaller models")                       \
  X(MINIMUM_AT_LARGEST, "the minimum lies at or over the largest size: train larger models")

enum fit_budget_status {
#define X(code, text) FIT_BUDGET_##code,
  FIT_BUDGET_MAP(X)
#undef X
      FIT_BUDGET_STATUS_COUNT
};
const char *fit_budget_text(enum fit_budget_status status);

// Where the rows at equal compute come from.
enum fit_budget_source {
  FIT_BUDGETS_BY_ROWS,   // rows whose compute lies within `width` of the budget
  FIT_BUDGETS_BY_CURVES, // runs of several rows: ln L interpolated in ln T between two of them, never beyond
};

// Zero means default.
struct fit_isoflop_options {
  struct fit_family family; // FLOPs of rows that do not say theirs, and T_opt = C / C_token(N_opt)
  const double *budget;     // [budgets] FLOPs, or NULL: found in the table
  int budgets;              // 0 .. FIT_MAX_BUDGETS; with budget NULL: the most to find (0: 12)
  double width;             // of a budget by rows, in ln C from end to end; 0: 0.2
  bool linear_loss;         // the parabola is in L, not ln L
  enum fit_budget_from {
    FIT_BUDGETS_AUTO,
    FIT_BUDGETS_ROWS,
    FIT_BUDGETS_CURVES
  } from;         // AUTO: curves where the runs
                  // have several rows
  int replicates; // of the residual bootstrap; 0: 400; -1: none
  double level;   // of the intervals; 0: 0.9
  unsigned long long seed;
};

struct fit_budget {
  double compute;
  enum fit_budget_status status;
  int points, sizes;                   // fitted, and how many distinct N among them
  double smallest, largest;            // of N
  double params, tokens, loss;         // at the minimum; NaN where refused
  double curvature, curvature_sd;      // d2 ln L / d(ln N)2 (of L when linear_loss); NaN with too few sizes
  double rms;                          // of the residuals
  double coefficient[3], centre;       // ln L = c0 + c1*x + c2*x^2 with x = ln N - centre; for plots
  double params_sd;                    // of ln params, from rms and the curvature
  struct fit_interval params_interval; // NaN where refused, or without replicates
  int first, count;                    // its points in struct fit_isoflop
};

// Least squares on logarithms.  A budget weighs 1/(v + median of all v), v the variance of its ln N_opt; envelope
// points weigh the same.
struct fit_size_law {
  double k, a;                                // N_opt = k * C^a through the accepted budgets
  double spread;                              // rms of ln N about it
  struct fit_interval k_interval, a_interval; // NaN without replicates
};

struct fit_isoflop_point {
  double params, tokens, loss;
};

struct fit_isoflop {
  enum fit_budget_source source;
  bool linear_loss; // as in the options
  int budgets, accepted;
  struct fit_budget budget[FIT_MAX_BUDGETS]; // rising compute
  struct fit_isoflop_point *point;           // of all budgets
  size_t rows, rows_used;                    // of the table; by rows: those in a budget
  bool has_law;                              // at least two budgets accepted
  struct fit_size_law law;
  double level;
  int replicates, failed; // failed: under two budgets kept a minimum
  double *sample;         // [replicates - failed][2]: ln k, a
};

// Errors: FIT_ERR_INPUT on a bad option, or when the table has no budget to try; FIT_ERR_FAILED without memory.  That
// budgets are refused is no error: each says why.  The intervals depend on `seed` alone.
// Where the rows' compute differs within a budget, a term linear in ln C brings them to it.  The parabola is symmetric
// and the loss is not: with sizes spread evenly by +-w in ln N about the optimum, the vertex of a joint law is off by
// about
// -(beta - alpha)/10*w^2 in ln N.
// Intervals are percentiles of a residual bootstrap over all budgets, each residual divided by sqrt(1 - leverage).
// Where a run is in several budgets, as by curves, its residuals, over 1 - leverage, keep together: one random sign per
// run.
enum fit_status fit_isoflop(const struct fit_runs *runs, const struct fit_isoflop_options *options,
                            struct fit_isoflop *out, struct fit_error *err);
void fit_isoflop_free(struct fit_isoflop *i);

// N_opt at `compute` by the law, with its interval (NaN without replicates).
enum fit_status fit_size_at(const struct fit_isoflop *i, double compute, double *params, struct fit_interval *interval,
                            struct fit_error *err);

// The lower envelope of the training curves: at each compute of a grid the run with the lowest interpolated loss, where
// neither the smallest nor the largest size that reaches there is the lowest.
#define FIT_ENVELOPE_POINTS 200

struct fit_envelope {
  int runs, points;
  double compute[FIT_ENVELOPE_POINTS], params[FIT_ENVELOPE_POINTS], loss[FIT_ENVELOPE_POINTS];
  struct fit_size_law law; // intervals from resampled runs
  double level;
  int replicates, failed;
  double *sample; // [replicates - failed][2]: ln k, a
};

// Errors: FIT_ERR_INPUT when no run has several rows, or the envelope has fewer than two sizes; FIT_ERR_FAILED without
// memory.  Of the options: family, replicates, level, seed.
enum fit_status fit_envelope(const struct fit_runs *runs, const struct fit_isoflop_options *options,
                             struct fit_envelope *out, struct fit_error *err);
enum fit_status fit_envelope_at(const struct fit_envelope *e, double compute, double *params,
                                struct fit_interval *interval, struct fit_error *err);
void fit_envelope_free(struct fit_envelope *e);

#endif
