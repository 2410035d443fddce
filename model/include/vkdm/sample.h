// Sampling from a trained model.
#ifndef VKDM_SAMPLE_H
#define VKDM_SAMPLE_H

#include "vkd/device.h"
#include "vkdm/latent.h"
#include "vkdm/params.h"
#include "vkdm/sampler.h"

struct sample_params {
  struct params *params;
  enum params_kind kind;         // PARAMS_WEIGHT, or another that is kept
  enum prediction prediction;    // what the model was trained to give
  const struct sampler *sampler; // one that serves it; NULL: the first that does
  int count;                     // samples
  int steps;                     // 0: the sampler's default
  double shift;                  // of the grid of noise levels, where the sampler has one; 0: 1
  double cfg;                    // 1: no guidance
  int cfg_channels;              // the first ones, which guidance moves; 0: as the family's public code does
  uint64_t seed;
  const int32_t *labels;   // [count], -1: null; NULL: all null.  Models with a class table
  const float *text;       // [count, text_len, text_dim]; NULL: zeros.  Models without one
  const float *noise;      // [count, C, T, H, W]; NULL: drawn from the seed
  const float *step_noise; // [steps, count, C, T, H, W], for samplers that add noise; NULL: drawn from the seed
  const float *null_text;  // [text_len, text_dim]; NULL: zeros
  void (*progress)(void *user, int step, int steps);
  // latents after each step, where wanted: [count, C, T, H, W]
  void (*after_step)(void *user, int step, const float *latents);
  void *user;
};

// latents: [count, C, T, H, W].  A model with twice as many output channels as input channels has a learned variance
// in the second half of them.  The same parameters give the same bits on one device.
// Errors: VKD_ERR_USAGE where the sampler does not serve the prediction, VKD_ERR_INPUT where it cannot take so many
// steps or the output channels do not fit.
enum vkd_status sample_run(const struct sample_params *params, float *latents, struct vkd_error *err);

#endif
