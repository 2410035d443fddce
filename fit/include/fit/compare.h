// What fixed hyperparameters cost: the joint law of the cells' optima beside the joint law of the runs at one (B, lr).
#ifndef FIT_COMPARE_H
#define FIT_COMPARE_H

#include "fit/hyper.h"
#include "fit/plan.h"

#define FIT_COMPARE_BUDGETS 8
#define FIT_COMPARE_REACH                                                                                              \
  0.4055 // ln 1.5: a run further than this from the fixed pair, in B or lr, does not stand for it

// Zero means default.
struct fit_compare_options {
  struct fit_options joint;            // how both laws are fitted
  double batch, lr;                    // the fixed pair; 0: the pair that most cells have, and of those the one
                                       // nearest to the runs' geometric mean
  struct fit_family family;            // FLOPs of the models
  double compute[FIT_COMPARE_BUDGETS]; // training budgets, FLOPs
  int budgets;
  int replicates; // of the intervals, 0: none
  double level;   // 0: 0.9
  unsigned long long seed;
};

// One training budget.  NaN where a law gives no answer.
struct fit_compare_budget {
  double compute;
  struct fit_optimum optimal, fixed; // what each law recommends; the loss is what that law promises
  double saved;                      // 1 - FLOPs per sampled token of the optimal law's size over the fixed law's
  // The optimal law's cheapest training that reaches the loss which the fixed law promises at `compute`:
  struct fit_optimum equal;
  double saved_at_equal_loss, compute_saved; // 1 - its inference and training FLOPs over the fixed recommendation's
  struct fit_interval optimal_params, fixed_params, saved_interval, equal_interval;
  int laws; // resamples with all of these; below 9/10 of the replicates, the intervals are NaN
};

struct fit_compare {
  double batch, lr;                 // the fixed pair
  bool chosen;                      // not given
  bool by_law;                      // the optimal runs are at the pairs that a law says, not at their cells' best
  int cells, far;                   // cells used; accepted cells without a run near the pair
  double mean_excess, worst_excess; // loss of the fixed runs over their cells' optima, less 1
  struct fit_solution optimal, fixed;
  // Both laws' E and exponents, in the table and in at least the share `level` of the resamples: else the sizes are
  // guesses.
  bool identified;
  int unidentified; // resamples in which one of them is not
  int replicates, groups;
  double level;
  bool has_intervals; // false: none asked for, or fewer than FIT_MIN_CLUSTERS groups of cells
  int budgets;
  struct fit_compare_budget budget[FIT_COMPARE_BUDGETS];
};

// `hyper` is the same table's.  Both laws stand on the same cells: those with an accepted bowl, whose vertex is the
// optimum, and a run near the fixed pair.  Errors: FIT_ERR_INPUT on bad options, or where those cells are too few for a
// joint law or determine none; FIT_ERR_FAILED without memory or convergence.
enum fit_status fit_compare_fixed(const struct fit_runs *runs, const struct fit_hyper *hyper,
                                  const struct fit_compare_options *options, struct fit_compare *out,
                                  struct fit_error *err);

// The same from runs made for it: row i of both tables is one cell (params and tokens as FIT_CELL_TOLERANCE has it),
// `optimal` at the batch and learning rate that a law says there, `fixed` at one pair, which options must name.
// Resamples draw cells one by one.
enum fit_status fit_compare_pairs(const struct fit_runs *optimal, const struct fit_runs *fixed,
                                  const struct fit_compare_options *options, struct fit_compare *out,
                                  struct fit_error *err);

#endif
