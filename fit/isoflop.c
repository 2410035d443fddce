#include "fit/isoflop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "isoflop_internal.h"
#include "isoflop_rows.h"
#include "stats.h"

#define DEFAULT_WIDTH 0.2
#define DEFAULT_BUDGETS 12
#define MAX_LEVERAGE 0.999 // a row that the parabola follows wherever it goes has no residual to show

const char *fit_budget_text(enum fit_budget_status status) {
  static const char *const text[] = {
#define X(code, words) words,
      FIT_BUDGET_MAP(X)
#undef X
  };
  return status < FIT_BUDGET_STATUS_COUNT ? text[status] : "?";
}

enum fit_status fit__isoflop_check(const struct fit_isoflop_options *o, struct fit_error *err) {
  enum fit_status status = fit_family_check(&o->family, err);
  if (status) return status;
  if (o->budgets < 0 || o->budgets > FIT_MAX_BUDGETS)
    return fit_fail(err, FIT_ERR_INPUT, "%d budgets; 1 to %d are possible", o->budgets, FIT_MAX_BUDGETS);
  if (!(o->width >= 0 && o->width < 3))
    return fit_fail(err, FIT_ERR_INPUT, "a budget's width of %g in ln C; 0 to 3 is possible", o->width);
  if (!(o->level >= 0 && o->level < 1))
    return fit_fail(err, FIT_ERR_INPUT, "interval level %g is not between 0 and 1", o->level);
  if (o->replicates == 1 || o->replicates > 1000000)
    return fit_fail(err, FIT_ERR_INPUT, "%d replicates; 2 to 1000000 are possible", o->replicates);
  for (int i = 0; o->budget && i < o->budgets; i++)
    if (!(o->budget[i] > 0 && o->budget[i] < INFINITY))
      return fit_fail(err, FIT_ERR_INPUT, "budget %d is %g FLOPs; it must be a number above 0", i + 1, o->budget[i]);
  return FIT_OK;
}

bool fit__size_law(int count, const double *x, const double *y, const double *weight, struct fit_size_law *law) {
  double sum = 0, mx = 0, my = 0, xx = 0, xy = 0, square = 0;
  for (int i = 0; i < count; i++) {
    double w = weight ? weight[i] : 1;
    sum += w;
    mx += w * x[i];
    my += w * y[i];
  }
  mx /= sum;
  my /= sum;
  for (int i = 0; i < count; i++) {
    double w = weight ? weight[i] : 1;
    xx += w * (x[i] - mx) * (x[i] - mx);
    xy += w * (x[i] - mx) * (y[i] - my);
  }
  if (!(xx > 1e-12 * sum)) return false;
  law->a = xy / xx;
  law->k = exp(my - law->a * mx);
  for (int i = 0; i < count; i++) square += pow(y[i] - my - law->a * (x[i] - mx), 2);
  law->spread = sqrt(square / count);
  return true;
}

enum fit_status fit__size_law_intervals(const double *sample, int count, int wanted, double level,
                                        struct fit_size_law *law, struct fit_error *err) {
  law->k_interval = law->a_interval = (struct fit_interval){NAN, NAN, NAN};
  if (count < 2 || count < wanted - wanted / 10)
    return fit_fail(err, FIT_ERR_INPUT, "%d of %d resamples gave a law; too few for an interval", count, wanted);
  double *value = malloc((size_t)count * sizeof *value);
  if (!value) return fit_fail(err, FIT_ERR_FAILED, "no memory for %d replicates", count);
  for (int which = 0; which < 2; which++) {
    for (int i = 0; i < count; i++) value[i] = which ? sample[2 * i + 1] : exp(sample[2 * i]);
    *(which ? &law->a_interval : &law->k_interval) = fit__interval(value, count, level);
  }
  free(value);
  return FIT_OK;
}

// The law through the vertices [budgets] (NaN: none) of the accepted budgets.
static bool size_law_of(const struct fit_isoflop *i, const double *vertex, struct fit_size_law *law) {
  double x[FIT_MAX_BUDGETS], y[FIT_MAX_BUDGETS], w[FIT_MAX_BUDGETS], sorted[FIT_MAX_BUDGETS];
  int count = 0;
  for (int b = 0; b < i->budgets; b++) {
    if (i->budget[b].status || isnan(vertex[b])) continue;
    x[count] = log(i->budget[b].compute);
    y[count] = vertex[b];
    sorted[count] = w[count] = pow(i->budget[b].params_sd, 2);
    count++;
  }
  qsort(sorted, (size_t)count, sizeof *sorted, fit__by_value);
  for (int b = 0; b < count; b++) // exact parabolas have no variance: all weigh the same
    w[b] = sorted[count / 2] > 0 ? sorted[count / 2] / (w[b] + sorted[count / 2]) : 1;
  return fit__size_law(count, x, y, w, law);
}

