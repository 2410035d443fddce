#include "fit/design.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats.h"

// Directions of the sample kept: the loss surface has five parameters, so a few more hold its curvature.
#define LAW_RANK 10
#define MAX_RANK (LAW_RANK + 2) // and the slopes of the common misfit
#define MIN_LAWS 20
#define NEGLIGIBLE 1e-3 // of a row's noise variance: what the directions left out may leave unexplained
#define CUT 3           // robust standard deviations: residuals beyond are outliers, not noise
#define MAX_PASSES 40   // of exchanges: each lowers the variance, some five are usual

// ---- noise ---------------------------------------------------------------------------------------------------------

// Share of the variance between runs, by one-way analysis of variance;
// NaN when no run has two rows.
static double share_between(const struct fit_runs *runs, const double *r, double *sum, double *count) {
  size_t clusters = (size_t)runs->clusters, used = 0;
  double mean = 0, squares = 0, total = 0, between = 0, within = 0;
  memset(sum, 0, clusters * sizeof *sum);
  memset(count, 0, clusters * sizeof *count);
  for (size_t i = 0; i < runs->count; i++) {
    sum[runs->row[i].run] += r[i];
    count[runs->row[i].run]++;
    mean += r[i] / (double)runs->count;
    total += r[i] * r[i];
  }
  for (size_t k = 0; k < clusters; k++) {
    if (count[k] == 0) continue;
    used++;
    squares += count[k] * count[k];
    within += sum[k] * sum[k] / count[k];
    between += count[k] * (sum[k] / count[k] - mean) * (sum[k] / count[k] - mean);
  }
  double n = (double)runs->count;
  if (used < 2 || runs->count <= used) return NAN;
  within = (total - within) / (n - (double)used);
  between /= (double)used - 1;
  double size = (n - squares / n) / ((double)used - 1); // rows of a run, for unequal runs
  double run = fmax(0, (between - within) / size);
  return run + within > 0 ? run / (run + within) : NAN;
}

enum fit_status fit_noise_estimate(const struct fit_runs *runs, const struct fit_solution *s, struct fit_noise *out,
                                   struct fit_error *err) {
  size_t n = runs->count, clusters = runs->clusters > 0 ? (size_t)runs->clusters : 1;
  double *r = malloc((2 * n + 2 * clusters + 1) * sizeof *r), variance = 0;
  *out = (struct fit_noise){0};
  if (!r) return fit_fail(err, FIT_ERR_FAILED, "no memory for %zu rows", n);
  double *sorted = r + n, *sum = sorted + n, *count = sum + clusters;
  for (size_t i = 0; i < n; i++) {
    const struct fit_run *run = &runs->row[i];
    r[i] = log(fit_joint_loss(s->params, run->params, run->tokens) / run->loss);
    sorted[i] = fabs(r[i]);
  }
  qsort(sorted, n, sizeof *sorted, fit__by_value);
  double limit = n ? CUT * sorted[n / 2] / 0.67449 : NAN; // median of |r| to standard deviation
  double freedom = (double)(n > FIT_JOINT_PARAMS ? n - FIT_JOINT_PARAMS : 1);
  for (size_t i = 0; i < n; i++) {
    r[i] = fmax(-limit, fmin(limit, r[i]));
    variance += r[i] * r[i] / freedom;
  }
  double share = share_between(runs, r, sum, count);
  free(r);
  out->split = !isnan(share);
  if (!out->split) share = FIT_RUN_SHARE;
  out->run = sqrt(share * variance);
  out->row = sqrt((1 - share) * variance);
  return FIT_OK;
}

double fit_noise_total(const struct fit_noise *noise) { return hypot(noise->row, noise->run); }

// ---- what is known, in a few independent directions of unit variance ------------------------------------------------

struct belief {
  int rank, candidates, targets;
  double *info;   // [candidates][MAX_RANK][MAX_RANK], lower half: what a candidate adds to the precision, which starts
                  // as the identity
  double *target; // [targets][MAX_RANK]
  double rest;    // variance of the targets outside the directions, summed
  double mean;    // 1/targets
};

