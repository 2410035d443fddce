// Fits a law of the table to a runs table: a robust loss of the log residuals, summed over the rows, minimised from
// many starts by a damped Newton method with exact derivatives.
#ifndef FIT_SOLVE_H
#define FIT_SOLVE_H

#include <stdbool.h>
#include <stddef.h>

#include "fit/error.h"
#include "fit/laws.h"
#include "fit/runs.h"

enum fit_loss {
  FIT_LOSS_HUBER, // r^2/2 up to delta, delta*(|r| - delta/2) beyond
  FIT_LOSS_MSE,   // r^2/2
  FIT_LOSS_MAD,   // Huber with delta = 1.345 * MAD(r) / 0.67449, found by refitting until it stays
};

#define FIT_DEFAULT_DELTA 1e-3

// Zero means default.
struct fit_options {
  const struct fit_law *law; // "joint"
  enum fit_loss loss;
  double delta;                 // of FIT_LOSS_HUBER, in log units; 0: 1e-3
  bool held[FIT_MAX_PARAMS];    // hold this parameter (those that the law lets be held) ...
  double value[FIT_MAX_PARAMS]; // ... at this SI value
};

struct fit_solution {
  const struct fit_law *law;
  double params[FIT_MAX_PARAMS]; // SI
  double objective;              // the sum over rows
  double delta;                  // the one used; infinite for FIT_LOSS_MSE
  double gradient;               // largest |gradient| over the sum of the rows' absolute shares of it: 0 is a minimum
  double rms;                    // of the log residuals
  double quadratic_share;        // share of the rows within delta
  size_t rows;
  int starts, agreeing;          // starts taken to the end; those within 1e-6 of the best objective
  bool at_bound[FIT_MAX_PARAMS]; // stopped at a bound of the law's row: the table does not determine it
  // What the objective becomes with E = 0 and everything else refitted, and whether the data can tell E from 0:
  // false when that costs 2 % or less, or when that fit does not converge (NaN).  Where E is held, or the law has none:
  // 0 and true.
  double objective_without_e;
  bool e_identified;
};

// Fits.  weight: one per row of `runs`, or NULL for ones.  Errors: FIT_ERR_INPUT when there are not more rows than free
// parameters, one N or one T alone, or a bad option; FIT_ERR_FAILED without memory or when no start converges.
enum fit_status fit_solve(const struct fit_runs *runs, const struct fit_options *options, struct fit_solution *out,
                          struct fit_error *err);

// Extrapolation: fits the runs that never went above `flops` (fit_run_flops) and predicts the rows above.  A run that
// did is held out whole: its earlier rows are neither fitted nor scored, since they tell of its later ones.
struct fit_holdout {
  double flops;
  size_t fitted, held_out, set_aside; // rows: fitted, predicted, neither
  int runs;                           // held out
  double mean, worst;                 // |predicted/measured - 1| of the rows predicted
  double bias;                        // mean of predicted/measured - 1
  struct fit_solution solution;
};
enum fit_status fit_holdout(const struct fit_runs *runs, const struct fit_options *options, double flops,
                            struct fit_holdout *out, struct fit_error *err);

// The compute that the largest `share` of the runs went above, at least one of them.  0 < share < 1.  NaN without
// memory.
double fit_compute_quantile(const struct fit_runs *runs, double share);

struct fit_interval {
  double low, high, sd;
};

struct fit_bootstrap {
  double level;                              // of the intervals
  int replicates, failed;                    // failed: a resample that could not be fitted
  int clusters;                              // resampled units: runs, or rows where the table names no runs
  struct fit_interval param[FIT_MAX_PARAMS]; // SI
  struct fit_interval size_exponent;         // joint: a = beta/(alpha+beta), N_opt ~ C^a at constant FLOPs per token
  double *sample;                            // [replicates - failed][law->params], SI
};

#define FIT_MIN_CLUSTERS 6 // fewer independent runs than this say nothing about their own spread

// Pairs bootstrap: resamples whole runs (rows of one run are not independent) with replacement, refits each time, and
// takes percentiles.  The result depends on `seed` alone, not on `threads` (0: 2).  level 0: 0.9. Errors: FIT_ERR_INPUT
// with fewer than FIT_MIN_CLUSTERS runs or replicates outside 2 .. 1e6; FIT_ERR_FAILED when more than a tenth of the
// resamples fail.
enum fit_status fit_bootstrap(const struct fit_runs *runs, const struct fit_options *options,
                              const struct fit_solution *best, int replicates, double level, unsigned long long seed,
                              int threads, struct fit_bootstrap *out, struct fit_error *err);
void fit_bootstrap_free(struct fit_bootstrap *b);

#endif
