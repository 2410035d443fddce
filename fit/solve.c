#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats.h"

#define MAX_STEPS 500
#define TOLERANCE 1e-9 // of the gradient, relative: where it is rounding alone
#define MAX_DAMPING 1e14
#define ROUNDING 1e-29 // of a row's r^2/2 when the fit is exact
#define LARGE_TABLE 20000u
#define SOME_ROWS 5000u
#define E_TOLERANCE 1.02 // E = 0 at this multiple of the objective or less: the table does not show E

struct state {
  double f, g[FIT_MAX_PARAMS], scale[FIT_MAX_PARAMS];
  double h[FIT_MAX_HESSIAN], d[FIT_MAX_PARAMS]; // Hessian; diagonal of J^T J
};

static double huber(double r, double delta) {
  double a = fabs(r);
  return a <= delta ? 0.5 * r * r : delta * (a - 0.5 * delta);
}

static double value_at(const struct fit_problem *p, const double *weight, double delta, const double *x) {
  double f = 0;
  for (size_t i = 0; i < p->count; i++) {
    double w = weight ? weight[i] : 1;
    if (w != 0) f += w * huber(p->law->residual(x, &p->obs[i], NULL, NULL), delta);
  }
  return f;
}

static void state_at(const struct fit_problem *p, const double *weight, double delta, const double *x,
                     struct state *s) {
  int n = p->law->params;
  memset(s, 0, sizeof *s);
  for (size_t i = 0; i < p->count; i++) {
    double w = weight ? weight[i] : 1, jac[FIT_MAX_PARAMS], hess[FIT_MAX_HESSIAN];
    if (w == 0) continue;
    double r = p->law->residual(x, &p->obs[i], jac, hess);
    bool inside = fabs(r) <= delta;
    double slope = w * (inside ? r : copysign(delta, r));
    s->f += w * huber(r, delta);
    for (int j = 0; j < n; j++) {
      s->g[j] += slope * jac[j];
      s->scale[j] += fabs(slope * jac[j]);
      s->d[j] += w * jac[j] * jac[j];
      for (int k = 0; k <= j; k++) s->h[j * n + k] += slope * hess[j * n + k] + (inside ? w * jac[j] * jac[k] : 0);
    }
  }
}

// Held, or at a bound that the descent would cross.
static bool pinned(const struct fit_problem *p, const struct state *s, const double *x, int j) {
  return !isnan(p->held[j]) || (x[j] <= p->law->lowest[j] && s->g[j] > 0) ||
         (x[j] >= p->law->highest[j] && s->g[j] < 0);
}

// Solves (H + damping*D) step = -g over the parameters not pinned; false when the matrix is not positive definite.
static bool newton_step(const struct fit_problem *p, const struct state *s, const double *x, double damping,
                        double *step) {
  int n = p->law->params, at[FIT_MAX_PARAMS], free_count = 0;
  double a[FIT_MAX_HESSIAN], y[FIT_MAX_PARAMS];
  for (int j = 0; j < n; j++) {
    step[j] = 0;
    if (!pinned(p, s, x, j)) at[free_count++] = j;
  }
  for (int j = 0; j < free_count; j++)
    for (int k = 0; k <= j; k++) {
      double v = s->h[at[j] * n + at[k]];
      if (j == k) v += damping * fmax(s->d[at[j]], 1e-12 * (double)p->count);
      for (int m = 0; m < k; m++) v -= a[j * n + m] * a[k * n + m];
      if (j == k && !(v > 1e-14 * fabs(s->h[at[j] * n + at[j]]) && v > 0)) return false;
      a[j * n + k] = j == k ? sqrt(v) : v / a[k * n + k];
    }
  for (int j = 0; j < free_count; j++) {
    y[j] = -s->g[at[j]];
    for (int k = 0; k < j; k++) y[j] -= a[j * n + k] * y[k];
    y[j] /= a[j * n + j];
  }
  for (int j = free_count - 1; j >= 0; j--) {
    for (int k = j + 1; k < free_count; k++) y[j] -= a[k * n + j] * y[k];
    y[j] /= a[j * n + j];
    step[at[j]] = y[j];
  }
  return true;
}

static double gradient_size(const struct fit_problem *p, const struct state *s, const double *x) {
  double worst = 0;
  for (int j = 0; j < p->law->params; j++)
    if (!pinned(p, s, x, j) && s->scale[j] > 0) worst = fmax(worst, fabs(s->g[j]) / s->scale[j]);
  return worst;
}

