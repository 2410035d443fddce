#include "fit/diagnosis.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"
#include "stats.h"

#define PROFILE_TOP 1.1      // the profile ends at this multiple of the least objective
#define NEAR_TOP 1.02        // the same tolerance as for E = 0 in solve.c
#define SAME_CORRELATION .99 // two parameters that move as one
#define FEW_QUADRATIC .05    // of the rows: the fit is one of absolute errors in all but name

// J^T J over the free parameters, listed in at[]; returns how many.  unit: what a derivative is divided by.
static int normal_matrix(const struct fit_problem *p, const double *x, const struct fit_centre *shift,
                         const double *unit, double *m, int *at) {
  int n = p->law->params, count = 0;
  for (int j = 0; j < n; j++)
    if (isnan(p->held[j])) at[count++] = j;
  memset(m, 0, FIT_MAX_HESSIAN * sizeof *m);
  for (size_t i = 0; i < p->count; i++) {
    double jac[FIT_MAX_PARAMS];
    struct fit_obs o = {p->obs[i].n + shift->n, p->obs[i].t + shift->t, p->obs[i].y};
    p->law->residual(x, &o, jac, NULL);
    for (int j = 0; j < count; j++)
      for (int k = 0; k < count; k++) m[j * count + k] += jac[at[j]] / unit[at[j]] * (jac[at[k]] / unit[at[k]]);
  }
  return count;
}

static double condition_of(int n, double *m) {
  double value[FIT_MAX_PARAMS];
  fit__eigenvalues(n, m, value);
  return value[0] > 0 ? value[n - 1] / value[0] : INFINITY;
}

static void correlate(const struct fit_law *law, int count, const int *at, double *m, struct fit_diagnosis *out) {
  double inverse[FIT_MAX_HESSIAN];
  int n = law->params;
  for (int j = 0; j < n * n; j++) out->correlation[j] = NAN;
  out->pair[0] = out->pair[1] = -1;
  if (!fit__cholesky(count, m)) return;
  for (int j = 0; j < count; j++) {
    double column[FIT_MAX_PARAMS] = {0};
    column[j] = 1;
    fit__cholesky_solve(count, m, column);
    for (int k = 0; k < count; k++) inverse[k * count + j] = column[k];
  }
  for (int j = 0; j < count; j++)
    for (int k = 0; k < count; k++) {
      double r = j == k ? 1 : inverse[j * count + k] / sqrt(inverse[j * count + j] * inverse[k * count + k]);
      out->correlation[at[j] * n + at[k]] = r;
      if (j < k && !(fabs(r) <= fabs(out->pair_correlation))) {
        out->pair[0] = at[j];
        out->pair[1] = at[k];
        out->pair_correlation = r;
      }
    }
}

struct profile {
  struct fit_problem p;
  double x[FIT_MAX_PARAMS]; // of the last point: the next one starts there
  double best;
};

static double profile_at(struct profile *f, double e) {
  struct fit_solution got = {0};
  f->p.held[FIT_E] = log(e);
  f->x[FIT_E] = f->p.held[FIT_E];
  return fit__minimise(&f->p, NULL, f->x, f->x, &got) ? got.objective : NAN;
}

// How far from E (towards `limit`) the objective stays under PROFILE_TOP of its minimum.
static double profile_edge(struct profile *f, const double *start, double e, double limit) {
  double inside = e, outside = limit;
  for (double share = 1. / 1024; share < 1; share *= 2) { // steps that double: where to bisect
    double at = e + share * (limit - e);
    if (!(profile_at(f, at) <= PROFILE_TOP * f->best)) {
      outside = at;
      break;
    }
    inside = at;
  }
  if (outside == limit && profile_at(f, limit) <= PROFILE_TOP * f->best) inside = limit;
  for (int i = 0; i < 6 && inside != limit; i++) { // to a hundredth of its distance: it is the end of a plot
    double middle = 0.5 * (inside + outside);
    if (profile_at(f, middle) <= PROFILE_TOP * f->best)
      inside = middle;
    else
      outside = middle;
  }
  memcpy(f->x, start, sizeof f->x);
  return inside;
}

// Where the profile crosses NEAR_TOP between points i and j, of which i lies under it.
static double crossing(const struct fit_diagnosis *d, int i, int j, double level) {
  double share = (level - d->objective[i]) / (d->objective[j] - d->objective[i]);
  return d->e[i] + share * (d->e[j] - d->e[i]);
}

