#include "fit/compare.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hyper_internal.h"
#include "stats.h"

#define BIN 0.01 // in ln: pairs nearer than this are one

// A run as a candidate for the fixed pair.
struct pair {
  long long b, r; // bins of ln B, ln lr
  int cell;
  double batch, lr;
};

static int by_pair(const void *pa, const void *pb) {
  const struct pair *a = pa, *b = pb;
  if (a->b != b->b) return a->b < b->b ? -1 : 1;
  if (a->r != b->r) return a->r < b->r ? -1 : 1;
  return a->cell < b->cell ? -1 : a->cell > b->cell;
}

// The pair that most accepted cells have; of equals the one nearest to the geometric mean.  False: no memory.
static bool choose_pair(const struct fit_runs *runs, const struct fit_cells *cells, const struct fit_hyper *hyper,
                        struct fit_compare *out) {
  struct pair *pair = malloc(runs->count * sizeof *pair);
  size_t count = 0;
  double mean[2] = {0}, least = INFINITY;
  int most = 0, have = 0;
  if (!pair) return false;
  for (int i = 0; i < cells->count; i++)
    for (size_t j = 0; !hyper->cell[i].bowl.refusal && j < cells->cell[i].count; j++) {
      const struct fit_run *r = &runs->row[cells->row[cells->cell[i].first + j]];
      pair[count++] =
          (struct pair){llround(log(r->batch_tokens) / BIN), llround(log(r->lr) / BIN), i, r->batch_tokens, r->lr};
    }
  for (size_t i = 0; i < count; i++) {
    mean[0] += log(pair[i].batch) / (double)count;
    mean[1] += log(pair[i].lr) / (double)count;
  }
  qsort(pair, count, sizeof *pair, by_pair);
  for (size_t i = 0; i < count; i++) {
    const struct pair *p = &pair[i], *before = i ? &pair[i - 1] : NULL;
    bool same = before && before->b == p->b && before->r == p->r;
    have = !same ? 1 : have + (before->cell != p->cell);
    double b = log(p->batch) - mean[0], l = log(p->lr) - mean[1], far = b * b + l * l;
    if (have > most || (have == most && far < least)) {
      most = have;
      least = far;
      out->batch = p->batch;
      out->lr = p->lr;
    }
  }
  free(pair);
  out->chosen = true;
  return true;
}

// The two tables that the laws are fitted to, one row per cell used.
struct tables {
  struct fit_runs optimal, fixed;
  int *group; // [cells used]
  int groups;
};

static void tables_free(struct tables *t) {
  fit_runs_free(&t->optimal);
  fit_runs_free(&t->fixed);
  free(t->group);
}

static bool make_room(struct tables *t, int cells) {
  t->optimal.row = calloc((size_t)cells, sizeof *t->optimal.row);
  t->fixed.row = calloc((size_t)cells, sizeof *t->fixed.row);
  t->group = malloc((size_t)cells * sizeof *t->group);
  return t->optimal.row && t->fixed.row && t->group;
}

static void add_rows(struct tables *t, const struct fit_run *optimal, const struct fit_run *fixed) {
  t->optimal.row[t->optimal.count++] = *optimal;
  t->fixed.row[t->fixed.count++] = *fixed;
}

// Of one more cell; the mean is a sum until all are there.
static void add_excess(struct fit_compare *out, double excess) {
  out->cells++;
  out->mean_excess += excess;
  out->worst_excess = out->cells == 1 ? excess : fmax(out->worst_excess, excess);
}

