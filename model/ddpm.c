#include "vkdm/ddpm.h"

#include <math.h>

// Steps kept by a stride over all of them.
static int kept_by(int stride) { return (DDPM_STEPS + stride - 1) / stride; }

static enum vkd_status choose(struct ddpm_schedule *s, enum ddpm_spacing spacing, int steps, struct vkd_error *err) {
  if (steps < 1 || steps > DDPM_STEPS)
    return vkd_fail(err, VKD_ERR_INPUT, "%d diffusion steps: must be 1 to %d", steps, DDPM_STEPS);
  s->count = steps;
  if (spacing == DDPM_EVEN) {
    // The stride is added up, as in the public code: its rounding decides which way a half goes.
    double at = 0, stride = steps > 1 ? (DDPM_STEPS - 1.0) / (steps - 1) : 1;
    for (int k = 0; k < steps; k++, at += stride) s->timestep[k] = (int)rint(at);
    return VKD_OK;
  }
  int stride = 1;
  while (kept_by(stride) > steps) stride++;
  if (kept_by(stride) != steps)
    return vkd_fail(err, VKD_ERR_INPUT, "no whole stride over %d steps keeps %d of them; %d or %d would do", DDPM_STEPS,
                    steps, kept_by(stride), kept_by(stride - 1));
  for (int k = 0; k < steps; k++) s->timestep[k] = k * stride;
  return VKD_OK;
}

enum vkd_status ddpm_schedule_make(struct ddpm_schedule *s, enum ddpm_spacing spacing, int steps,
                                   struct vkd_error *err) {
  enum vkd_status st = choose(s, spacing, steps, err);
  if (st != VKD_OK) return st;
  double alpha_bar = 1, prev = 1;
  for (int t = 0, k = 0; t < DDPM_STEPS && k < steps; t++) {
    alpha_bar *= 1 - (1e-4 + (0.02 - 1e-4) * t / (DDPM_STEPS - 1));
    if (s->timestep[k] != t) continue;
    double beta = 1 - alpha_bar / prev;
    s->beta[k] = beta;
    s->alpha_bar[k] = alpha_bar;
    s->alpha_bar_prev[k] = prev;
    s->posterior_variance[k] = beta * (1 - prev) / (1 - alpha_bar);
    s->mean_x0[k] = beta * sqrt(prev) / (1 - alpha_bar);
    s->mean_xt[k] = (1 - prev) * sqrt(1 - beta) / (1 - alpha_bar);
    prev = alpha_bar;
    k++;
  }
  // The first step has no variance, and a logarithm is wanted; a lone step has no second to lend one.
  s->posterior_variance[0] = steps > 1 ? s->posterior_variance[1] : s->beta[0];
  for (int k = 0; k < steps; k++) {
    s->log_beta[k] = log(s->beta[k]);
    s->log_posterior_variance[k] = log(s->posterior_variance[k]);
  }
  return VKD_OK;
}
