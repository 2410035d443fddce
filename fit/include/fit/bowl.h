// The best batch and learning rate of one (N, T) cell: a full quadratic bowl in (ln B, ln lr), fitted to the runs near
// the cell's minimum, and accepted only where those runs enclose its vertex.  In a table whose runs all have one batch,
// a parabola in ln lr: the batch is that one, and no optimum.
#ifndef FIT_BOWL_H
#define FIT_BOWL_H

#include <stdbool.h>
#include <stddef.h>

#include "fit/error.h"
#include "fit/runs.h"

// Why a cell has no optimum, in the order in which the rules are tried.
#define FIT_REFUSAL_MAP(X)                                                                                             \
  X(FEW_ROWS, "too few runs within the window")                                                                        \
  X(FEW_BATCHES, "fewer than 3 batch sizes within the window")                                                         \
  X(FEW_RATES, "fewer than 3 learning rates within the window")                                                        \
  X(DEGENERATE, "the runs within the window do not spread in batch and learning rate both")                            \
  X(SMALLEST_BATCH, "minimum at the smallest batch")                                                                   \
  X(LARGEST_BATCH, "minimum at the largest batch")                                                                     \
  X(LOWEST_RATE, "minimum at the lowest learning rate")                                                                \
  X(HIGHEST_RATE, "minimum at the highest learning rate")                                                              \
  X(NOT_MINIMUM, "not a minimum: Hessian not positive definite")                                                       \
  X(OUTSIDE, "minimum outside the runs within the window")                                                             \
  X(UNCERTAIN, "minimum not determined: its error is as wide as the runs within the window")

enum fit_refusal {
  FIT_ACCEPTED,
#define X(code, text) FIT_REFUSED_##code,
  FIT_REFUSAL_MAP(X)
#undef X
      FIT_REFUSAL_COUNT
};

const char *fit_refusal_text(enum fit_refusal refusal); // "accepted" for FIT_ACCEPTED

// The runs of one (N, T).
struct fit_cell {
  double params, tokens; // mean of its rows'
  size_t first, count;   // in fit_cells.row
};

struct fit_cells {
  struct fit_cell *cell; // by N, then T
  int count;
  size_t *row;    // indices into fit_runs.row, cell after cell
  size_t without; // rows without a batch or a learning rate above 0: in no cell
  bool one_batch; // of all rows in cells
};

// Errors: FIT_ERR_INPUT when no row has both a batch and a learning rate, FIT_ERR_FAILED without memory.
enum fit_status fit_cells_make(const struct fit_runs *runs, struct fit_cells *out, struct fit_error *err);
void fit_cells_free(struct fit_cells *cells); // NULL inside allowed

// How many cells hold runs at more than one (batch, learning rate): in such a table a row's loss tells of its
// hyperparameters as well as of N and T.  0 where the table names none.  Errors: FIT_ERR_FAILED without memory.
enum fit_status fit_cells_mixed(const struct fit_runs *runs, int *out, struct fit_error *err);

// Relative loss above the cell's minimum up to which runs count.  Wide enough for tens of runs at 0.1 % of noise
// between runs, and near enough that terms beyond the quadratic stay of that size.
#define FIT_DEFAULT_WINDOW 0.01
#define FIT_MIN_WINDOW 1e-4
#define FIT_MAX_WINDOW 0.5
#define FIT_BOWL_MIN_ROWS 9  // six coefficients and three more, a grid of 3 x 3
#define FIT_RATES_MIN_ROWS 4 // of one batch: three coefficients and one more

struct fit_bowl {
  enum fit_refusal refusal;
  size_t rows, used;  // of the cell; within the window
  double lowest;      // loss of the best run
  size_t best;        // its index in fit_runs.row
  double batch, lr;   // the vertex, NaN where there is none (it is told where it lies outside)
  double loss;        // at the vertex
  double sd_batch;    // of ln batch
  double sd_lr;       // of ln lr
  double correlation; // of the two
  double sd_loss;     // relative
  double hessian[3];  // d2 ln(loss) / d(ln B)2, d(ln B)d(ln lr), d(ln lr)2; of one batch the last alone
  double rms;         // of the relative residuals, over used - 6 degrees of freedom, of one batch used - 3
};

// Fits one cell.  row: [count] indices into runs->row, all with a batch and a learning rate; weight: [count] how many
// times each counts (0: not at all), NULL for once; window: 0 for the default; one_batch: as fit_cells has it.  False:
// no memory.
bool fit_bowl_fit(const struct fit_runs *runs, const size_t *row, size_t count, const double *weight, double window,
                  bool one_batch, struct fit_bowl *out);

#endif
