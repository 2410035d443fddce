// One training step as recorded programs.  Internal to model/.
#ifndef VKDM_STEP_H
#define VKDM_STEP_H

#include "exchange.h"
#include "vkd/profile.h"
#include "vkdm/comm.h"
#include "vkdm/data.h"
#include "vkdm/loss_scale.h"
#include "vkdm/objective.h"
#include "vkdm/optim.h"

struct step_result {
  int64_t step;           // from 1
  double loss, grad_norm; // a norm that is not finite, as where the loss is not: the step changed nothing
  double loss_scale;      // 0: none
};

struct step;

// comm: NULL, or ranks that each take as many samples as config->train.batch says, a part of a batch size times as
// large. Errors: VKD_ERR_DEVICE_MEMORY with what would fit: recomputed blocks, a smaller micro-batch, or both.
enum vkd_status step_create(struct step **out, const struct config *config, struct params *params, struct comm *comm,
                            struct vkd_error *err);
void step_destroy(struct step **step);

// Arenas that training as configured keeps, and those arenas; comm as above.
unsigned step_params_kinds(const struct config *config);
enum vkd_status step_params_create(struct params **out, struct vkd_device *dev, const struct config *config,
                                   const struct dit_config *model, const struct comm *comm, struct vkd_error *err);

// train.batch, and what it is checked against, becomes that of one of so many ranks.
enum vkd_status step_share_batch(struct config *config, int ranks, struct vkd_error *err);

// train.micro_batch: auto becomes the largest part of the batch with which a run fits the device's memory beside what
// is allocated, and the log says which; where none fits it is 1, and step_create() says what would help.
enum vkd_status step_settle_micro(struct config *config, struct vkd_device *dev, const struct dit_config *model,
                                  struct comm *comm, struct vkd_error *err);

// The graphs alone, on a fake device too: nothing can be submitted.
enum vkd_status step_create_plan(struct step **out, const struct config *config, struct params *params,
                                 struct comm *comm, struct vkd_error *err);

// Skipped steps and the state of fp16's loss scaling, which a checkpoint keeps: complete after step_flush().
struct loss_scale *step_loss_scale(struct step *step);

double step_flops(const struct step *step); // of one update, as the op table counts, without recomputation

// Seconds that submits and flushes have waited for the device so far: all else between two submits is the host's.
double step_waited(const struct step *step);
struct exchange_times step_exchange(const struct step *step); // 0 of one rank

// What one update runs: a pass `repeats` times, the update of its own where several passes make a step, and the
// weights' copies where ranks update parts.
struct step_part {
  const struct vkd_graph *graph;
  struct vkd_program *program; // NULL of step_create_plan()
  struct vkd_plan_info plan;
  int repeats;
};
enum { STEP_PARTS = 3 };
// *count: 1 to 3
enum vkd_status step_parts(const struct step *step, struct step_part parts[STEP_PARTS], int *count,
                           struct vkd_error *err);

// Of the forward and backward pass: between steps its memory is free for others' temporaries.
struct vkd_program *step_program(const struct step *step);

// Gradients of `loss` with respect to every parameter that is not frozen, into the arena PARAMS_GRAD.  weights: of
// params_tensors().
enum vkd_status step_gradients(struct vkd_graph *g, const struct params *params, const vkd_tensor *weights,
                               vkd_tensor loss, struct vkd_error *err);

// Submits update `number` (from 1), of the batch's part of this rank: all ranks do.  Results come later, in order:
// `results` [2] takes those that are ready, *count how many.
enum vkd_status step_submit(struct step *step, int64_t number, double lr, const struct data_batch *batch,
                            struct step_result *results, int *count, struct vkd_error *err);
// Where ranks keep parts (params_in_parts()), or summed gradients in parts: `kind` whole, in PARAMS_GRAD of all ranks.
// All ranks come here, between steps with nothing in flight.
enum vkd_status step_gather(struct step *step, enum params_kind kind, struct vkd_error *err);
// Waits for what is in flight.
enum vkd_status step_flush(struct step *step, struct step_result *results, int *count, struct vkd_error *err);

// Where a step that was skipped, the last one submitted and flushed, lost its numbers: its passes run again, with every
// tensor kept.  The step can do nothing else afterwards but be destroyed, and neither can programs beside it.
struct step_trace {
  struct vkd_nonfinite found; // tensor 0: all was finite
  int pass;                   // from 0, over all ranks
};
// Errors: VKD_ERR_DEVICE_MEMORY where the tensors do not fit all at once.
// batch: of all ranks
enum vkd_status step_trace(struct step *step, const struct step_result *result, const struct data_batch *batch,
                           struct step_trace *trace, struct vkd_error *err);

// Writes inputs of samples [first, first + batch) of `data` into a program's slot.  step and seed key the draws.
struct step_draw {
  const struct config *config;
  const struct dit_config *model;
  uint64_t seed, step;
  bool drop; // conditions are dropped at train.cond_drop
};
void step_write_inputs(struct vkd_program *program, int slot, const struct objective_inputs *in,
                       const struct step_draw *draw, const struct data_batch *data, uint32_t first);

#endif
