#include "hyper_internal.h"

#include <math.h>
#include <stdlib.h>

static const double window_times[FIT_HYPER_WINDOWS] = {0.5, 0.75, 1, 1.5, 2, 3};

static enum fit_status check_options(const struct fit_hyper_options *o, struct fit_error *err) {
  if (o->window != 0 && !(o->window >= FIT_MIN_WINDOW && o->window <= FIT_MAX_WINDOW))
    return fit_fail(err, FIT_ERR_INPUT, "window %g: a relative loss between %g and %g is needed", o->window,
                    FIT_MIN_WINDOW, FIT_MAX_WINDOW);
  for (int t = 0; t < FIT_HYPER_TARGETS; t++)
    if ((o->hold_tokens[t] && !isfinite(o->tokens_exp[t])) || (o->hold_params[t] && !isfinite(o->params_exp[t])))
      return fit_fail(err, FIT_ERR_INPUT, "an exponent of law %s is held at no number", fit_hyper_target_name[t]);
  return FIT_OK;
}

size_t fit__nearest_run(const struct fit_runs *runs, const size_t *row, size_t count, double batch, double lr) {
  size_t found = row[0];
  double least = INFINITY;
  for (size_t i = 0; i < count; i++) {
    const struct fit_run *r = &runs->row[row[i]];
    double b = log(r->batch_tokens / batch), l = log(r->lr / lr), far = b * b + l * l;
    if (far < least) {
      least = far;
      found = row[i];
    }
  }
  return found;
}

// The loss of the run nearest to the laws' choice over the cell's best, less 1.
static double regret_of(const struct fit_runs *runs, const size_t *row, const struct fit_cell *cell, double lowest,
                        const struct fit_hyper_law law[FIT_HYPER_TARGETS], size_t *nearest) {
  double batch = fit_hyper_at(&law[FIT_HYPER_BATCH], cell->params, cell->tokens);
  double lr = fit_hyper_at(&law[FIT_HYPER_LR], cell->params, cell->tokens);
  *nearest = fit__nearest_run(runs, row + cell->first, cell->count, batch, lr);
  return runs->row[*nearest].loss / lowest - 1;
}

static bool has_laws(const struct fit_hyper_law law[FIT_HYPER_TARGETS]) {
  return !law[FIT_HYPER_BATCH].refusal && !law[FIT_HYPER_LR].refusal;
}

// Everything that one fit of a table needs.
struct task {
  const struct fit_runs *runs;
  const struct fit_hyper_options *options;
  struct fit_cells cells;
  struct fit_hyper_point *point; // room for every row
};

// Bowls at `window` into bowl [cells.count]; returns the accepted ones, -1 without memory.
static int find_bowls(const struct task *t, double window, struct fit_bowl *bowl) {
  int accepted = 0;
  for (int i = 0; i < t->cells.count; i++) {
    const struct fit_cell *c = &t->cells.cell[i];
    if (!fit_bowl_fit(t->runs, t->cells.row + c->first, c->count, NULL, window, t->cells.one_batch, &bowl[i]))
      return -1;
    accepted += !bowl[i].refusal;
  }
  return accepted;
}

// The laws of the accepted bowls, without those of size `leave` (0: of all).
static bool find_laws(const struct task *t, const struct fit_bowl *bowl, double leave,
                      struct fit_hyper_law law[FIT_HYPER_TARGETS]) {
  int count = 0;
  for (int i = 0; i < t->cells.count; i++)
    if (!bowl[i].refusal && t->cells.cell[i].params != leave)
      t->point[count++] = fit__hyper_point(&t->cells.cell[i], &bowl[i], 1);
  for (int k = 0; k < FIT_HYPER_TARGETS; k++)
    if (!fit__hyper_law(t->point, count, t->options, (enum fit_hyper_target)k, true, &law[k])) return false;
  return true;
}

static bool find_near(const struct task *t, const struct fit_bowl *bowl, struct fit_hyper_law law[FIT_HYPER_TARGETS]) {
  int count = 0;
  for (int i = 0; i < t->cells.count; i++) {
    const struct fit_cell *c = &t->cells.cell[i];
    for (size_t j = c->first; j < c->first + c->count; j++) {
      const struct fit_run *r = &t->runs->row[t->cells.row[j]];
      if (r->loss <= bowl[i].lowest * (1 + FIT_NEAR_BEST))
        t->point[count++] = (struct fit_hyper_point){
            .t = log(c->tokens), .n = log(c->params), .y = {log(r->batch_tokens), log(r->lr)}, .weight = 1};
    }
  }
  for (int k = 0; k < FIT_HYPER_TARGETS; k++)
    if (!fit__hyper_law(t->point, count, t->options, (enum fit_hyper_target)k, false, &law[k])) return false;
  return true;
}