// Points: the rows of all candidates, then the targets.  value: [points][laws], replaced by what the directions leave;
// load: [points][MAX_RANK].  Pivoted Cholesky of the points' covariance: the next direction is the point of the largest
// variance left over its noise.
static int directions(double *value, int points, int targets, int laws, const double *scale, double *load) {
  int rank = 0;
  double *left = load + (size_t)points * MAX_RANK, *unit = left + points;
  for (int p = 0; p < points; p++) {
    double *v = value + (size_t)p * (size_t)laws, mean = 0;
    for (int i = 0; i < laws; i++) mean += v[i] / laws;
    left[p] = 0;
    for (int i = 0; i < laws; i++) {
      v[i] -= mean;
      left[p] += v[i] * v[i] / (laws - 1);
    }
  }
  memset(load, 0, (size_t)points * MAX_RANK * sizeof *load);
  // the targets first: what they need must be among the directions
  for (int step = 0; step < LAW_RANK; step++) {
    int best = -1;
    for (int p = step < 1 ? points - targets : 0; p < points; p++)
      if (best < 0 || left[p] / scale[p] > left[best] / scale[best]) best = p;
    if (!(left[best] > NEGLIGIBLE * scale[best])) break;
    memcpy(unit, value + (size_t)best * (size_t)laws, (size_t)laws * sizeof *unit);
    double size = 0;
    for (int i = 0; i < laws; i++) size += unit[i] * unit[i];
    for (int i = 0; i < laws; i++) unit[i] /= sqrt(size);
    for (int p = 0; p < points; p++) {
      double *v = value + (size_t)p * (size_t)laws, dot = 0;
      for (int i = 0; i < laws; i++) dot += v[i] * unit[i];
      left[p] = 0;
      for (int i = 0; i < laws; i++) {
        v[i] -= dot * unit[i];
        left[p] += v[i] * v[i] / (laws - 1);
      }
      load[(size_t)p * MAX_RANK + (size_t)rank] = dot / sqrt(laws - 1.0);
    }
    rank++;
  }
  return rank;
}

// H' V^-1 H of the rows of one run, V = row^2 I + (run^2 + misfit) 11'.
static void run_info(const double *h, int rows, const struct fit_noise *noise, double misfit, int rank, double *info) {
  double row = noise->row * noise->row, run = noise->run * noise->run + misfit, sum[MAX_RANK] = {0};
  row = fmax(row, 1e-3 * run); // never free of noise, or rows without end would pay
  double common = run / (row + rows * run);
  for (int k = 0; k < rows; k++)
    for (int a = 0; a < rank; a++) sum[a] += h[k * MAX_RANK + a];
  for (int a = 0; a < rank; a++)
    for (int b = 0; b <= a; b++) {
      double v = -common * sum[a] * sum[b];
      for (int k = 0; k < rows; k++) v += h[k * MAX_RANK + a] * h[k * MAX_RANK + b];
      info[a * MAX_RANK + b] = v / row;
    }
}

static enum fit_status check(const struct fit_design_problem *p, struct fit_error *err) {
  if (p->sample.count < MIN_LAWS)
    return fit_fail(err, FIT_ERR_INPUT, "%d resampled laws; choosing runs needs %d", p->sample.count, MIN_LAWS);
  if (p->targets < 1 || p->candidates < 1 || p->candidates > FIT_DESIGN_MAX_CANDIDATES)
    return fit_fail(err, FIT_ERR_INPUT, "%d targets and %d candidates; 1 or more of each, and at most %d candidates",
                    p->targets, p->candidates, FIT_DESIGN_MAX_CANDIDATES);
  if (!(p->noise.row >= 0 && p->noise.run >= 0 && p->noise.row + p->noise.run > 0 &&
        p->noise.row + p->noise.run < INFINITY))
    return fit_fail(err, FIT_ERR_INPUT, "noise %g within runs and %g between: not both 0, and none below", p->noise.row,
                    p->noise.run);
  if (!(p->misfit >= 0 && p->misfit < INFINITY) || (p->misfit > 0 && !(p->params > 0 && p->tokens > 0)))
    return fit_fail(err, FIT_ERR_INPUT, "misfit %g from N %g, T %g: not 0 or more from a place", p->misfit, p->params,
                    p->tokens);
  if (p->max_runs < 1 || p->max_runs > FIT_DESIGN_MAX_RUNS)
    return fit_fail(err, FIT_ERR_INPUT, "%d runs at most; 1 to %d are possible", p->max_runs, FIT_DESIGN_MAX_RUNS);
  for (size_t i = 0; i < (size_t)p->targets * (size_t)p->sample.count; i++)
    if (!isfinite(p->target[i])) return fit_fail(err, FIT_ERR_INPUT, "a law of the sample gives no target");
  for (int c = 0; c < p->candidates; c++) {
    const struct fit_candidate *at = &p->candidate[c];
    if (!(at->params > 0 && at->tokens > 0 && at->cost > 0 && at->cost < INFINITY && at->rows >= 1 &&
          at->rows <= FIT_DESIGN_MAX_ROWS && (at->rows == 1 || (at->from > 0 && at->from < 1))))
      return fit_fail(err, FIT_ERR_INPUT, "candidate %d: N %g, T %g, cost %g, %d rows from %g: not a run", c,
                      at->params, at->tokens, at->cost, at->rows, at->from);
  }
  return FIT_OK;
}