static bool fill_tables(const struct fit_runs *runs, const struct fit_cells *cells, const struct fit_hyper *hyper,
                        struct tables *t, struct fit_compare *out) {
  int *group = malloc((size_t)cells->count * sizeof *group), *number = malloc((size_t)cells->count * sizeof *number);
  if (!group || !number || !make_room(t, cells->count) || fit__cell_groups(runs, cells, hyper, group) < 0) {
    free(group);
    free(number);
    return false;
  }
  for (int i = 0; i < cells->count; i++) number[i] = -1; // of the groups that still have a cell
  for (int i = 0; i < cells->count; i++) {
    const struct fit_cell *c = &cells->cell[i];
    const struct fit_bowl *bowl = &hyper->cell[i].bowl;
    if (group[i] < 0) continue;
    const struct fit_run *run =
        &runs->row[fit__nearest_run(runs, cells->row + c->first, c->count, out->batch, out->lr)];
    if (!(fabs(log(run->batch_tokens / out->batch)) <= FIT_COMPARE_REACH &&
          fabs(log(run->lr / out->lr)) <= FIT_COMPARE_REACH)) {
      out->far++;
      continue;
    }
    struct fit_run best = *run;
    best.loss = bowl->loss;
    if (number[group[i]] < 0) number[group[i]] = t->groups++;
    t->group[out->cells] = number[group[i]];
    add_rows(t, &best, run);
    add_excess(out, run->loss / bowl->loss - 1);
  }
  out->mean_excess /= out->cells;
  free(group);
  free(number);
  return true;
}

// The training at which the law's optimum has `loss`.  False: it never has.
static bool optimum_with_loss(const double *law, const struct fit_family *f, double loss, double near,
                              struct fit_optimum *out) {
  double low = near, high = near;
  while (!fit_optimum_at(law, f, low, out, NULL) && out->loss < loss) low /= 16;
  if (!(fit_optimum_at(law, f, low, out, NULL) == FIT_OK && out->loss >= loss)) return false;
  while (!fit_optimum_at(law, f, high, out, NULL) && out->loss > loss) high *= 16;
  if (!(fit_optimum_at(law, f, high, out, NULL) == FIT_OK && out->loss <= loss)) return false;
  for (int i = 0; i < 60 && high > low * (1 + 1e-9); i++) {
    double middle = sqrt(low) * sqrt(high);
    if (fit_optimum_at(law, f, middle, out, NULL)) return false;
    *(out->loss > loss ? &low : &high) = middle;
  }
  return true;
}

// Fills all but the intervals; false where one of the laws has no optimum there.
static bool answer(const double *optimal, const double *fixed, const struct fit_family *f, double compute,
                   struct fit_compare_budget *b) {
  *b = (struct fit_compare_budget){.compute = compute, .saved = NAN, .saved_at_equal_loss = NAN, .compute_saved = NAN};
  if (fit_optimum_at(optimal, f, compute, &b->optimal, NULL) || fit_optimum_at(fixed, f, compute, &b->fixed, NULL)) {
    b->optimal = b->fixed = (struct fit_optimum){compute, NAN, NAN, NAN};
    return false;
  }
  double forward = fit_flops_per_token(f, b->fixed.params);
  b->saved = 1 - fit_flops_per_token(f, b->optimal.params) / forward;
  if (optimum_with_loss(optimal, f, b->fixed.loss, compute, &b->equal)) {
    b->saved_at_equal_loss = 1 - fit_flops_per_token(f, b->equal.params) / forward;
    b->compute_saved = 1 - b->equal.compute / compute;
  } else {
    b->equal = (struct fit_optimum){NAN, NAN, NAN, NAN};
  }
  return true;
}

static bool identified(const struct fit_solution *s) {
  for (int j = 0; j < s->law->params; j++)
    if (s->at_bound[j]) return false;
  return s->e_identified;
}

enum { OPTIMAL_N, FIXED_N, SAVED, EQUAL, ANSWERS };

