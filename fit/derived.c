#include "fit/derived.h"

#include <stdlib.h>

#include "stats.h"

struct fit_sample fit_bootstrap_sample(const struct fit_bootstrap *b) {
  return (struct fit_sample){.law = b->sample, .count = b->replicates - b->failed, .level = b->level};
}

struct fit_interval fit_interval_of(double *value, int count, double level) {
  return fit__interval(value, count, level);
}

enum fit_status fit_optimum_interval(const struct fit_sample *s, const struct fit_family *f, double compute,
                                     struct fit_optimum_interval *out, struct fit_error *err) {
  size_t count = s->count > 0 ? (size_t)s->count : 1;
  double *value = malloc(3 * count * sizeof *value);
  enum fit_status status = FIT_OK;
  *out = (struct fit_optimum_interval){0};
  if (!value) return fit_fail(err, FIT_ERR_FAILED, "no memory for %d laws", s->count);
  double *params = value, *tokens = value + count, *loss = value + 2 * count;
  for (int i = 0; i < s->count; i++) {
    struct fit_optimum at;
    if (fit_optimum_at(s->law + (size_t)i * FIT_JOINT_PARAMS, f, compute, &at, NULL)) continue;
    params[out->laws] = at.params;
    tokens[out->laws] = at.tokens;
    loss[out->laws++] = at.loss;
  }
  if (out->laws < 2 || out->laws < s->count - s->count / 10) {
    status =
        fit_fail(err, FIT_ERR_INPUT, "%d of %d resampled laws have an optimum at %g FLOPs; too few for an interval",
                 out->laws, s->count, compute);
    goto fail;
  }
  out->params = fit__interval(params, out->laws, s->level);
  out->tokens = fit__interval(tokens, out->laws, s->level);
  out->loss = fit__interval(loss, out->laws, s->level);
fail:
  free(value);
  return status;
}

enum fit_status fit_loss_interval(const struct fit_sample *s, double params, double tokens, struct fit_interval *out,
                                  struct fit_error *err) {
  *out = (struct fit_interval){0};
  if (s->count < 2) return fit_fail(err, FIT_ERR_INPUT, "%d resampled laws; an interval needs 2", s->count);
  double *loss = malloc((size_t)s->count * sizeof *loss);
  if (!loss) return fit_fail(err, FIT_ERR_FAILED, "no memory for %d laws", s->count);
  for (int i = 0; i < s->count; i++) loss[i] = fit_joint_loss(s->law + (size_t)i * FIT_JOINT_PARAMS, params, tokens);
  *out = fit__interval(loss, s->count, s->level);
  free(loss);
  return FIT_OK;
}