// Whether any run has two rows among the accepted budgets.
static bool runs_recur(const struct fit_isoflop *out, const struct fit_iso_rows *rows, bool *seen) {
  for (int b = 0; b < out->budgets; b++) {
    const struct fit_budget *budget = &out->budget[b];
    for (int i = budget->first; !budget->status && i < budget->first + budget->count; i++) {
      if (seen[rows->row[i].run]) return true;
      seen[rows->row[i].run] = true;
    }
  }
  return false;
}

struct draws {
  bool by_run;
  double *pool; // residuals over sqrt(1 - leverage), their mean 0
  int pooled;
  double *sign; // [runs]
};

static double spared(const struct fit_parabola *p, int i) { return 1 - fmin(p->leverage[i], MAX_LEVERAGE); }

static void fill_pool(struct draws *d, const struct fit_isoflop *out, const struct fit_parabola *parabola) {
  double mean = 0;
  for (int b = 0; b < out->budgets; b++)
    for (int i = 0; !out->budget[b].status && i < parabola[b].count; i++)
      if (parabola[b].leverage[i] < MAX_LEVERAGE)
        d->pool[d->pooled++] = parabola[b].residual[i] / sqrt(spared(&parabola[b], i));
  for (int i = 0; i < d->pooled; i++) mean += d->pool[i] / d->pooled;
  for (int i = 0; i < d->pooled; i++) d->pool[i] -= mean;
}

// One replicate: vertices of all accepted budgets, NaN where a parabola lost its minimum.
static void replicate(const struct fit_isoflop *out, const struct fit_iso_rows *rows,
                      const struct fit_parabola *parabola, const struct draws *d, uint64_t *state, int runs,
                      double *vertex) {
  for (int i = 0; d->by_run && i < runs; i++) d->sign[i] = fit__random(state) >> 63 ? 1 : -1;
  for (int b = 0; b < out->budgets; b++) {
    const struct fit_parabola *p = &parabola[b];
    double c[FIT_ISO_COLUMNS];
    vertex[b] = NAN;
    if (out->budget[b].status) continue;
    memcpy(c, p->coefficient, sizeof c);
    for (int i = 0; i < p->count; i++) { // the fitted values give the coefficients back: only the errors are projected
      double e = d->by_run ? d->sign[rows->row[out->budget[b].first + i].run] * p->residual[i] / spared(p, i)
                           : d->pool[fit__random(state) % (uint64_t)d->pooled];
      for (int k = 0; k < FIT_ISO_COLUMNS; k++) c[k] += e * p->solve[i][k];
    }
    vertex[b] = fit__parabola_vertex(p, c, &out->budget[b]);
  }
}

static enum fit_status budget_intervals(struct fit_isoflop *out, const double *vertex, int wanted,
                                        struct fit_error *err) {
  double *value = malloc((size_t)wanted * sizeof *value);
  if (!value) return fit_fail(err, FIT_ERR_FAILED, "no memory for %d replicates", wanted);
  for (int b = 0; b < out->budgets; b++) {
    int count = 0;
    for (int r = 0; r < wanted; r++)
      if (!isnan(vertex[r * FIT_MAX_BUDGETS + b])) value[count++] = exp(vertex[r * FIT_MAX_BUDGETS + b]);
    if (!out->budget[b].status && count >= wanted - wanted / 10)
      out->budget[b].params_interval = fit__interval(value, count, out->level);
  }
  free(value);
  return FIT_OK;
}

static enum fit_status resample(struct fit_isoflop *out, const struct fit_iso_rows *rows,
                                const struct fit_parabola *parabola, int runs, unsigned long long seed,
                                struct fit_error *err) {
  struct draws d = {.pool = malloc((rows->count ? rows->count : 1) * sizeof *d.pool),
                    .sign = malloc((size_t)(runs > 0 ? runs : 1) * sizeof *d.sign)};
  bool *seen = calloc((size_t)(runs > 0 ? runs : 1), sizeof *seen);
  int wanted = out->replicates, good = 0;
  double *vertex = malloc((size_t)wanted * FIT_MAX_BUDGETS * sizeof *vertex);
  enum fit_status status = FIT_OK;
  out->sample = malloc(2 * (size_t)wanted * sizeof *out->sample);
  if (!d.pool || !d.sign || !seen || !vertex || !out->sample) {
    status = fit_fail(err, FIT_ERR_FAILED, "no memory for %d replicates", wanted);
    goto fail;
  }
  d.by_run = runs_recur(out, rows, seen);
  fill_pool(&d, out, parabola);
  for (int r = 0; r < wanted && (d.pooled || d.by_run); r++) {
    struct fit_size_law law;
    uint64_t state = fit__random_stream(seed, (uint64_t)r);
    double *to = vertex + (size_t)r * FIT_MAX_BUDGETS;
    replicate(out, rows, parabola, &d, &state, runs, to);
    if (!size_law_of(out, to, &law)) continue;
    out->sample[2 * good] = log(law.k);
    out->sample[2 * good++ + 1] = law.a;
  }
  out->failed = wanted - good;
  if (!d.pooled && !d.by_run) goto fail;
  if ((status = budget_intervals(out, vertex, wanted, err))) goto fail;
  if (out->has_law && fit__size_law_intervals(out->sample, good, wanted, out->level, &out->law, err) == FIT_ERR_FAILED)
    status = FIT_ERR_FAILED;
fail:
  free(d.pool);
  free(d.sign);
  free(seen);
  free(vertex);
  return status;
}