static void profile_e(const struct fit_problem *p, const double *x, const struct fit_solution *s, double lowest_loss,
                      struct fit_diagnosis *out) {
  struct profile f = {.p = *p, .best = s->objective};
  double e = s->params[FIT_E], level = NEAR_TOP * s->objective;
  f.p.polish = 0; // each point starts from its neighbour
  if (p->loss == FIT_LOSS_MAD) {
    f.p.loss = FIT_LOSS_HUBER; // one objective for all points
    f.p.delta = s->delta;
  }
  memcpy(f.x, x, sizeof f.x);
  double low = profile_edge(&f, x, e, 0), high = profile_edge(&f, x, e, lowest_loss * (1 - 1e-6));
  if (!(low < high)) return;
  out->points = FIT_PROFILE_POINTS;
  int nearest = (int)lround((e - low) / (high - low) * (FIT_PROFILE_POINTS - 1));
  for (int side = 0; side < 2; side++) {
    memcpy(f.x, x, sizeof f.x);
    for (int i = nearest + side; i >= 0 && i < FIT_PROFILE_POINTS; i += side ? 1 : -1) {
      out->e[i] = low + (high - low) * i / (FIT_PROFILE_POINTS - 1.0);
      out->objective[i] = profile_at(&f, out->e[i]);
    }
  }
  int first = nearest, last = nearest;
  while (first > 0 && out->objective[first] <= level) first--;
  while (last + 1 < FIT_PROFILE_POINTS && out->objective[last] <= level) last++;
  out->e_low = out->objective[first] <= level ? out->e[first] : crossing(out, first + 1, first, level);
  out->e_high = out->objective[last] <= level ? out->e[last] : crossing(out, last - 1, last, level);
}

enum fit_status fit_diagnose(const struct fit_runs *runs, const struct fit_options *options,
                             const struct fit_solution *solution, struct fit_diagnosis *out, struct fit_error *err) {
  static const struct fit_centre none;
  static const double ones[FIT_MAX_PARAMS] = {1, 1, 1, 1, 1, 1, 1, 1};
  const double *si = solution->params, logs[FIT_MAX_PARAMS] = {si[FIT_E], si[FIT_A], 1, si[FIT_B], 1};
  struct fit_problem p;
  double m[FIT_MAX_HESSIAN], whole[FIT_MAX_HESSIAN], x[FIT_MAX_PARAMS], far[FIT_MAX_PARAMS], lowest = INFINITY;
  int at[FIT_MAX_PARAMS];
  *out = (struct fit_diagnosis){.pair = {-1, -1}};
  if (strcmp(solution->law->name, "joint") != 0)
    return fit_fail(err, FIT_ERR_INPUT, "law %s has no diagnosis; joint has", solution->law->name);
  enum fit_status status = fit__problem_init(&p, runs, options, err);
  if (status) return status;
  p.law->from_si(solution->params, &p.centre, x);
  p.law->from_si(solution->params, &none, far);
  int count = normal_matrix(&p, x, &none, ones, m, at);
  memcpy(whole, m, sizeof m);
  out->condition = condition_of(count, whole);
  correlate(p.law, count, at, m, out);
  normal_matrix(&p, far, &p.centre, logs, m, at);
  out->condition_si = condition_of(count, m);
  for (size_t i = 0; i < runs->count; i++) lowest = fmin(lowest, runs->row[i].loss);
  if (isnan(p.held[FIT_E]) && p.count <= FIT_PROFILE_ROWS) profile_e(&p, x, solution, lowest, out);
  fit__problem_free(&p);
  return FIT_OK;
}

struct findings {
  struct fit_finding *to;
  int count;
};

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static void
say(struct findings *f, const char *fmt, ...) {
  va_list args;
  if (f->count == FIT_MAX_FINDINGS) return;
  va_start(args, fmt);
  vsnprintf(f->to[f->count].text, sizeof f->to[f->count].text, fmt, args);
  va_end(args);
  f->count++;
}

bool fit_finding_of_e(const struct fit_solution *s, struct fit_finding *out) {
  double costs = 100 * fmax(0, s->objective_without_e / s->objective - 1); // at its bound E is rounding alone
  if (s->e_identified) return false;
  if (isnan(s->objective_without_e))
    snprintf(out->text, sizeof out->text, "E is not identified: the rows differ too little for a fit with E = 0");
  else
    snprintf(out->text, sizeof out->text, "E is not identified: with E = 0 the objective is only %.2g %% higher",
             costs);
  return true;
}

int fit_findings(const struct fit_solution *s, const struct fit_diagnosis *d,
                 struct fit_finding out[FIT_MAX_FINDINGS]) {
  struct findings f = {.to = out};
  struct fit_finding e;
  if (fit_finding_of_e(s, &e)) say(&f, "%s; do not extrapolate from these rows, nor trust the exponents", e.text);
  for (int j = 0; j < s->law->params; j++)
    if (s->at_bound[j])
      say(&f, "%s is not identified: it ran to the edge of what is tried, %.5g", s->law->param[j], s->params[j]);
  if (d && d->pair[0] >= 0 && fabs(d->pair_correlation) > SAME_CORRELATION)
    say(&f, "%s and %s are hardly told apart: their estimates correlate by %.4f", s->law->param[d->pair[0]],
        s->law->param[d->pair[1]], d->pair_correlation);
  if (s->quadratic_share < FEW_QUADRATIC)
    say(&f, "only %.2g %% of the residuals lie within delta = %.4g: this is a fit of absolute errors, not of squares",
        100 * s->quadratic_share, s->delta);
  return f.count;
}
