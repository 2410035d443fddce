#include "fit/sizes.h"

#include <math.h>

static const struct fit_interval none = {NAN, NAN, NAN};

static void joint_part(const struct fit_size_sources *s, double compute, struct fit_size_row *out) {
  static const struct fit_family constant;
  const struct fit_family *f = s->family ? s->family : &constant;
  struct fit_optimum at;
  struct fit_optimum_interval interval;
  if (fit_optimum_at(s->joint, f, compute, &at, NULL) == FIT_OK) {
    out->joint = at.params;
    out->tokens = at.tokens;
    out->loss = at.loss;
  }
  if (fit_optimum_analytic(s->joint, f->flops_per_param, compute, &at, NULL) == FIT_OK) out->closed = at.params;
  if (!s->sample || isnan(out->joint) || fit_optimum_interval(s->sample, f, compute, &interval, NULL)) return;
  out->joint_interval = interval.params;
  out->tokens_interval = interval.tokens;
  out->loss_interval = interval.loss;
}

void fit_size_row(const struct fit_size_sources *s, double compute, struct fit_size_row *out) {
  *out = (struct fit_size_row){.compute = compute,
                               .joint = NAN,
                               .tokens = NAN,
                               .loss = NAN,
                               .closed = NAN,
                               .isoflop = NAN,
                               .envelope = NAN,
                               .joint_interval = none,
                               .tokens_interval = none,
                               .loss_interval = none,
                               .isoflop_interval = none,
                               .envelope_interval = none};
  if (s->joint) joint_part(s, compute, out);
  if (s->isoflop && fit_size_at(s->isoflop, compute, &out->isoflop, &out->isoflop_interval, NULL)) out->isoflop = NAN;
  if (s->envelope && fit_envelope_at(s->envelope, compute, &out->envelope, &out->envelope_interval, NULL))
    out->envelope = NAN;
}
