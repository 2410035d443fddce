// Steps that are skipped because their loss or gradient is not finite (vkd_adamw), and dynamic loss scaling for fp16:
// gradients are computed of the loss times a scale, so that few of them are too small for fp16, and skipped steps lower
// it.  Source: Micikevicius et al. 2018, arXiv:1710.03740
#ifndef VKDM_LOSS_SCALE_H
#define VKDM_LOSS_SCALE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "vkd/status.h"

// An overflow at scale S makes it S / 2; LOSS_SCALE_PATIENCE finite steps in a row double it.
enum { LOSS_SCALE_START = 1 << 16, LOSS_SCALE_MOST = 1 << 24, LOSS_SCALE_PATIENCE = 2000 };
#define LOSS_SCALE_LEAST 0x1p-24

// The outcome of a step tells on the scale two steps later, which is when a pipeline of two knows it at the latest: so
// the scales of a run do not hang on when the host looked.
struct loss_scale {
  double scale;          // of the next step; 0: none is used, skipped steps are counted alone
  int64_t good, skipped; // finite steps since it changed; steps that were skipped
  struct {
    double scale; // that the step had; 0: no such step, or none is used
    bool overflow;
  } recent[2]; // of the last odd and even step, not told yet
};

// The scale of step `step` (from 1), and whether it overflowed: called in turn for every step, at most two steps apart.
double loss_scale_begin(struct loss_scale *s, int64_t step);
void loss_scale_end(struct loss_scale *s, int64_t step, bool overflow);
// A scale of 1 or less that overflows: the gradient itself has grown beyond bounds.
bool loss_scale_is_lost(double scale);

// For checkpoints.  Errors: VKD_ERR_INPUT on what loss_scale_to_json() does not write.
json_t *loss_scale_to_json(const struct loss_scale *s);
enum vkd_status loss_scale_from_json(const json_t *o, struct loss_scale *s, struct vkd_error *err);

#endif