// Damped Newton: the damping rises until the step descends.  Ends where the gradient is rounding alone, or where no
// step lowers the sum any more (the same thing when the residuals themselves are rounding).  False: did not end.
static bool descend(const struct fit_problem *p, const double *weight, double delta, double *x, double *f,
                    double *gradient) {
  struct state s;
  double damping = 1e-3;
  state_at(p, weight, delta, x, &s);
  for (int i = 0; i < MAX_STEPS && isfinite(s.f); i++) {
    double step[FIT_MAX_PARAMS], to[FIT_MAX_PARAMS], fall = 0, want = 0, longest = 0;
    *f = s.f;
    *gradient = gradient_size(p, &s, x);
    if (*gradient <= TOLERANCE) return true;
    for (;; damping *= 4) {
      if (damping > MAX_DAMPING) return true;
      if (!newton_step(p, &s, x, damping, step)) continue;
      want = longest = 0;
      for (int j = 0; j < p->law->params; j++) {
        bool held = !isnan(p->held[j]);
        to[j] = held ? x[j] : fmin(fmax(x[j] + step[j], p->law->lowest[j]), p->law->highest[j]);
        if (!held) want -= 0.5 * s.g[j] * (to[j] - x[j]); // no more than the model's own fall
        longest = fmax(longest, fabs(step[j]));
      }
      if (longest > 2) continue; // working parameters are logarithms and exponents: two is far
      fall = s.f - value_at(p, weight, delta, to);
      if (want > 0 && fall > 1e-4 * want) break;
      if (fabs(want) <= 1e-15 * s.f) return true;
    }
    damping = fall > 0.7 * want ? fmax(damping * 0.1, 1e-15) : damping;
    memcpy(x, to, (size_t)p->law->params * sizeof *x);
    state_at(p, weight, delta, x, &s);
  }
  return false;
}

static bool minimise_delta(const struct fit_problem *p, const double *weight, double delta, const double *first,
                           double *x, struct fit_solution *out) {
  double start[(FIT_MAX_STARTS + 1) * FIT_MAX_PARAMS], f[FIT_MAX_STARTS + 1];
  int n = p->law->params, count = 0;
  if (first) {
    memcpy(start, first, (size_t)n * sizeof *start);
    for (int j = 0; j < n; j++)
      if (!isnan(p->held[j])) start[j] = p->held[j];
    count = 1;
  }
  if (p->polish) count += p->law->starts(p->obs, weight, p->count, p->held, p->polish, start + count * n);
  out->objective = INFINITY;
  out->starts = out->agreeing = 0;
  for (int i = 0; i < count; i++) {
    double gradient;
    if (!descend(p, weight, delta, start + i * n, &f[out->starts], &gradient)) continue;
    if (f[out->starts] < out->objective) {
      out->objective = f[out->starts];
      out->gradient = gradient;
      memcpy(x, start + i * n, (size_t)n * sizeof *x);
    }
    out->starts++;
  }
  for (int i = 0; i < out->starts; i++)
    out->agreeing += f[i] <= out->objective * (1 + 1e-6) + ROUNDING * (double)p->count;
  out->delta = delta;
  return out->starts > 0;
}

// 1.345 / 0.67449 * weighted median of |r|, but never so small that rounding would count as an outlier.
static double mad_delta(const struct fit_problem *p, const double *weight, const double *x) {
  struct pair {
    double r, w;
  } *pair = malloc(p->count * sizeof *pair);
  double total = 0, below = 0, median = 0;
  if (!pair) return NAN;
  for (size_t i = 0; i < p->count; i++) {
    pair[i] = (struct pair){fabs(p->law->residual(x, &p->obs[i], NULL, NULL)), weight ? weight[i] : 1};
    total += pair[i].w;
  }
  qsort(pair, p->count, sizeof *pair, fit__by_value); // r is the first member
  for (size_t i = 0; i < p->count && below < total / 2; i++) {
    below += pair[i].w;
    median = pair[i].r;
  }
  free(pair);
  return fmax(1.345 / 0.67449 * median, 1e-9);
}

static bool minimise_all(const struct fit_problem *p, const double *weight, const double *first, double *x,
                         struct fit_solution *out) {
  if (p->loss != FIT_LOSS_MAD)
    return minimise_delta(p, weight, p->loss == FIT_LOSS_MSE ? INFINITY : p->delta, first, x, out);
  if (!minimise_delta(p, weight, p->delta, first, x, out)) return false;
  for (int i = 0; i < 30; i++) {
    double delta = mad_delta(p, weight, x), before = out->delta, from[FIT_MAX_PARAMS];
    memcpy(from, x, sizeof from);
    if (isnan(delta) || !minimise_delta(p, weight, delta, from, x, out)) return false;
    if (fabs(delta - before) <= 1e-6 * delta) break;
  }
  return true;
}

