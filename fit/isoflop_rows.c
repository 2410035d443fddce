#include "isoflop_rows.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "curves.h"
#include "stats.h"

#define SEARCH_POINTS 400 // computes at which the curves' overlap is looked for
#define SHOWN_SIZES 3     // budgets found with fewer sizes are chance, not a budget that lacks one

struct item {
  double c;
  size_t row;
  int size, budget; // budget: -1, none yet
};

static int by_compute(const void *pa, const void *pb) {
  const struct item *a = pa, *b = pb;
  if (a->c != b->c) return a->c < b->c ? -1 : 1;
  return a->row < b->row ? -1 : a->row > b->row;
}

static int by_budget(const void *pa, const void *pb) {
  double a = ((const struct fit_budget *)pa)->compute, b = ((const struct fit_budget *)pb)->compute;
  return a < b ? -1 : a > b;
}

// The rows in order of compute, and the number of distinct sizes (equal to 1e-6).
static struct item *sorted_items(const struct fit_runs *runs, const struct fit_family *f, int *sizes) {
  struct item *item = malloc((runs->count ? runs->count : 1) * sizeof *item);
  double before = 0;
  *sizes = 0;
  if (!item) return NULL;
  for (size_t i = 0; i < runs->count; i++) item[i] = (struct item){.c = runs->row[i].params, .row = i, .budget = -1};
  qsort(item, runs->count, sizeof *item, by_compute); // by size first, to number the sizes
  for (size_t i = 0; i < runs->count; i++) {
    if (!i || item[i].c > before * (1 + 1e-6)) {
      (*sizes)++;
      before = item[i].c;
    }
    item[i].size = *sizes - 1;
  }
  for (size_t i = 0; i < runs->count; i++) item[i].c = fit__log_compute(&runs->row[item[i].row], f);
  qsort(item, runs->count, sizeof *item, by_compute);
  return item;
}

// The stretch of unused rows, `width` long at most, with the most sizes (then the most rows).  Returns the sizes.
static int densest(const struct item *item, size_t count, double width, int *times, int sizes, size_t *low,
                   size_t *high) {
  int best = 0, here = 0;
  size_t best_rows = 0, rows = 0;
  memset(times, 0, (size_t)sizes * sizeof *times);
  for (size_t from = 0, to = 0; to < count; to++) {
    if (item[to].budget >= 0) continue;
    here += !times[item[to].size]++;
    rows++;
    for (; item[from].c < item[to].c - width; from++) {
      if (item[from].budget >= 0) continue;
      here -= !--times[item[from].size];
      rows--;
    }
    if (here < best || (here == best && rows <= best_rows)) continue;
    best = here;
    best_rows = rows;
    *low = from;
    *high = to + 1;
  }
  return best;
}

// Budgets where the table has most sizes at about the same compute.
static void find_budgets(struct item *item, size_t count, const struct fit_isoflop_options *o, int *times, int sizes,
                         struct fit_isoflop *out) {
  while (out->budgets < o->budgets) {
    size_t low = 0, high = 0, used = 0;
    double sum = 0, first = NAN, last = NAN;
    if (densest(item, count, o->width, times, sizes, &low, &high) < SHOWN_SIZES) break;
    for (size_t i = low; i < high; i++) {
      if (item[i].budget >= 0) continue;
      item[i].budget = out->budgets;
      if (!used++) first = item[i].c;
      last = item[i].c;
      sum += item[i].c;
    }
    out->budget[out->budgets].first = out->budgets; // where its rows say it is, until the budgets are sorted
    out->budget[out->budgets++].compute = exp(first == last ? first : sum / (double)used);
  }
}

// Budgets as given: a row belongs to the nearest of those within reach.
static void take_budgets(struct item *item, size_t count, const struct fit_isoflop_options *o,
                         struct fit_isoflop *out) {
  for (int b = 0; b < o->budgets; b++)
    out->budget[out->budgets++] = (struct fit_budget){.compute = o->budget[b], .first = b};
  for (size_t i = 0; i < count; i++) {
    double nearest = o->width / 2 * (1 + 1e-9);
    for (int b = 0; b < o->budgets; b++) {
      double away = fabs(item[i].c - log(o->budget[b]));
      if (away > nearest) continue;
      nearest = away;
      item[i].budget = b;
    }
  }
}

static enum fit_status rows_of_rows(const struct fit_runs *runs, const struct fit_isoflop_options *o,
                                    struct fit_iso_rows *rows, struct fit_isoflop *out, struct fit_error *err) {
  int sizes;
  struct item *item = sorted_items(runs, &o->family, &sizes);
  int *times = malloc((size_t)(sizes ? sizes : 1) * sizeof *times);
  enum fit_status status = FIT_OK;
  rows->row = malloc((runs->count ? runs->count : 1) * sizeof *rows->row);
  if (!item || !times || !rows->row) {
    status = fit_fail(err, FIT_ERR_FAILED, "no memory for %zu rows", runs->count);
    goto fail;
  }
  if (o->budget)
    take_budgets(item, runs->count, o, out);
  else
    find_budgets(item, runs->count, o, times, sizes, out);
  qsort(out->budget, (size_t)out->budgets, sizeof *out->budget, by_budget);
  for (int b = 0; b < out->budgets; b++) {
    struct fit_budget *budget = &out->budget[b];
    int was = budget->first;
    budget->first = (int)rows->count;
    for (size_t i = 0; i < runs->count; i++) {
      const struct fit_run *run = &runs->row[item[i].row];
      if (item[i].budget != was) continue;
      rows->row[rows->count++] = (struct fit_iso_row){.n = log(run->params),
                                                      .c = item[i].c - log(budget->compute),
                                                      .t = log(run->tokens),
                                                      .y = o->linear_loss ? run->loss : log(run->loss),
                                                      .run = run->run};
    }
    budget->count = (int)rows->count - budget->first;
  }
  out->rows_used = rows->count;
fail:
  free(item);
  free(times);
  return status;
}

