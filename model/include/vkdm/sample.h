// Sampling from a trained model.
#ifndef VKDM_SAMPLE_H
#define VKDM_SAMPLE_H

#include "vkd/device.h"
#include "vkdm/latent.h"
#include "vkdm/params.h"

struct sample_params {
  struct params *params;
  enum params_kind kind; // PARAMS_WEIGHT, or another that is kept
  int count;             // samples
  int steps;
  double shift, cfg; // cfg 1: no guidance
  uint64_t seed;
  const int32_t *labels;  // [count], -1: null; NULL: all null.  Models with a class table
  const float *text;      // [count, text_len, text_dim]; NULL: zeros.  Models without one
  const float *noise;     // [count, C, T, H, W]; NULL: drawn from the seed
  const float *null_text; // [text_len, text_dim]; NULL: zeros
  void (*progress)(void *user, int step, int steps);
  // latents after each step, where wanted: [count, C, T, H, W]
  void (*after_step)(void *user, int step, const float *latents);
  void *user;
};

// Rectified flow by Euler steps on sigma_i = shift(1 - i/steps), the model fed 1000 sigma.  latents: [count, C, T, H,
// W]. Guidance: v = v_null + cfg (v_cond - v_null).  The same parameters give the same bits on one device.
enum vkd_status sample_euler(const struct sample_params *params, float *latents, struct vkd_error *err);

#endif