// Draws groups of cells, fits both laws, and answers every budget.  times: [groups]; got:
// [budgets][ANSWERS][replicates].
static void resample(const struct tables *t, struct tables *drawn, const struct fit_compare_options *o,
                     struct fit_compare *out, int *times, double *got) {
  for (int i = 0; i < o->replicates; i++) {
    uint64_t state = fit__random_stream(o->seed, (uint64_t)i);
    struct fit_solution optimal, fixed;
    drawn->optimal.count = drawn->fixed.count = 0;
    memset(times, 0, (size_t)t->groups * sizeof *times);
    for (int k = 0; k < t->groups; k++) times[fit__random(&state) % (uint64_t)t->groups]++;
    for (int c = 0; c < out->cells; c++)
      for (int k = 0; k < times[t->group[c]]; k++) add_rows(drawn, &t->optimal.row[c], &t->fixed.row[c]);
    if (fit_solve(&drawn->optimal, &o->joint, &optimal, NULL) || fit_solve(&drawn->fixed, &o->joint, &fixed, NULL) ||
        fit_joint_check(optimal.params, NULL) || fit_joint_check(fixed.params, NULL)) {
      out->unidentified++;
      continue;
    }
    out->unidentified += !identified(&optimal) || !identified(&fixed);
    for (int b = 0; b < out->budgets; b++) {
      struct fit_compare_budget one, *to = &out->budget[b];
      double *at = got + (size_t)b * ANSWERS * (size_t)o->replicates + to->laws;
      if (!answer(optimal.params, fixed.params, &o->family, to->compute, &one) || isnan(one.saved_at_equal_loss))
        continue;
      const double value[ANSWERS] = {one.optimal.params, one.fixed.params, one.saved, one.saved_at_equal_loss};
      for (int j = 0; j < ANSWERS; j++) at[(size_t)j * (size_t)o->replicates] = value[j];
      to->laws++;
    }
  }
}

static enum fit_status find_intervals(const struct tables *t, const struct fit_compare_options *o,
                                      struct fit_compare *out, struct fit_error *err) {
  struct tables drawn = {0};
  double *got = malloc((size_t)out->budgets * ANSWERS * (size_t)o->replicates * sizeof *got);
  enum fit_status status = FIT_OK;
  int largest = 0, *times = calloc((size_t)t->groups, sizeof *times);
  for (int c = 0; times && c < out->cells; c++)
    if (++times[t->group[c]] > largest) largest = times[t->group[c]];
  if (!got || !largest || !make_room(&drawn, largest * t->groups)) {
    status = fit_fail(err, FIT_ERR_FAILED, "no memory for %d replicates", o->replicates);
    goto fail;
  }
  resample(t, &drawn, o, out, times, got);
  for (int b = 0; b < out->budgets; b++) {
    struct fit_compare_budget *to = &out->budget[b];
    struct fit_interval *const interval[ANSWERS] = {&to->optimal_params, &to->fixed_params, &to->saved_interval,
                                                    &to->equal_interval};
    bool enough = to->laws >= 2 && to->laws * 10 >= o->replicates * 9;
    for (int j = 0; j < ANSWERS; j++)
      *interval[j] =
          enough ? fit__interval(got + ((size_t)b * ANSWERS + (size_t)j) * (size_t)o->replicates, to->laws, out->level)
                 : (struct fit_interval){NAN, NAN, NAN};
  }
  out->has_intervals = true;
  if (out->unidentified > (1 - out->level) * o->replicates) out->identified = false;
fail:
  tables_free(&drawn);
  free(times);
  free(got);
  return status;
}

static enum fit_status check_options(const struct fit_compare_options *o, struct fit_error *err) {
  if (!(o->batch >= 0 && o->batch < INFINITY && o->lr >= 0 && o->lr < INFINITY) || (o->batch > 0) != (o->lr > 0))
    return fit_fail(err, FIT_ERR_INPUT, "fixed batch %g and learning rate %g: two numbers above 0 are needed", o->batch,
                    o->lr);
  if (o->budgets < 1 || o->budgets > FIT_COMPARE_BUDGETS)
    return fit_fail(err, FIT_ERR_INPUT, "%d budgets; 1 to %d are possible", o->budgets, FIT_COMPARE_BUDGETS);
  for (int b = 0; b < o->budgets; b++)
    if (!(o->compute[b] > 0 && o->compute[b] < INFINITY))
      return fit_fail(err, FIT_ERR_INPUT, "a budget of %g FLOPs; a number above 0 is needed", o->compute[b]);
  if (o->replicates < 0 || o->replicates == 1 || o->replicates > 1000000)
    return fit_fail(err, FIT_ERR_INPUT, "%d bootstrap replicates; 0, or 2 to 1000000 are possible", o->replicates);
  if (o->level != 0 && !(o->level > 0 && o->level < 1))
    return fit_fail(err, FIT_ERR_INPUT, "interval level %g is not between 0 and 1", o->level);
  return fit_family_check(&o->family, err);
}

