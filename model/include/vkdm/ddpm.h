// The tables of a Gaussian diffusion over discrete steps, in double: linear betas 1e-4 .. 0.02 over 1000 steps, and the
// same thinned out for sampling.  Source: Ho et al. 2020, arXiv:2006.11239; Nichol & Dhariwal 2021, arXiv:2102.09672
#ifndef VKDM_DDPM_H
#define VKDM_DDPM_H

#include "vkd/status.h"

enum { DDPM_STEPS = 1000 };

enum ddpm_spacing {
  DDPM_EVEN,   // first and last step and what lies evenly between, rounded half to even ("N" in the public code)
  DDPM_STRIDED // every s-th step from 0, s the least that keeps so many ("ddimN"); not every number can be had
};

// Index k = 0 .. count-1 from the least noise to the most.
struct ddpm_schedule {
  int count;
  int timestep[DDPM_STEPS];                  // what the model is fed, rising, 0 .. 999
  double beta[DDPM_STEPS];                   // 1 - alpha_bar / alpha_bar_prev
  double alpha_bar[DDPM_STEPS];              // x_t = sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) noise
  double alpha_bar_prev[DDPM_STEPS];         // 1 at 0
  double posterior_variance[DDPM_STEPS];     // beta (1 - alpha_bar_prev) / (1 - alpha_bar); at 0 that of 1, not 0
  double log_beta[DDPM_STEPS];               // a learned variance v in [-1, 1] stands for
  double log_posterior_variance[DDPM_STEPS]; // exp(f log_beta + (1 - f) log_posterior_variance), f = (v + 1) / 2
  double mean_x0[DDPM_STEPS];                // posterior mean = mean_x0 x0 + mean_xt x_t:
  double mean_xt[DDPM_STEPS];                // beta sqrt(alpha_bar_prev) / (1 - alpha_bar), and
};                                           // (1 - alpha_bar_prev) sqrt(1 - beta) / (1 - alpha_bar)

// steps = DDPM_STEPS: all of them.  Errors: VKD_ERR_INPUT when steps is out of range or no stride keeps so many.
enum vkd_status ddpm_schedule_make(struct ddpm_schedule *schedule, enum ddpm_spacing spacing, int steps,
                                   struct vkd_error *err);

#endif