static void belief_free(struct belief *b) {
  free(b->info);
  free(b->target);
}

static double row_tokens(const struct fit_candidate *c, int k) {
  return c->rows > 1 ? c->tokens * pow(c->from, 1 - k / (c->rows - 1.0)) : c->tokens;
}

// ln loss of every candidate's rows by every law, then the targets.  False: one is not finite.
static bool fill_values(const struct fit_design_problem *p, double *value) {
  double *to = value;
  for (int c = 0; c < p->candidates; c++) {
    const struct fit_candidate *at = &p->candidate[c];
    for (int k = 0; k < at->rows; k++) {
      double tokens = row_tokens(at, k);
      for (int i = 0; i < p->sample.count; i++, to++) {
        *to = log(fit_joint_loss(p->sample.law + (size_t)i * FIT_JOINT_PARAMS, at->params, tokens));
        if (!isfinite(*to)) return false;
      }
    }
  }
  memcpy(to, p->target, (size_t)p->targets * (size_t)p->sample.count * sizeof *to);
  return true;
}

static enum fit_status belief_make(const struct fit_design_problem *p, struct belief *b, struct fit_error *err) {
  enum fit_status status = check(p, err);
  *b = (struct belief){.candidates = p->candidates, .targets = p->targets, .mean = 1.0 / p->targets};
  if (status) return status;
  size_t rows = 0, laws = (size_t)p->sample.count;
  for (int c = 0; c < p->candidates; c++) rows += (size_t)p->candidate[c].rows;
  size_t points = rows + (size_t)p->targets;
  double *value = points <= SIZE_MAX / sizeof *value / (laws + 32) ? malloc(points * laws * sizeof *value) : NULL;
  double *load = malloc((points * (MAX_RANK + 2) + laws) * sizeof *load), *scale = malloc(points * sizeof *scale);
  b->info = calloc((size_t)p->candidates * MAX_RANK * MAX_RANK, sizeof *b->info);
  b->target = malloc((size_t)p->targets * MAX_RANK * sizeof *b->target);
  if (!value || !load || !scale || !b->info || !b->target) {
    status = fit_fail(err, FIT_ERR_FAILED, "no memory for %d candidates and %zu laws", p->candidates, laws);
    goto fail;
  }
  if (!fill_values(p, value)) {
    status = fit_fail(err, FIT_ERR_INPUT, "a law of the sample gives a candidate no finite loss");
    goto fail;
  }
  double noise = p->noise.row * p->noise.row + p->noise.run * p->noise.run;
  for (size_t i = 0; i < rows; i++) scale[i] = noise;
  for (int t = 0; t < p->targets; t++) { // a target may have another unit: its own spread is its scale
    const double *v = p->target + (size_t)t * laws;
    double mean = 0, square = 0;
    for (size_t i = 0; i < laws; i++) mean += v[i] / (double)laws;
    for (size_t i = 0; i < laws; i++) square += (v[i] - mean) * (v[i] - mean) / (double)(laws - 1);
    scale[rows + (size_t)t] = square > 0 ? square : 1;
  }
  b->rank = directions(value, (int)points, p->targets, (int)laws, scale, load);
  memcpy(b->target, load + rows * MAX_RANK, (size_t)p->targets * MAX_RANK * sizeof *load);
  for (int t = 0; t < p->targets; t++) b->rest += load[points * MAX_RANK + rows + (size_t)t];
  b->rank += 2; // the targets have no part in the misfit
  double *h = load, slope = p->misfit * fit_noise_total(&p->noise) * sqrt(0.5);
  for (int c = 0; c < p->candidates; h += (size_t)p->candidate[c++].rows * MAX_RANK) {
    const struct fit_candidate *at = &p->candidate[c];
    double n = slope * log(at->params / p->params), t = slope * log(at->tokens / p->tokens);
    for (int k = 0; slope > 0 && k < at->rows; k++) {
      h[k * MAX_RANK + b->rank - 2] = n;
      h[k * MAX_RANK + b->rank - 1] = slope * log(row_tokens(at, k) / p->tokens);
    }
    run_info(h, at->rows, &p->noise, slope > 0 ? n * n + t * t : 0, b->rank, b->info + (size_t)c * MAX_RANK * MAX_RANK);
  }
fail:
  free(value);
  free(load);
  free(scale);
  if (status) belief_free(b);
  return status;
}

