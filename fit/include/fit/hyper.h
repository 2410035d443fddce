// Hyperparameter laws: the best batch and learning rate as k * T^a * N^b, from the bowls of a table's (N, T) cells.
#ifndef FIT_HYPER_H
#define FIT_HYPER_H

#include "fit/bowl.h"
#include "fit/solve.h"

enum fit_hyper_target { FIT_HYPER_BATCH, FIT_HYPER_LR, FIT_HYPER_TARGETS };
enum { FIT_HYPER_K, FIT_HYPER_TOKENS, FIT_HYPER_PARAMS, FIT_HYPER_COUNT };

// "batch", "lr"; "k", "tokens_exp", "params_exp".
extern const char *const fit_hyper_target_name[FIT_HYPER_TARGETS];
extern const char *const fit_hyper_param_name[FIT_HYPER_COUNT];

// Why accepted cells give no law.
#define FIT_HYPER_REFUSAL_MAP(X)                                                                                       \
  X(FEW_CELLS, "too few cells have an optimum: one more than there are free parameters are needed")                    \
  X(ONE_SIZE, "the cells with an optimum have one N: hold the exponent of N")                                          \
  X(ONE_BUDGET, "the cells with an optimum have one T: hold the exponent of T")                                        \
  X(TIED, "N and T of the cells with an optimum rise together: hold one exponent")

enum fit_hyper_refusal {
  FIT_HYPER_FITTED,
#define X(code, text) FIT_HYPER_REFUSED_##code,
  FIT_HYPER_REFUSAL_MAP(X)
#undef X
      FIT_HYPER_REFUSAL_COUNT
};
const char *fit_hyper_refusal_text(enum fit_hyper_refusal refusal);

// Zero means default.
struct fit_hyper_options {
  double window;                                                       // of the bowls, 0: FIT_DEFAULT_WINDOW
  bool hold_tokens[FIT_HYPER_TARGETS], hold_params[FIT_HYPER_TARGETS]; // hold this exponent ...
  double tokens_exp[FIT_HYPER_TARGETS], params_exp[FIT_HYPER_TARGETS]; // ... at this value
};

// One law.
struct fit_hyper_law {
  enum fit_hyper_refusal refusal;                // of the parameters below only this is set unless FIT_HYPER_FITTED
  double param[FIT_HYPER_COUNT];                 // k, tokens_exp, params_exp
  double sd[FIT_HYPER_COUNT];                    // of ln k and the exponents
  double scatter;                                // between cells, in ln, beyond the vertices' own errors
  double centre_tokens, centre_params;           // means of ln T, ln N
  double cov[FIT_HYPER_COUNT * FIT_HYPER_COUNT]; // of (ln value at the centre, tokens_exp, params_exp)
  int points;                                    // cells, or runs, that it was fitted to
};

double fit_hyper_at(const struct fit_hyper_law *law, double params, double tokens);
// Standard error of its logarithm, without the scatter of a single cell.
double fit_hyper_sd(const struct fit_hyper_law *law, double params, double tokens);

struct fit_hyper_cell {
  struct fit_cell cell;
  struct fit_bowl bowl;
  size_t nearest;    // the run of the cell nearest to the law's choice in (ln B, ln lr), of fit_runs.row
  double regret;     // its loss over the cell's best run's, less 1; NaN without a law
  double regret_out; // the same of the law fitted without this cell's N; NaN where that is none
};

// The laws at another window.
struct fit_hyper_window {
  double window;
  int accepted;
  struct fit_hyper_law law[FIT_HYPER_TARGETS];
  double mean_regret, worst_regret; // over the cells accepted there
};
#define FIT_HYPER_WINDOWS 6 // 1/2, 3/4, 1, 3/2, 2 and 3 times the chosen one

#define FIT_NEAR_BEST 0.0025 // relative loss above the cell's minimum of the runs of the simple method

struct fit_hyper {
  double window;
  int count, accepted; // cells; those whose bowl was accepted
  struct fit_hyper_cell *cell;
  size_t without; // rows without batch or learning rate
  bool one_batch; // of all runs: the law of the batch is that number, which was chosen and is no optimum
  // Robust (Huber 1.345, iteratively reweighted) log-linear fit to the accepted vertices, each weighted by its variance
  // plus the scatter between cells, which is estimated from the residuals (Paule & Mandel 1982) and is at least half
  // the median vertex error, so that no single error bar owns the fit.
  struct fit_hyper_law law[FIT_HYPER_TARGETS];
  double mean_regret, worst_regret, mean_regret_out, worst_regret_out; // over the accepted cells
  // The simple method: all runs within FIT_NEAR_BEST of their cell's minimum, ordinary least squares on logarithms.
  struct fit_hyper_law near[FIT_HYPER_TARGETS];
  struct fit_hyper_window at[FIT_HYPER_WINDOWS];
};

// Errors: FIT_ERR_INPUT on a bad option or a table without batches and learning rates; FIT_ERR_FAILED without memory.
// That no cell or no law comes out is no error: the refusals say so.
enum fit_status fit_hyper_fit(const struct fit_runs *runs, const struct fit_hyper_options *options,
                              struct fit_hyper *out, struct fit_error *err);
void fit_hyper_free(struct fit_hyper *h); // NULL inside allowed

struct fit_hyper_bootstrap {
  double level;
  int replicates, failed; // failed: a resample that gave no law
  int groups;             // of cells resampled: cells that share a run stay together
  bool rows_only;         // too few groups: only the runs within the cells were resampled, which leaves out the
                          // scatter between cells
  struct fit_interval param[FIT_HYPER_TARGETS][FIT_HYPER_COUNT];
  double *sample; // [replicates - failed][FIT_HYPER_TARGETS][FIT_HYPER_COUNT]
};

// Resamples the accepted cells with replacement and fits the laws anew; what a vertex is off is part of how the cells
// spread, so that resampling the runs within the drawn cells too would count it twice (90 % intervals then cover 98 %
// and more where the vertices' errors are all there is).  With fewer than FIT_MIN_CLUSTERS groups of cells: resamples
// the runs within the cells and finds the bowls anew.  The spread about the fit is widened for the few cells it stands
// on.  level 0: 0.9.  Errors: FIT_ERR_INPUT on bad numbers or where the table gave no law, FIT_ERR_FAILED when more
// than a tenth of the resamples fail or without memory.
enum fit_status fit_hyper_resample(const struct fit_runs *runs, const struct fit_hyper_options *options,
                                   const struct fit_hyper *fitted, int replicates, double level,
                                   unsigned long long seed, struct fit_hyper_bootstrap *out, struct fit_error *err);
void fit_hyper_bootstrap_free(struct fit_hyper_bootstrap *b);

#endif
