// Runs tables: one row per (run, evaluation point), SI units (parameters, tokens, FLOPs), losses in the source's unit.
#ifndef FIT_RUNS_H
#define FIT_RUNS_H

#include <stdbool.h>
#include <stddef.h>

#include "fit/error.h"

// Why a row was left out, in the order in which the rules are tried.
#define FIT_DROP_MAP(X)                                                                                                \
  X(EXCLUDED, "marked excluded=1 in the table")                                                                        \
  X(DIVERGED, "marked diverged=1 in the table")                                                                        \
  X(NO_LOSS, "loss empty, infinite or not a number")                                                                   \
  X(UNTRAINED, "evaluated before any token was trained (tokens = 0)")                                                  \
  X(TOO_HIGH, "diverged: loss far above the lowest of no more params and tokens")                                      \
  X(NOT_BEST, "not the lowest loss of its (params, tokens) cell")

enum fit_drop {
#define X(code, text) FIT_DROP_##code,
  FIT_DROP_MAP(X)
#undef X
      FIT_DROP_COUNT
};

struct fit_run {
  double params, tokens;                       // > 0
  double loss;                                 // > 0
  double flops, batch_tokens, lr, seed, steps; // NaN where the table does not say
  int run;                                     // rows of one run share this number, 0 .. clusters-1
  long line;                                   // where the row starts in its file, from 1
};

struct fit_runs {
  struct fit_run *row; // the rows kept
  size_t count;
  size_t dropped[FIT_DROP_COUNT];
  size_t rows;               // data rows read = count + all dropped
  size_t flops_not_positive; // rows whose flops are written but no number above 0 (overflows occur): taken as unknown
  int clusters;            // distinct runs among the kept rows; every row is its own when the table has no column `run`
  bool has_run, has_flops; // whether the column is there
};

// Reads a CSV table: a header line, columns in any order; params, tokens and loss needed; flops, batch_tokens, lr,
// seed, steps, diverged, run, excluded understood; any other ignored.  Quoted fields, CRLF and a UTF-8 byte order mark
// are fine. Rows are dropped by FIT_DROP_MAP and counted; anything else that is wrong is an error naming name:line and
// the column. *out is zeroed on failure.  Errors: FIT_ERR_INPUT on a bad table, FIT_ERR_FAILED without memory.
enum fit_status fit_runs_parse(const char *text, size_t size, const char *name, struct fit_runs *out,
                               struct fit_error *err);
enum fit_status fit_runs_read(const char *path, struct fit_runs *out, struct fit_error *err);

// Tokens of one (params, tokens) cell differ by no more than this, relative to the least of them, as whole steps of
// different batches make them: at beta = 0.3 that moves the loss by less than 0.1 %.  Params are equal.
#define FIT_CELL_TOLERANCE 0.01

// Keeps the lowest loss of every (params, tokens) cell; counts the others as FIT_DROP_NOT_BEST.
enum fit_status fit_runs_keep_best(struct fit_runs *runs, struct fit_error *err);

// Leaves out, as FIT_DROP_TOO_HIGH, the rows whose loss is more than `factor` times the lowest loss that any row
// reached with no more params and no more tokens: training longer, or a larger model, cannot do that much worse unless
// it diverged.  1.5 stands between the two kinds on published tables, where sound rows stay under 1.2 and diverged ones
// are above 1.9.  Errors: FIT_ERR_INPUT unless factor > 1.
#define FIT_DIVERGED_FACTOR 1.5
enum fit_status fit_runs_drop_diverged(struct fit_runs *runs, double factor, struct fit_error *err);

void fit_runs_free(struct fit_runs *runs); // NULL inside allowed

// FLOPs of the row: the table's, else 6 * params * tokens.
double fit_run_flops(const struct fit_run *run);

const char *fit_drop_text(enum fit_drop drop);

#endif