static struct fit_compare begin(const struct fit_compare_options *o) {
  return (struct fit_compare){.batch = o->batch,
                              .lr = o->lr,
                              .replicates = o->replicates,
                              .level = o->level != 0 ? o->level : 0.9,
                              .budgets = o->budgets};
}

// Both laws of the tables' cells, and what follows from them.
static enum fit_status compare(const struct tables *t, const struct fit_compare_options *o, struct fit_compare *out,
                               struct fit_error *err) {
  struct fit_error why;
  enum fit_status status;
  out->groups = t->groups;
  if ((status = fit_solve(&t->optimal, &o->joint, &out->optimal, &why)) ||
      (status = fit_joint_check(out->optimal.params, &why)))
    return fit_fail(err, status, "joint law of the %d cells' optima: %s", out->cells, why.what);
  if ((status = fit_solve(&t->fixed, &o->joint, &out->fixed, &why)) ||
      (status = fit_joint_check(out->fixed.params, &why)))
    return fit_fail(err, status, "joint law of the %d runs at batch %g, lr %g: %s", out->cells, out->batch, out->lr,
                    why.what);
  out->identified = identified(&out->optimal) && identified(&out->fixed);
  for (int b = 0; b < o->budgets; b++)
    answer(out->optimal.params, out->fixed.params, &o->family, o->compute[b], &out->budget[b]);
  return o->replicates && t->groups >= FIT_MIN_CLUSTERS ? find_intervals(t, o, out, err) : FIT_OK;
}

enum fit_status fit_compare_fixed(const struct fit_runs *runs, const struct fit_hyper *hyper,
                                  const struct fit_compare_options *options, struct fit_compare *out,
                                  struct fit_error *err) {
  const struct fit_compare_options *o = options;
  struct fit_cells cells = {0};
  struct tables t = {0};
  *out = begin(o);
  enum fit_status status = check_options(o, err);
  if (status || (status = fit_cells_make(runs, &cells, err))) return status;
  if ((!(o->batch > 0) && !choose_pair(runs, &cells, hyper, out)) || !fill_tables(runs, &cells, hyper, &t, out))
    status = fit_fail(err, FIT_ERR_FAILED, "no memory for %d cells", cells.count);
  else
    status = compare(&t, o, out, err);
  tables_free(&t);
  fit_cells_free(&cells);
  return status;
}

enum fit_status fit_compare_pairs(const struct fit_runs *optimal, const struct fit_runs *fixed,
                                  const struct fit_compare_options *options, struct fit_compare *out,
                                  struct fit_error *err) {
  const struct fit_compare_options *o = options;
  struct tables t = {0};
  *out = begin(o);
  out->by_law = true;
  enum fit_status status = check_options(o, err);
  if (status) return status;
  if (optimal->count != fixed->count || optimal->count > INT_MAX)
    return fit_fail(err, FIT_ERR_INPUT, "%zu runs at the law's pairs, %zu at the fixed one", optimal->count,
                    fixed->count);
  if (!(o->batch > 0)) return fit_fail(err, FIT_ERR_INPUT, "no fixed batch and learning rate are named");
  int count = (int)optimal->count;
  if (!make_room(&t, count)) status = fit_fail(err, FIT_ERR_FAILED, "no memory for %d cells", count);
  for (int i = 0; i < count && !status; i++) {
    const struct fit_run *a = &optimal->row[i], *b = &fixed->row[i];
    if (a->params != b->params || !(fabs(a->tokens / b->tokens - 1) <= FIT_CELL_TOLERANCE))
      status = fit_fail(err, FIT_ERR_INPUT, "row %d: N = %g, T = %g beside N = %g, T = %g", i + 1, a->params, a->tokens,
                        b->params, b->tokens);
    t.group[i] = i;
    add_rows(&t, a, b);
    add_excess(out, b->loss / a->loss - 1);
  }
  t.groups = count;
  out->mean_excess /= out->cells;
  if (!status) status = compare(&t, o, out, err);
  tables_free(&t);
  return status;
}
