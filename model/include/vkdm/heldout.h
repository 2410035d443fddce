// Held-out loss at fixed noise and noise levels: the `loss` of a runs table.
#ifndef VKDM_HELDOUT_H
#define VKDM_HELDOUT_H

#include "vkdm/comm.h"
#include "vkdm/config.h"
#include "vkdm/data.h"
#include "vkdm/params.h"

struct vkd_program;

struct heldout_loss {
  double loss, zero; // as objective_loss() gives them
  uint32_t clips, samples;
};

struct heldout;

// Sample j is held-out clip j mod n with noise of (eval.seed, j) and the noise level of quantile frac((j + 1/2) /
// golden ratio) of the training distribution; at least 64 samples.  kind: PARAMS_WEIGHT or PARAMS_EMA.
// comm: NULL, or ranks that share the samples among them and all run it.
// beside: a program whose temporaries' memory is used where it is large enough, and which outlives this; or NULL.
enum vkd_status heldout_create(struct heldout **out, const struct config *config, const struct dataset *dataset,
                               struct params *params, enum params_kind kind, struct comm *comm,
                               struct vkd_program *beside, struct vkd_error *err);
void heldout_destroy(struct heldout **heldout);
enum vkd_status heldout_run(struct heldout *heldout, struct heldout_loss *out, struct vkd_error *err);

#endif