// The lowest curve of every size at ln C = compute: the sizes that reach there.  best: [sizes].
static int lowest_of_sizes(const struct fit_curves *c, double compute, struct fit_iso_row *best, bool *reached) {
  int count = 0;
  memset(reached, 0, (size_t)c->sizes * sizeof *reached);
  for (int i = 0; i < c->curves; i++) {
    const struct fit_curve *curve = &c->curve[i];
    double tokens, loss;
    if (!fit__curve_at(c, curve, compute, &tokens, &loss)) continue;
    if (reached[curve->size] && best[curve->size].y <= loss) continue;
    count += !reached[curve->size];
    reached[curve->size] = true;
    best[curve->size] = (struct fit_iso_row){.n = log(curve->params), .t = tokens, .y = loss, .run = curve->run};
  }
  return count;
}

// Evenly spaced in ln C over the stretch where enough sizes overlap.
static void space_budgets(const struct fit_curves *c, const struct fit_isoflop_options *o, struct fit_iso_row *best,
                          bool *reached, struct fit_isoflop *out) {
  double low = INFINITY, high = -INFINITY, from = INFINITY, to = -INFINITY;
  for (int i = 0; i < c->curves; i++) {
    low = fmin(low, c->compute[c->curve[i].first]);
    high = fmax(high, c->compute[c->curve[i].first + c->curve[i].count - 1]);
  }
  for (int k = 0; k < SEARCH_POINTS; k++) {
    double at = low + (high - low) * k / (SEARCH_POINTS - 1.0);
    if (lowest_of_sizes(c, at, best, reached) < FIT_ISOFLOP_SIZES) continue;
    from = fmin(from, at);
    to = fmax(to, at);
  }
  for (int b = 0; b < o->budgets && from < to; b++)
    out->budget[out->budgets++].compute = exp(from + (to - from) * (b + 0.5) / o->budgets);
}

static enum fit_status rows_of_curves(const struct fit_curves *c, const struct fit_isoflop_options *o,
                                      struct fit_iso_rows *rows, struct fit_isoflop *out, struct fit_error *err) {
  struct fit_iso_row *best = malloc((size_t)c->sizes * sizeof *best);
  bool *reached = malloc((size_t)c->sizes * sizeof *reached);
  enum fit_status status = FIT_OK;
  if (!best || !reached) {
    status = fit_fail(err, FIT_ERR_FAILED, "no memory for %d sizes", c->sizes);
    goto fail;
  }
  if (o->budget)
    for (int b = 0; b < o->budgets; b++) out->budget[out->budgets++].compute = o->budget[b];
  else
    space_budgets(c, o, best, reached, out);
  qsort(out->budget, (size_t)out->budgets, sizeof *out->budget, by_budget);
  rows->row = malloc(((size_t)out->budgets * (size_t)c->sizes + 1) * sizeof *rows->row);
  if (!rows->row) {
    status = fit_fail(err, FIT_ERR_FAILED, "no memory for %d budgets of %d sizes", out->budgets, c->sizes);
    goto fail;
  }
  for (int b = 0; b < out->budgets; b++) {
    out->budget[b].first = (int)rows->count;
    lowest_of_sizes(c, log(out->budget[b].compute), best, reached);
    for (int k = 0; k < c->sizes; k++) {
      if (!reached[k]) continue;
      rows->row[rows->count] = best[k];
      if (o->linear_loss) rows->row[rows->count].y = exp(best[k].y);
      rows->count++;
    }
    out->budget[b].count = (int)rows->count - out->budget[b].first;
  }
fail:
  free(best);
  free(reached);
  return status;
}

enum fit_status fit__isoflop_rows(const struct fit_runs *runs, const struct fit_isoflop_options *o,
                                  struct fit_iso_rows *rows, struct fit_isoflop *out, struct fit_error *err) {
  struct fit_curves c = {0};
  enum fit_status status = FIT_OK;
  if (runs->count > INT_MAX / 2) return fit_fail(err, FIT_ERR_INPUT, "%zu rows; too many for IsoFLOP", runs->count);
  if (o->from != FIT_BUDGETS_ROWS && !fit__curves_init(&c, runs, &o->family))
    return fit_fail(err, FIT_ERR_FAILED, "no memory for %zu rows", runs->count);
  if (o->from == FIT_BUDGETS_CURVES && c.curves < 1) {
    status = fit_fail(err, FIT_ERR_INPUT,
                      "no run has rows at several computes, so there are no curves to interpolate "
                      "(the column run tells which rows belong together)");
    goto fail;
  }
  bool curves = o->from == FIT_BUDGETS_CURVES || (o->from == FIT_BUDGETS_AUTO && c.sizes >= FIT_ISOFLOP_SIZES);
  out->source = curves ? FIT_BUDGETS_BY_CURVES : FIT_BUDGETS_BY_ROWS;
  status = curves ? rows_of_curves(&c, o, rows, out, err) : rows_of_rows(runs, o, rows, out, err);
  if (!status && !out->budgets)
    status =
        fit_fail(err, FIT_ERR_INPUT,
                 curves ? "the curves of %zu rows overlap nowhere in compute with %d sizes"
                        : "no budget to try: nowhere do the %zu rows hold %d or more sizes at about the same compute",
                 runs->count, curves ? FIT_ISOFLOP_SIZES : SHOWN_SIZES);
fail:
  fit__curves_free(&c);
  return status;
}
