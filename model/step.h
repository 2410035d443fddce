// One training step as recorded programs.  Internal to model/.
#ifndef VKDM_STEP_H
#define VKDM_STEP_H

#include "vkd/profile.h"
#include "vkdm/data.h"
#include "vkdm/flow.h"
#include "vkdm/optim.h"

struct step_result {
  int64_t step; // from 1
  double loss, grad_norm;
};

struct step;

// Errors: VKD_ERR_DEVICE_MEMORY with the micro-batch that would fit.
enum vkd_status step_create(struct step **out, const struct config *config, struct params *params, struct vkd_error *err);
void step_destroy(struct step **step);

double step_flops(const struct step *step); // of one update, as the op table counts
const struct vkd_plan_info *step_plan(const struct step *step);

// Submits update `number` (from 1).  Results come later, in order: `results` [2] takes those that are ready, *count how many.
enum vkd_status step_submit(struct step *step, int64_t number, double lr, const struct data_batch *batch, struct step_result *results,
                            int *count, struct vkd_error *err);
// Waits for what is in flight.
enum vkd_status step_flush(struct step *step, struct step_result *results, int *count, struct vkd_error *err);

// Writes inputs of samples [first, first + batch) of `data` into a program's slot.  step and seed key the draws.
struct step_draw {
  const struct config *config;
  const struct dit_config *model;
  uint64_t seed, step;
  bool drop; // conditions are dropped at train.cond_drop
};
void step_write_inputs(struct vkd_program *program, int slot, const struct flow_inputs *in, const struct step_draw *draw,
                       const struct data_batch *data, uint32_t first);

#endif
