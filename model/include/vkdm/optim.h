// AdamW with global-norm clipping and EMA over the parameter arenas, as graph nodes; schedules on the host.
#ifndef VKDM_OPTIM_H
#define VKDM_OPTIM_H

#include "vkdm/config.h"
#include "vkdm/params.h"

struct optim_settings {
  double lr, beta1, beta2, eps, weight_decay, ema, clip;
  double grad_scale; // 1 / passes that were added up
};

// Values of step `step` (from 1) for the hyper input, float [VKD_HYPER_COUNT]; bias corrections in double.
void optim_hyper(const struct optim_settings *s, int64_t step, float *hyper);

// Learning rate of step `step` (from 1) of `steps`: linear warm-up, then constant or cosine down to min_lr_ratio.
double optim_lr(const struct config *config, int64_t step, int64_t steps);

// The sum of squares [1] of the gradients in `kind`.
vkd_tensor optim_norm2(struct vkd_graph *g, const struct params *params, enum params_kind kind);

// Updates all arenas from the gradients in `kind`; returns their sum of squares [1].  Where that, or loss [1] (empty:
// none), is not finite, nothing changes, and what is returned is not finite.
vkd_tensor optim_update(struct vkd_graph *g, const struct params *params, enum params_kind kind, vkd_tensor hyper,
                        vkd_tensor loss);
// The same by a norm2 [1] that is known; where moments are kept in parts, of this rank's part.
void optim_apply(struct vkd_graph *g, const struct params *params, enum params_kind kind, vkd_tensor hyper,
                 vkd_tensor norm2);

#endif
