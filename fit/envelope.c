#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "curves.h"
#include "fit/isoflop.h"
#include "isoflop_internal.h"
#include "stats.h"

#define MAX_RESAMPLED 5000 // curves; more of them get no intervals

// loss: [FIT_ENVELOPE_POINTS][curves], ln L, NaN where a curve does not reach.
struct envelope {
  const struct fit_curves *curves;
  double *loss, compute[FIT_ENVELOPE_POINTS];
};

// The lowest of the curves that are present at point k, or -1 where it is the smallest or the largest size there.
static int lowest_at(const struct envelope *e, int k, const bool *present) {
  const double *loss = e->loss + (size_t)k * (size_t)e->curves->curves;
  int best = -1, smallest = e->curves->sizes, largest = -1;
  for (int i = 0; i < e->curves->curves; i++) {
    if (isnan(loss[i]) || (present && !present[i])) continue;
    int size = e->curves->curve[i].size;
    smallest = size < smallest ? size : smallest;
    largest = size > largest ? size : largest;
    if (best < 0 || loss[i] < loss[best]) best = i;
  }
  if (best < 0) return -1;
  int size = e->curves->curve[best].size;
  return size > smallest && size < largest ? best : -1;
}

// The envelope of the present curves and its power law; false: fewer than two sizes on it.
static bool trace(const struct envelope *e, const bool *present, struct fit_envelope *out) {
  double x[FIT_ENVELOPE_POINTS], y[FIT_ENVELOPE_POINTS];
  int first = -1, sizes = 0;
  out->points = 0;
  for (int k = 0; k < FIT_ENVELOPE_POINTS; k++) {
    int best = lowest_at(e, k, present);
    if (best < 0) continue;
    const struct fit_curve *curve = &e->curves->curve[best];
    if (first < 0) first = curve->size;
    sizes |= curve->size != first;
    x[out->points] = e->compute[k];
    y[out->points] = log(curve->params);
    out->compute[out->points] = exp(e->compute[k]);
    out->params[out->points] = curve->params;
    out->loss[out->points++] = exp(e->loss[(size_t)k * (size_t)e->curves->curves + (size_t)best]);
  }
  return sizes && fit__size_law(out->points, x, y, NULL, &out->law);
}

static enum fit_status resample(const struct envelope *e, int runs, const struct fit_isoflop_options *o,
                                struct fit_envelope *out, struct fit_error *err) {
  int wanted = out->replicates, good = 0;
  bool *present = malloc((size_t)e->curves->curves * sizeof *present), *drawn = malloc((size_t)runs * sizeof *drawn);
  struct fit_envelope *one = malloc(sizeof *one);
  enum fit_status status = FIT_OK;
  out->sample = malloc(2 * (size_t)wanted * sizeof *out->sample);
  if (!present || !drawn || !one || !out->sample) {
    status = fit_fail(err, FIT_ERR_FAILED, "no memory for %d replicates", wanted);
    goto fail;
  }
  for (int r = 0; r < wanted; r++) {
    uint64_t state = fit__random_stream(o->seed, (uint64_t)r);
    memset(drawn, 0, (size_t)runs * sizeof *drawn);
    for (int i = 0; i < out->runs; i++) // a run that was drawn twice lies no lower
      drawn[e->curves->curve[fit__random(&state) % (uint64_t)e->curves->curves].run] = true;
    for (int i = 0; i < e->curves->curves; i++) present[i] = drawn[e->curves->curve[i].run];
    if (!trace(e, present, one)) continue;
    out->sample[2 * good] = log(one->law.k);
    out->sample[2 * good++ + 1] = one->law.a;
  }
  out->failed = wanted - good;
  status = fit__size_law_intervals(out->sample, good, wanted, out->level, &out->law, err);
fail:
  free(present);
  free(drawn);
  free(one);
  return status;
}

enum fit_status fit_envelope(const struct fit_runs *runs, const struct fit_isoflop_options *options,
                             struct fit_envelope *out, struct fit_error *err) {
  static const struct fit_isoflop_options defaults;
  const struct fit_isoflop_options *o = options ? options : &defaults;
  struct fit_curves c = {0};
  struct envelope e = {.curves = &c};
  *out = (struct fit_envelope){.level = o->level != 0 ? o->level : 0.9};
  out->law.k_interval = out->law.a_interval = (struct fit_interval){NAN, NAN, NAN};
  enum fit_status status = fit__isoflop_check(o, err);
  if (status) return status;
  if (!fit__curves_init(&c, runs, &o->family)) return fit_fail(err, FIT_ERR_FAILED, "no memory for the curves");
  out->runs = c.curves;
  if (c.curves < 2) {
    status = fit_fail(err, FIT_ERR_INPUT,
                      "%d runs have rows at several computes; an envelope of training curves needs "
                      "several (the column run tells which rows belong together)",
                      c.curves);
    goto fail;
  }
  if (!(e.loss = malloc((size_t)c.curves * FIT_ENVELOPE_POINTS * sizeof *e.loss))) {
    status = fit_fail(err, FIT_ERR_FAILED, "no memory for %d curves", c.curves);
    goto fail;
  }
  double low = INFINITY, high = -INFINITY, tokens;
  for (int i = 0; i < c.curves; i++) {
    low = fmin(low, c.compute[c.curve[i].first]);
    high = fmax(high, c.compute[c.curve[i].first + c.curve[i].count - 1]);
  }
  for (int k = 0; k < FIT_ENVELOPE_POINTS; k++) {
    e.compute[k] = low + (high - low) * k / (FIT_ENVELOPE_POINTS - 1.0);
    for (int i = 0; i < c.curves; i++) {
      double *loss = &e.loss[(size_t)k * (size_t)c.curves + (size_t)i];
      if (!fit__curve_at(&c, &c.curve[i], e.compute[k], &tokens, loss)) *loss = NAN;
    }
  }
  if (!trace(&e, NULL, out)) {
    status = fit_fail(err, FIT_ERR_INPUT,
                      "the lower envelope of %d curves of %d sizes has fewer than two sizes that "
                      "are neither the smallest nor the largest at their compute",
                      c.curves, c.sizes);
    goto fail;
  }
  if (o->replicates >= 0 && c.curves >= FIT_MIN_CLUSTERS && c.curves <= MAX_RESAMPLED) {
    out->replicates = o->replicates ? o->replicates : FIT_ISOFLOP_REPLICATES;
    if (resample(&e, runs->clusters, o, out, err) == FIT_ERR_FAILED) status = FIT_ERR_FAILED;
  }
fail:
  free(e.loss);
  fit__curves_free(&c);
  if (status) fit_envelope_free(out);
  return status;
}

void fit_envelope_free(struct fit_envelope *e) {
  if (!e) return;
  free(e->sample);
  e->sample = NULL;
}

enum fit_status fit_envelope_at(const struct fit_envelope *e, double compute, double *params,
                                struct fit_interval *interval, struct fit_error *err) {
  return fit__size_law_at(&e->law, e->sample, e->replicates - e->failed, e->level, compute, params, interval, err);
}
