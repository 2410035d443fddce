#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "fit/runs.h"
#include "stats.h"

struct cell {
  double params, tokens, loss;
  size_t row;
};

static int by_cell(const void *pa, const void *pb) {
  const struct cell *a = pa, *b = pb;
  if (a->params != b->params) return a->params < b->params ? -1 : 1;
  if (a->tokens != b->tokens) return a->tokens < b->tokens ? -1 : 1;
  return a->row < b->row ? -1 : a->row > b->row;
}

// Makes the runs that still have a row 0 .. clusters-1 again.  `number`: zeroed, one per old cluster.
static void renumber_clusters(struct fit_runs *runs, int *number) {
  runs->clusters = 0;
  for (size_t i = 0; i < runs->count; i++) {
    int *to = &number[runs->row[i].run];
    if (!*to) *to = ++runs->clusters;
    runs->row[i].run = *to - 1;
  }
}

// Leaves the rows of keep[] and counts the others under `why`.
static enum fit_status filter(struct fit_runs *runs, const bool *keep, enum fit_drop why, struct fit_error *err) {
  int *number = calloc(runs->clusters ? (size_t)runs->clusters : 1, sizeof *number);
  if (!number) return fit_fail(err, FIT_ERR_FAILED, "no memory for %d runs", runs->clusters);
  size_t count = 0;
  for (size_t i = 0; i < runs->count; i++)
    if (keep[i]) runs->row[count++] = runs->row[i];
  runs->dropped[why] += runs->count - count;
  runs->count = count;
  renumber_clusters(runs, number);
  free(number);
  return FIT_OK;
}

static struct cell *sorted_cells(const struct fit_runs *runs) {
  struct cell *cell = malloc((runs->count ? runs->count : 1) * sizeof *cell);
  for (size_t i = 0; cell && i < runs->count; i++)
    cell[i] = (struct cell){runs->row[i].params, runs->row[i].tokens, runs->row[i].loss, i};
  if (cell) qsort(cell, runs->count, sizeof *cell, by_cell);
  return cell;
}

enum fit_status fit_runs_keep_best(struct fit_runs *runs, struct fit_error *err) {
  struct cell *cell = sorted_cells(runs);
  bool *keep = calloc(runs->count ? runs->count : 1, sizeof *keep);
  enum fit_status status = FIT_OK;
  if (!cell || !keep) {
    status = fit_fail(err, FIT_ERR_FAILED, "no memory for %zu rows", runs->count);
    goto fail;
  }
  for (size_t i = 0, first = 0, best = 0; i < runs->count; i++) {
    if (cell[i].params != cell[first].params || cell[i].tokens > cell[first].tokens * (1 + FIT_CELL_TOLERANCE)) {
      keep[cell[best].row] = true;
      first = best = i;
    } else if (cell[i].loss < cell[best].loss) {
      best = i;
    }
    if (i + 1 == runs->count) keep[cell[best].row] = true;
  }
  status = filter(runs, keep, FIT_DROP_NOT_BEST, err);
fail:
  free(cell);
  free(keep);
  return status;
}

// How many of number[count], in rising order, are `tokens` or less.
static size_t rank_of(const double *number, size_t count, double tokens) {
  size_t low = 0, high = count; // the first that is greater
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (number[middle] <= tokens)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

enum fit_status fit_runs_drop_diverged(struct fit_runs *runs, double factor, struct fit_error *err) {
  size_t room = runs->count ? runs->count : 1;
  struct cell *cell = sorted_cells(runs);
  bool *keep = calloc(room, sizeof *keep);
  double *tokens = malloc(room * sizeof *tokens), *lowest = malloc((room + 1) * sizeof *lowest);
  enum fit_status status = FIT_OK;
  if (!(factor > 1)) {
    status = fit_fail(err, FIT_ERR_INPUT,
                      "a run counts as diverged above %g times a lower run's loss; it must be more than 1", factor);
    goto fail;
  }
  if (!cell || !keep || !tokens || !lowest) {
    status = fit_fail(err, FIT_ERR_FAILED, "no memory for %zu rows", runs->count);
    goto fail;
  }
  for (size_t i = 0; i < runs->count; i++) tokens[i] = runs->row[i].tokens;
  qsort(tokens, runs->count, sizeof *tokens, fit__by_value);
  for (size_t i = 0; i <= runs->count; i++) lowest[i] = INFINITY;
  // Sizes in rising order; lowest[] is a Fenwick tree of the lowest loss so far over the ranks of tokens.
  for (size_t i = 0, next = 0; i < runs->count; i++) {
    for (; next < runs->count && cell[next].params <= cell[i].params * (1 + 1e-6); next++)
      for (size_t k = rank_of(tokens, runs->count, cell[next].tokens); k <= runs->count; k += k & (~k + 1))
        lowest[k] = fmin(lowest[k], cell[next].loss);
    double least = INFINITY;
    for (size_t k = rank_of(tokens, runs->count, cell[i].tokens * (1 + 1e-6)); k > 0; k -= k & (~k + 1))
      least = fmin(least, lowest[k]);
    keep[cell[i].row] = cell[i].loss <= factor * least;
  }
  status = filter(runs, keep, FIT_DROP_TOO_HIGH, err);
fail:
  free(cell);
  free(keep);
  free(tokens);
  free(lowest);
  return status;
}