// Mean variance of the targets given precision a [MAX_RANK][MAX_RANK] (lower half) and what candidate c adds (-1:
// nothing).
static double variance(const struct belief *b, const double *a, int c) {
  double l[MAX_RANK * MAX_RANK], sum = b->rest;
  const double *add = c < 0 ? NULL : b->info + (size_t)c * MAX_RANK * MAX_RANK;
  for (int i = 0; i < b->rank; i++)
    for (int j = 0; j <= i; j++) {
      double v = a[i * MAX_RANK + j] + (add ? add[i * MAX_RANK + j] : 0);
      for (int k = 0; k < j; k++) v -= l[i * MAX_RANK + k] * l[j * MAX_RANK + k];
      // the precision is at least the identity: a pivot below it is rounding
      l[i * MAX_RANK + j] = i == j ? sqrt(fmax(v, 1)) : v / l[j * MAX_RANK + j];
    }
  for (int t = 0; t < b->targets; t++) {
    double y[MAX_RANK];
    for (int i = 0; i < b->rank; i++) {
      y[i] = b->target[t * MAX_RANK + i];
      for (int k = 0; k < i; k++) y[i] -= l[i * MAX_RANK + k] * y[k];
      y[i] /= l[i * MAX_RANK + i];
      sum += y[i] * y[i];
    }
  }
  return sum * b->mean;
}

static void identity(double *a) {
  memset(a, 0, MAX_RANK * MAX_RANK * sizeof *a);
  for (int i = 0; i < MAX_RANK; i++) a[i * MAX_RANK + i] = 1;
}

static void accumulate(const struct belief *b, double *a, int c) {
  const double *add = b->info + (size_t)c * MAX_RANK * MAX_RANK;
  for (int i = 0; i < b->rank; i++)
    for (int j = 0; j <= i; j++) a[i * MAX_RANK + j] += add[i * MAX_RANK + j];
}

// ---- the search
// ------------------------------------------------------------------------------------------------------

struct set {
  int count, pick[FIT_DESIGN_MAX_RUNS];
  double cost, variance;
};

static void precision_of(const struct belief *b, const struct set *s, int without, double *a) {
  identity(a);
  for (int i = 0; i < s->count; i++)
    if (i != without) accumulate(b, a, s->pick[i]);
}

static bool taken(const struct fit_design_problem *p, const struct set *s, int c, int without) {
  for (int i = 0; p->once && i < s->count; i++)
    if (i != without && s->pick[i] == c) return true;
  return false;
}

// The candidate of the largest gain over cost^power that `room` pays for; -1: none gains.
static int best_addition(const struct fit_design_problem *p, const struct belief *b, const struct set *s, int without,
                         const double *a, double now, double room, double power) {
  int best = -1;
  double best_score = 0;
  for (int c = 0; c < p->candidates; c++) {
    if (!(p->candidate[c].cost <= room) || taken(p, s, c, without)) continue;
    double score = (now - variance(b, a, c)) * (power != 0 ? pow(p->candidate[c].cost / p->budget, -power) : 1);
    if (score > best_score) {
      best_score = score;
      best = c;
    }
  }
  return best;
}

static void grow(const struct fit_design_problem *p, const struct belief *b, struct set *s, double power) {
  double a[MAX_RANK * MAX_RANK];
  precision_of(b, s, -1, a);
  s->variance = variance(b, a, -1);
  while (s->count < p->max_runs) {
    int c = best_addition(p, b, s, -1, a, s->variance, p->budget * (1 + 1e-12) - s->cost, power);
    double next = c < 0 ? s->variance : variance(b, a, c);
    if (!(next < s->variance * (1 - 1e-9))) return;
    accumulate(b, a, c);
    s->pick[s->count++] = c;
    s->cost += p->candidate[c].cost;
    s->variance = next;
  }
}