static enum fit_status fit_budgets(struct fit_isoflop *out, const struct fit_iso_rows *rows, bool linear,
                                   struct fit_parabola *parabola, struct fit_error *err) {
  double vertex[FIT_MAX_BUDGETS];
  for (int b = 0; b < out->budgets; b++) {
    struct fit_budget *budget = &out->budget[b];
    if (!fit__parabola_fit(&parabola[b], rows->row + budget->first, budget->count, budget))
      return fit_fail(err, FIT_ERR_FAILED, "no memory for a budget of %d rows", budget->count);
    if (!budget->status && !linear) budget->loss = exp(budget->loss);
    out->accepted += !budget->status;
    vertex[b] = log(budget->params);
  }
  out->has_law = size_law_of(out, vertex, &out->law);
  return FIT_OK;
}

enum fit_status fit_isoflop(const struct fit_runs *runs, const struct fit_isoflop_options *options,
                            struct fit_isoflop *out, struct fit_error *err) {
  static const struct fit_isoflop_options defaults;
  struct fit_isoflop_options o = options ? *options : defaults;
  struct fit_parabola parabola[FIT_MAX_BUDGETS] = {0};
  struct fit_iso_rows rows = {0};
  *out = (struct fit_isoflop){.level = o.level != 0 ? o.level : 0.9, .rows = runs->count, .linear_loss = o.linear_loss};
  out->law.k_interval = out->law.a_interval = (struct fit_interval){NAN, NAN, NAN};
  enum fit_status status = fit__isoflop_check(&o, err);
  if (status) return status;
  if (!(o.width > 0)) o.width = DEFAULT_WIDTH;
  if (!o.budget && !o.budgets) o.budgets = DEFAULT_BUDGETS;
  if ((status = fit__isoflop_rows(runs, &o, &rows, out, err))) goto fail;
  if ((status = fit_budgets(out, &rows, o.linear_loss, parabola, err))) goto fail;
  out->point = malloc((rows.count ? rows.count : 1) * sizeof *out->point);
  if (!out->point) {
    status = fit_fail(err, FIT_ERR_FAILED, "no memory for %zu points", rows.count);
    goto fail;
  }
  for (size_t i = 0; i < rows.count; i++)
    out->point[i] = (struct fit_isoflop_point){exp(rows.row[i].n), exp(rows.row[i].t),
                                               o.linear_loss ? rows.row[i].y : exp(rows.row[i].y)};
  if (o.replicates >= 0 && out->accepted) {
    out->replicates = o.replicates ? o.replicates : FIT_ISOFLOP_REPLICATES;
    status = resample(out, &rows, parabola, runs->clusters, o.seed, err);
  }
fail:
  for (int b = 0; b < FIT_MAX_BUDGETS; b++) fit__parabola_free(&parabola[b]);
  free(rows.row);
  if (status) fit_isoflop_free(out);
  return status;
}

void fit_isoflop_free(struct fit_isoflop *i) {
  if (!i) return;
  free(i->point);
  free(i->sample);
  i->point = NULL;
  i->sample = NULL;
}

enum fit_status fit__size_law_at(const struct fit_size_law *law, const double *sample, int count, double level,
                                 double compute, double *params, struct fit_interval *interval, struct fit_error *err) {
  *interval = (struct fit_interval){NAN, NAN, NAN};
  *params = law->k * pow(compute, law->a);
  if (!sample || count < 2 || isnan(law->a_interval.low)) return FIT_OK;
  double *value = malloc((size_t)count * sizeof *value);
  if (!value) return fit_fail(err, FIT_ERR_FAILED, "no memory for %d replicates", count);
  for (int r = 0; r < count; r++) value[r] = exp(sample[2 * r] + sample[2 * r + 1] * log(compute));
  *interval = fit__interval(value, count, level);
  free(value);
  return FIT_OK;
}

enum fit_status fit_size_at(const struct fit_isoflop *i, double compute, double *params, struct fit_interval *interval,
                            struct fit_error *err) {
  if (!i->has_law) return fit_fail(err, FIT_ERR_INPUT, "%d budgets accepted; a power law needs two", i->accepted);
  return fit__size_law_at(&i->law, i->sample, i->replicates - i->failed, i->level, compute, params, interval, err);
}
