// The samplers' rows, and the coefficients of their steps.  Internal to model/.
#ifndef VKDM_SAMPLER_INTERNAL_H
#define VKDM_SAMPLER_INTERNAL_H

#include "vkdm/sampler.h"

// One step, linear in what is kept; out: what the model gives for x.
//   m         = m[0] x + m[1] out
//   corrected = x, or [0] x + [1] (the corrected x of the step before) + [2] m + [3] m1 + [4] m2
//   x         = [0] corrected + [1] m + [2] m1 + [3] noise
// with m1, m2 the m of the two steps before.
struct sampler_step {
  double timestep; // what the model is fed
  double level;    // of noise in x before the step
  double m[2], corrected[5], next[4];
  double log_variance[2]; // of the noise, at -1 and 1 of a learned variance, where there is one; next[3] is then 1 or 0
};

struct sampler_plan {
  enum prediction prediction;
  bool learned_variance;
  int steps;
  double shift;
};

struct sampler {
  const char *name;
  unsigned serves;   // mask of 1 << enum prediction
  int default_steps; // where none are asked for
  int history;       // how many earlier m a step reads; 0: m is the model's output itself
  bool corrects, noisy, shifts;
  // out [plan->steps].  Errors: VKD_ERR_INPUT where it cannot take so many steps.
  enum vkd_status (*plan)(const struct sampler_plan *plan, struct sampler_step *out, struct vkd_error *err);
};

// model/sampler_flow.c, model/sampler_ddpm.c
enum vkd_status sampler_plan_euler(const struct sampler_plan *p, struct sampler_step *out, struct vkd_error *err);
enum vkd_status sampler_plan_dpm(const struct sampler_plan *p, struct sampler_step *out, struct vkd_error *err);
enum vkd_status sampler_plan_unipc(const struct sampler_plan *p, struct sampler_step *out, struct vkd_error *err);
enum vkd_status sampler_plan_ddim(const struct sampler_plan *p, struct sampler_step *out, struct vkd_error *err);
enum vkd_status sampler_plan_ddpm(const struct sampler_plan *p, struct sampler_step *out, struct vkd_error *err);

// The steps of a plan, malloc'd.  Errors: as the row's plan().
enum vkd_status sampler_steps(const struct sampler *sampler, const struct sampler_plan *plan, struct sampler_step **out,
                              struct vkd_error *err);

#endif
