#include "fit/serving.h"

#include <math.h>
#include <stdlib.h>

#include "stats.h"

static enum fit_status check(const struct fit_service *s, struct fit_error *err) {
  const struct fit_request *r = &s->request;
  const double value[] = {r->sample_tokens, r->steps, r->evaluations};
  for (int i = 0; i < 3; i++)
    if (!(value[i] > 0 && value[i] < INFINITY))
      return fit_fail(err, FIT_ERR_INPUT, "sample tokens %g, steps %g, evaluations %g: all must be numbers above 0",
                      r->sample_tokens, r->steps, r->evaluations);
  if (!(s->requests >= 0 && s->requests < INFINITY))
    return fit_fail(err, FIT_ERR_INPUT, "%g requests; a number, 0 or more, is needed", s->requests);
  return FIT_OK;
}

void fit_serving_at(const double si[FIT_JOINT_PARAMS], const struct fit_family *f, const struct fit_service *s,
                    double loss, double params, struct fit_serving *out) {
  *out = (struct fit_serving){.params = params, .tokens = fit_tokens_for_loss(si, params, loss)};
  out->training = out->tokens * fit_flops_per_token(f, params);
  out->inference = s->requests * fit_request_flops(f, &s->request, params);
  out->total = out->training + out->inference;
}

enum fit_status fit_serving_plan(const double si[FIT_JOINT_PARAMS], const struct fit_family *f,
                                 const struct fit_service *s, double loss, struct fit_serving_plan *out,
                                 struct fit_error *err) {
  struct fit_optimum optimum;
  enum fit_status status = check(s, err);
  *out = (struct fit_serving_plan){.loss = loss};
  if (!status) status = fit_optimum_for_loss(si, f, loss, &optimum, err);
  if (status) return status;
  out->smallest = pow(si[FIT_A] / (loss - si[FIT_E]), 1 / si[FIT_ALPHA]);
  fit_serving_at(si, f, s, loss, optimum.params, &out->optimal);
  // golden section: convex between the two ends
  const double golden = 0.6180339887498949;
  double low = log(out->smallest), high = log(optimum.params);
  struct fit_serving left, right;
  fit_serving_at(si, f, s, loss, exp(high - golden * (high - low)), &left);
  fit_serving_at(si, f, s, loss, exp(low + golden * (high - low)), &right);
  for (int i = 0; i < 60; i++) {
    if (left.total < right.total) {
      high = log(right.params);
      right = left;
      fit_serving_at(si, f, s, loss, exp(high - golden * (high - low)), &left);
    } else {
      low = log(left.params);
      left = right;
      fit_serving_at(si, f, s, loss, exp(low + golden * (high - low)), &right);
    }
  }
  out->cheapest = left.total <= right.total ? left : right;
  if (!(out->cheapest.total < out->optimal.total)) out->cheapest = out->optimal; // no requests
  out->saved = 1 - out->cheapest.total / out->optimal.total;
  return FIT_OK;
}

static int by_size(const void *a, const void *b) {
  return fit__by_value(&((const struct fit_serving *)a)->params, &((const struct fit_serving *)b)->params);
}

void fit_serving_table(const double si[FIT_JOINT_PARAMS], const struct fit_family *f, const struct fit_service *s,
                       const struct fit_serving_plan *plan, struct fit_serving row[FIT_SERVING_ROWS]) {
  int others = FIT_SERVING_ROWS - 2;
  double low = log(plan->smallest), high = log(2 * plan->optimal.params);
  for (int i = 0; i < others; i++)
    fit_serving_at(si, f, s, plan->loss, exp(low + (high - low) * (i + 1) / others), &row[i]);
  row[others] = plan->cheapest;
  row[others + 1] = plan->optimal;
  qsort(row, FIT_SERVING_ROWS, sizeof *row, by_size);
}

enum fit_status fit_serving_interval(const struct fit_sample *sample, const struct fit_family *f,
                                     const struct fit_service *s, double compute, double loss,
                                     struct fit_serving_interval *out, struct fit_error *err) {
  size_t count = sample->count > 0 ? (size_t)sample->count : 1;
  double *value = malloc(4 * count * sizeof *value);
  enum fit_status status = FIT_OK;
  *out = (struct fit_serving_interval){0};
  if (!value) return fit_fail(err, FIT_ERR_FAILED, "no memory for %d laws", sample->count);
  for (int i = 0; i < sample->count; i++) {
    const double *si = sample->law + (size_t)i * FIT_JOINT_PARAMS;
    struct fit_optimum at;
    struct fit_serving_plan plan;
    if (compute > 0 && fit_optimum_at(si, f, compute, &at, NULL)) continue;
    if (fit_serving_plan(si, f, s, compute > 0 ? at.loss : loss, &plan, NULL)) continue;
    double *to = value + out->laws++;
    to[0] = plan.cheapest.params;
    to[count] = plan.cheapest.tokens;
    to[2 * count] = plan.cheapest.total;
    to[3 * count] = plan.saved;
  }
  if (out->laws < 2 || out->laws < sample->count - sample->count / 10) {
    status = fit_fail(err, FIT_ERR_INPUT, "%d of %d resampled laws give a serving plan; too few for an interval",
                      out->laws, sample->count);
    goto fail;
  }
  out->params = fit__interval(value, out->laws, sample->level);
  out->tokens = fit__interval(value + count, out->laws, sample->level);
  out->total = fit__interval(value + 2 * count, out->laws, sample->level);
  out->saved = fit__interval(value + 3 * count, out->laws, sample->level);
fail:
  free(value);
  return status;
}