static void find_regret(const struct task *t, struct fit_hyper *out) {
  double share = 1.0 / out->accepted;
  for (int i = 0; i < out->count; i++) {
    struct fit_hyper_cell *c = &out->cell[i];
    c->regret = c->regret_out = NAN;
    if (!has_laws(out->law)) continue;
    c->regret = regret_of(t->runs, t->cells.row, &c->cell, c->bowl.lowest, out->law, &c->nearest);
    if (c->bowl.refusal) continue;
    out->mean_regret += share * c->regret;
    out->worst_regret = fmax(out->worst_regret, c->regret);
  }
  if (!has_laws(out->law)) out->mean_regret = out->worst_regret = NAN;
}

// Each size by the law of the others: what the law is worth where it was not fitted.
static bool find_regret_out(const struct task *t, const struct fit_bowl *bowl, struct fit_hyper *out) {
  struct fit_hyper_law law[FIT_HYPER_TARGETS];
  int counted = 0;
  size_t ignored;
  for (int i = 0; i < out->count; i++) {
    struct fit_hyper_cell *c = &out->cell[i];
    if ((!i || c->cell.params != out->cell[i - 1].cell.params) && !find_laws(t, bowl, c->cell.params, law))
      return false;
    if (!has_laws(law)) continue;
    c->regret_out = regret_of(t->runs, t->cells.row, &c->cell, c->bowl.lowest, law, &ignored);
    if (c->bowl.refusal) continue;
    counted++;
    out->mean_regret_out += c->regret_out;
    out->worst_regret_out = fmax(out->worst_regret_out, c->regret_out);
  }
  out->mean_regret_out = counted ? out->mean_regret_out / counted : NAN;
  if (!counted) out->worst_regret_out = NAN;
  return true;
}

static bool find_sensitivity(const struct task *t, struct fit_bowl *bowl, struct fit_hyper *out) {
  for (int w = 0; w < FIT_HYPER_WINDOWS; w++) {
    struct fit_hyper_window *at = &out->at[w];
    size_t ignored;
    at->window = fmin(out->window * window_times[w], FIT_MAX_WINDOW);
    at->accepted = find_bowls(t, at->window, bowl);
    if (at->accepted < 0 || !find_laws(t, bowl, 0, at->law)) return false;
    for (int i = 0; has_laws(at->law) && i < out->count; i++) {
      if (bowl[i].refusal) continue;
      double regret = regret_of(t->runs, t->cells.row, &t->cells.cell[i], bowl[i].lowest, at->law, &ignored);
      at->mean_regret += regret / at->accepted;
      at->worst_regret = fmax(at->worst_regret, regret);
    }
    if (!has_laws(at->law)) at->mean_regret = at->worst_regret = NAN;
  }
  return true;
}

enum fit_status fit_hyper_fit(const struct fit_runs *runs, const struct fit_hyper_options *options,
                              struct fit_hyper *out, struct fit_error *err) {
  static const struct fit_hyper_options defaults;
  struct task t = {.runs = runs, .options = options ? options : &defaults};
  struct fit_bowl *bowl = NULL;
  *out = (struct fit_hyper){0};
  enum fit_status status = check_options(t.options, err);
  if (status || (status = fit_cells_make(runs, &t.cells, err))) return status;
  out->window = t.options->window != 0 ? t.options->window : FIT_DEFAULT_WINDOW;
  out->count = t.cells.count;
  out->without = t.cells.without;
  out->one_batch = t.cells.one_batch;
  out->cell = calloc((size_t)out->count, sizeof *out->cell);
  bowl = malloc((size_t)out->count * sizeof *bowl);
  t.point = malloc(runs->count * sizeof *t.point);
  bool done = out->cell && bowl && t.point && (out->accepted = find_bowls(&t, out->window, bowl)) >= 0;
  for (int i = 0; done && i < out->count; i++)
    out->cell[i] = (struct fit_hyper_cell){.cell = t.cells.cell[i], .bowl = bowl[i]};
  if (done && (done = find_laws(&t, bowl, 0, out->law))) find_regret(&t, out);
  done = done && find_near(&t, bowl, out->near) && find_regret_out(&t, bowl, out) && find_sensitivity(&t, bowl, out);
  if (!done) {
    status = fit_fail(err, FIT_ERR_FAILED, "no memory for %d cells of %zu rows", out->count, runs->count);
    fit_hyper_free(out);
  }
  free(t.point);
  free(bowl);
  fit_cells_free(&t.cells);
  return status;
}

void fit_hyper_free(struct fit_hyper *h) {
  if (!h) return;
  free(h->cell);
  *h = (struct fit_hyper){0};
}
