// Samplers of the discrete diffusion, on its respaced tables.
#include <math.h>
#include <stdlib.h>

#include "sampler.h"
#include "vkdm/ddpm.h"

// x0 = x0[0] x + x0[1] out, and noise likewise.
struct parts {
  double x0[2], noise[2];
};

static struct parts parts_of(enum prediction prediction, double alpha_bar) {
  double a = sqrt(alpha_bar), b = sqrt(1 - alpha_bar);
  if (prediction == PREDICT_V) return (struct parts){.x0 = {a, -b}, .noise = {b, a}};
  return (struct parts){.x0 = {1 / a, -b / a}, .noise = {0, 1}};
}

static enum vkd_status schedule(const struct sampler_plan *p, enum ddpm_spacing spacing, struct ddpm_schedule **out,
                                struct vkd_error *err) {
  *out = malloc(sizeof **out);
  if (!*out) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a noise schedule");
  return ddpm_schedule_make(*out, spacing, p->steps, err);
}

static struct sampler_step begin(const struct ddpm_schedule *s, int k) {
  return (struct sampler_step){.timestep = s->timestep[k], .level = sqrt(1 - s->alpha_bar[k]), .m = {0, 1}};
}

// x <- sqrt(alpha_bar_prev) x0 + sqrt(1 - alpha_bar_prev) noise (eta = 0).  Source: Song et al. 2020, arXiv:2010.02502
enum vkd_status sampler_plan_ddim(const struct sampler_plan *p, struct sampler_step *out, struct vkd_error *err) {
  struct ddpm_schedule *s;
  enum vkd_status st = schedule(p, DDPM_STRIDED, &s, err);
  for (int i = 0; i < p->steps && st == VKD_OK; i++) {
    int k = p->steps - 1 - i;
    struct parts parts = parts_of(p->prediction, s->alpha_bar[k]);
    double a = sqrt(s->alpha_bar_prev[k]), b = sqrt(1 - s->alpha_bar_prev[k]);
    out[i] = begin(s, k);
    for (int j = 0; j < 2; j++) out[i].next[j] = a * parts.x0[j] + b * parts.noise[j];
  }
  free(s);
  return st;
}

// x <- posterior mean of x0 and x, + deviation z but in the last step.  Without a learned variance it is beta (the
// larger of the two bounds).  Source: Ho et al. 2020, arXiv:2006.11239; Nichol & Dhariwal 2021, arXiv:2102.09672
enum vkd_status sampler_plan_ddpm(const struct sampler_plan *p, struct sampler_step *out, struct vkd_error *err) {
  struct ddpm_schedule *s;
  enum vkd_status st = schedule(p, DDPM_EVEN, &s, err);
  for (int i = 0; i < p->steps && st == VKD_OK; i++) {
    int k = p->steps - 1 - i;
    struct parts parts = parts_of(p->prediction, s->alpha_bar[k]);
    out[i] = begin(s, k);
    out[i].next[0] = s->mean_x0[k] * parts.x0[0] + s->mean_xt[k];
    out[i].next[1] = s->mean_x0[k] * parts.x0[1];
    out[i].next[3] = k == 0 ? 0 : p->learned_variance ? 1 : sqrt(s->beta[k]);
    out[i].log_variance[0] = s->log_posterior_variance[k];
    out[i].log_variance[1] = s->log_beta[k];
  }
  free(s);
  return st;
}