// The starts of a large table are tried on some of its rows, drawn evenly at random, whose best fit is where that of
// all rows begins.
static bool minimise_large(const struct fit_problem *p, const double *weight, const double *first, double *x,
                           struct fit_solution *out) {
  struct fit_problem part = *p, all = *p;
  struct fit_solution found = {0};
  double from[FIT_MAX_PARAMS], *w = malloc(SOME_ROWS * sizeof *w);
  uint64_t state = fit__random_stream(0, 0);
  part.count = SOME_ROWS;
  part.obs = malloc(SOME_ROWS * sizeof *part.obs);
  bool good = w && part.obs;
  for (size_t i = 0; good && i < SOME_ROWS; i++) {
    size_t low = p->count / SOME_ROWS * i, row = low + fit__random(&state) % (p->count / SOME_ROWS);
    part.obs[i] = p->obs[row];
    w[i] = weight ? weight[row] : 1;
  }
  good = good && minimise_all(&part, w, first, from, &found);
  free(part.obs);
  free(w);
  all.polish = 0;
  if (!good || !minimise_all(&all, weight, from, x, out)) return false;
  out->starts = found.starts;
  out->agreeing = found.agreeing;
  return true;
}

bool fit__minimise(const struct fit_problem *p, const double *weight, const double *first, double *x,
                   struct fit_solution *out) {
  return p->polish && p->count >= LARGE_TABLE ? minimise_large(p, weight, first, x, out)
                                              : minimise_all(p, weight, first, x, out);
}

static enum fit_status check_options(struct fit_problem *p, const struct fit_options *options, struct fit_error *err) {
  static const struct fit_options defaults;
  const struct fit_options *o = options ? options : &defaults;
  p->law = o->law ? o->law : &fit_laws[0];
  p->loss = o->loss;
  p->delta = o->delta != 0 ? o->delta : FIT_DEFAULT_DELTA;
  if (!(p->delta > 0 && p->delta < INFINITY))
    return fit_fail(err, FIT_ERR_INPUT, "delta is %g; it must be a number above 0", p->delta);
  for (int j = 0; j < p->law->params; j++) {
    p->held[j] = NAN;
    if (!o->held[j]) continue;
    if (p->law->hold[j] == FIT_HOLD_NO)
      return fit_fail(err, FIT_ERR_INPUT, "parameter %s of law %s cannot be held fixed", p->law->param[j],
                      p->law->name);
    if (!(o->value[j] >= 0 && o->value[j] < INFINITY) || (p->law->hold[j] == FIT_HOLD_PLAIN && o->value[j] == 0))
      return fit_fail(err, FIT_ERR_INPUT, "parameter %s cannot be held at %g", p->law->param[j], o->value[j]);
    p->held[j] = p->law->hold[j] == FIT_HOLD_LOG ? log(o->value[j]) : o->value[j];
  }
  return FIT_OK;
}

enum fit_status fit__problem_init(struct fit_problem *p, const struct fit_runs *runs, const struct fit_options *options,
                                  struct fit_error *err) {
  *p = (struct fit_problem){0};
  enum fit_status status = check_options(p, options, err);
  if (status) return status;
  size_t need = 1;
  bool sizes = false, budgets = false;
  for (int j = 0; j < p->law->params; j++) need += isnan(p->held[j]);
  for (size_t i = 1; i < runs->count; i++) {
    sizes |= runs->row[i].params != runs->row[0].params;
    budgets |= runs->row[i].tokens != runs->row[0].tokens;
  }
  if (runs->count < need)
    return fit_fail(err, FIT_ERR_INPUT, "%zu usable rows; law %s needs at least %zu (%zu free parameters and one more)",
                    runs->count, p->law->name, need, need - 1);
  if (!sizes)
    return fit_fail(err, FIT_ERR_INPUT, "every row has params = %g; the law needs at least two model sizes",
                    runs->row[0].params);
  if (!budgets)
    return fit_fail(err, FIT_ERR_INPUT, "every row has tokens = %g; the law needs at least two token counts",
                    runs->row[0].tokens);
  p->count = runs->count;
  p->polish = 8;
  p->obs = malloc(p->count * sizeof *p->obs);
  if (!p->obs) return fit_fail(err, FIT_ERR_FAILED, "no memory for %zu rows", p->count);
  for (size_t i = 0; i < p->count; i++) {
    p->obs[i] = (struct fit_obs){log(runs->row[i].params), log(runs->row[i].tokens), log(runs->row[i].loss)};
    p->centre.n += p->obs[i].n / (double)p->count;
    p->centre.t += p->obs[i].t / (double)p->count;
  }
  for (size_t i = 0; i < p->count; i++) {
    p->obs[i].n -= p->centre.n;
    p->obs[i].t -= p->centre.t;
  }
  return FIT_OK;
}

void fit__problem_free(struct fit_problem *p) { free(p->obs); }