// Replaces one run at a time by the candidate that leaves the least variance, and fills what that frees.
static void exchange(const struct fit_design_problem *p, const struct belief *b, struct set *s) {
  for (int pass = 0; pass < MAX_PASSES; pass++) {
    bool better = false;
    for (int i = 0; i < s->count; i++) {
      double a[MAX_RANK * MAX_RANK];
      precision_of(b, s, i, a);
      double room = p->budget * (1 + 1e-12) - (s->cost - p->candidate[s->pick[i]].cost);
      int c = best_addition(p, b, s, i, a, variance(b, a, -1), room, 0);
      if (c < 0 || !(variance(b, a, c) < s->variance * (1 - 1e-9))) continue;
      s->cost += p->candidate[c].cost - p->candidate[s->pick[i]].cost;
      s->pick[i] = c;
      s->variance = variance(b, a, c);
      better = true;
    }
    // one run given up for several cheaper ones
    for (int i = 0; i < s->count; i++) {
      struct set other = *s;
      other.cost -= p->candidate[other.pick[i]].cost;
      other.pick[i] = other.pick[--other.count];
      grow(p, b, &other, 0.5);
      if (!(other.variance < s->variance * (1 - 1e-9))) continue;
      *s = other;
      better = true;
    }
    if (!better) return;
  }
}

// Orders the runs of a set so that each is the most telling after those before it.
static void tell(const struct fit_design_problem *p, const struct belief *b, const struct set *s,
                 struct fit_design *out) {
  double a[MAX_RANK * MAX_RANK];
  bool used[FIT_DESIGN_MAX_RUNS] = {false};
  identity(a);
  *out = (struct fit_design){.count = s->count, .before = sqrt(variance(b, a, -1))};
  out->after = out->before;
  for (int k = 0; k < s->count; k++) {
    int best = 0;
    while (used[best]) best++; // one is taken even where no variance is a number
    double least = variance(b, a, s->pick[best]);
    for (int i = best + 1; i < s->count; i++) {
      double v = used[i] ? INFINITY : variance(b, a, s->pick[i]);
      if (v < least) {
        least = v;
        best = i;
      }
    }
    used[best] = true;
    accumulate(b, a, s->pick[best]);
    out->pick[k] = s->pick[best];
    out->cost += p->candidate[s->pick[best]].cost;
    out->after = out->step[k] = sqrt(least);
  }
}

enum fit_status fit_design_find(const struct fit_design_problem *p, struct fit_design *out, struct fit_error *err) {
  static const double power[] = {0, 0.25, 0.5, 1};
  struct belief b;
  struct set best = {.variance = INFINITY};
  double cheapest = INFINITY;
  *out = (struct fit_design){0};
  enum fit_status status = belief_make(p, &b, err);
  if (status) return status;
  for (int c = 0; c < p->candidates; c++) cheapest = fmin(cheapest, p->candidate[c].cost);
  if (!(p->budget > 0 && p->budget < INFINITY && cheapest <= p->budget)) {
    status =
        fit_fail(err, FIT_ERR_INPUT, "a budget of %g FLOPs pays for no run: the cheapest of %d candidates costs %g",
                 p->budget, p->candidates, cheapest);
    goto fail;
  }
  for (size_t i = 0; i < sizeof power / sizeof *power; i++) {
    struct set s = {0};
    grow(p, &b, &s, power[i]);
    exchange(p, &b, &s);
    if (s.variance < best.variance) best = s;
  }
  tell(p, &b, &best, out);
fail:
  belief_free(&b);
  return status;
}

enum fit_status fit_design_judge(const struct fit_design_problem *p, const int *pick, int count, struct fit_design *out,
                                 struct fit_error *err) {
  struct belief b;
  struct set s = {.count = count};
  *out = (struct fit_design){0};
  if (count < 0 || count > FIT_DESIGN_MAX_RUNS)
    return fit_fail(err, FIT_ERR_INPUT, "%d runs; 0 to %d are possible", count, FIT_DESIGN_MAX_RUNS);
  for (int i = 0; i < count; i++) {
    if (pick[i] < 0 || pick[i] >= p->candidates)
      return fit_fail(err, FIT_ERR_INPUT, "run %d of %d candidates", pick[i], p->candidates);
    s.pick[i] = pick[i];
  }
  enum fit_status status = belief_make(p, &b, err);
  if (status) return status;
  tell(p, &b, &s, out);
  belief_free(&b);
  return FIT_OK;
}
