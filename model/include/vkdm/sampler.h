// The samplers: rows of a table (model/sampler.c).
#ifndef VKDM_SAMPLER_H
#define VKDM_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>

#include "vkd/status.h"
#include "vkdm/config.h"

// What a model's output stands for.  x_t = a x0 + b noise; flow: a = 1 - sigma, b = sigma; the others: a =
// sqrt(alpha_bar), b = sqrt(1 - alpha_bar) of ddpm.h.
enum prediction {
  PREDICT_VELOCITY, // of the rectified flow: noise - x0
  PREDICT_EPS,      // noise
  PREDICT_V,        // a noise - b x0
  PREDICTIONS
};
enum prediction prediction_of(enum config_objective objective);

struct sampler;

const struct sampler *sampler_at(size_t i); // NULL past the last row
const char *sampler_name(const struct sampler *sampler);
bool sampler_serves(const struct sampler *sampler, enum prediction prediction);
int sampler_default_steps(const struct sampler *sampler);
// Whether the grid of noise levels takes a shift.
bool sampler_shifts(const struct sampler *sampler);

// The row of that name, or with NULL the first one that serves the prediction.  Errors: VKD_ERR_USAGE on an unknown
// name, with the nearest one, and on one that does not serve, with those that do.
enum vkd_status sampler_find(const char *name, enum prediction prediction, const struct sampler **out,
                             struct vkd_error *err);

// Noise levels b before every step and after the last one, [steps + 1], and what the model is fed at every step,
// [steps]. Errors: VKD_ERR_INPUT where the sampler cannot take so many steps.
enum vkd_status sampler_grid(const struct sampler *sampler, int steps, double shift, double *levels, double *timesteps,
                             struct vkd_error *err);

#endif