static void try_without_e(const struct fit_problem *p, const double *x, struct fit_solution *out) {
  struct fit_solution without = {0};
  double to[FIT_MAX_PARAMS];
  struct fit_problem fixed = *p;
  fixed.held[FIT_E] = -INFINITY;
  // the same delta on both sides, else the two sums are not one objective
  if (p->loss == FIT_LOSS_MAD) {
    fixed.loss = FIT_LOSS_HUBER;
    fixed.delta = out->delta;
  }
  // of rows that hardly differ: nothing is known of E then
  bool found = fit__minimise(&fixed, NULL, x, to, &without);
  out->objective_without_e = found ? without.objective : NAN;
  out->e_identified = found && without.objective > E_TOLERANCE * out->objective;
}

enum fit_status fit_solve(const struct fit_runs *runs, const struct fit_options *options, struct fit_solution *out,
                          struct fit_error *err) {
  struct fit_problem p;
  double x[FIT_MAX_PARAMS];
  *out = (struct fit_solution){0};
  enum fit_status status = fit__problem_init(&p, runs, options, err);
  if (status) return status;
  if (!fit__minimise(&p, NULL, NULL, x, out)) {
    status =
        fit_fail(err, FIT_ERR_FAILED, "law %s: no start converged on %zu rows (or no memory)", p.law->name, p.count);
    goto fail;
  }
  out->law = p.law;
  out->rows = p.count;
  p.law->to_si(x, &p.centre, out->params);
  for (int j = 0; j < p.law->params; j++)
    out->at_bound[j] = isnan(p.held[j]) && (x[j] <= p.law->lowest[j] || x[j] >= p.law->highest[j]);
  out->e_identified = true;
  double inside = 0, square = 0;
  for (size_t i = 0; i < p.count; i++) {
    double r = p.law->residual(x, &p.obs[i], NULL, NULL);
    inside += fabs(r) <= out->delta;
    square += r * r;
  }
  out->quadratic_share = inside / (double)p.count;
  out->rms = sqrt(square / (double)p.count);
  if (!strcmp(p.law->name, "joint") && isnan(p.held[FIT_E])) try_without_e(&p, x, out);
fail:
  fit__problem_free(&p);
  return status;
}

// The most FLOPs of every run: [clusters].  NULL without memory.
static double *run_flops(const struct fit_runs *runs) {
  double *most = calloc(runs->clusters > 0 ? (size_t)runs->clusters : 1, sizeof *most);
  for (size_t i = 0; most && i < runs->count; i++)
    most[runs->row[i].run] = fmax(most[runs->row[i].run], fit_run_flops(&runs->row[i]));
  return most;
}

enum fit_status fit_holdout(const struct fit_runs *runs, const struct fit_options *options, double flops,
                            struct fit_holdout *out, struct fit_error *err) {
  struct fit_runs small = *runs;
  enum fit_status status;
  *out = (struct fit_holdout){.flops = flops};
  double *most = run_flops(runs);
  small.row = malloc((runs->count ? runs->count : 1) * sizeof *small.row);
  if (!small.row || !most) {
    status = fit_fail(err, FIT_ERR_FAILED, "no memory for %zu rows", runs->count);
    goto fail;
  }
  small.count = 0;
  for (size_t i = 0; i < runs->count; i++) {
    const struct fit_run *run = &runs->row[i];
    if (most[run->run] <= flops)
      small.row[small.count++] = *run;
    else if (fit_run_flops(run) > flops)
      out->held_out++;
    else
      out->set_aside++;
  }
  for (int k = 0; k < runs->clusters; k++) out->runs += most[k] > flops;
  out->fitted = small.count;
  if (!out->held_out) {
    status = fit_fail(err, FIT_ERR_INPUT, "no row has more than %g FLOPs to hold out", flops);
    goto fail;
  }
  if ((status = fit_solve(&small, options, &out->solution, err))) goto fail;
  for (size_t i = 0; i < runs->count; i++) {
    const struct fit_run *run = &runs->row[i];
    if (fit_run_flops(run) <= flops) continue;
    double error = fit_joint_loss(out->solution.params, run->params, run->tokens) / run->loss - 1;
    out->bias += error / (double)out->held_out;
    out->mean += fabs(error) / (double)out->held_out;
    out->worst = fmax(out->worst, fabs(error));
  }
fail:
  free(most);
  free(small.row);
  return status;
}

double fit_compute_quantile(const struct fit_runs *runs, double share) {
  double *flops = run_flops(runs), at = NAN;
  if (!flops || runs->clusters <= 0) goto done;
  size_t count = (size_t)runs->clusters, above = (size_t)ceil(share * (double)count);
  qsort(flops, count, sizeof *flops, fit__by_value);
  at = flops[above < count ? count - 1 - above : 0];
done:
  free(flops);
  return at;
}
