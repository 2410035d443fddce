// A run under way.  Internal to model/.
#ifndef VKDM_TRAIN_INTERNAL_H
#define VKDM_TRAIN_INTERNAL_H

#include "metrics.h"
#include "skips.h"
#include "step.h"
#include "vkdm/heldout.h"
#include "vkdm/train.h"

struct run {
  const struct train_params *p;
  struct config config; // train.micro_batch settled
  struct config local;  // of this rank: train.batch is its part
  struct dit_config model;
  struct dataset *data;
  struct params *params, whole; // whole: params_whole()
  struct step *step;
  struct heldout *heldout;
  struct data_loader *loader;
  struct metrics *metrics;
  char *config_text, *base; // base: path of what train.base named
  char *from;               // the checkpoint that this process goes on from; NULL: none
  uint64_t base_hash;
  int64_t done, steps;
  int64_t saved; // step of the newest checkpoint; 0: none
  int lock;
  double tail_sum; // of losses in the last tenth
  int64_t tail_count;
  double last_heldout;
  struct skips skips;
  struct step_result last;         // the last step told
  double begin;                    // clock_seconds() at the call
  struct exchange_times exchanged; // until the first step was done
  double stepping, waited;         // seconds in steps after the first, and of them waiting for the device
  struct train_result *result;
};

// ---- train_start.c ----
// The newest checkpoint of a run that is resumed, or initial weights.
enum vkd_status train_start(struct run *r, struct vkd_error *err);

// ---- train_ranks.c ----
// Whether this process writes the run's folder: the first rank, or one alone.
static inline bool train_writes(const struct run *r) { return comm_rank(r->p->comm) == 0; }
// The part of the batch that is this rank's; all ranks were given the same configuration.
enum vkd_status train_join(struct run *r, struct vkd_error *err);
// What the first rank began from becomes everybody's.
enum vkd_status train_share(struct run *r, struct vkd_error *err);
// After `st`: all ranks have the same weights.
enum vkd_status train_check_weights(struct run *r, enum vkd_status st, int64_t step, struct vkd_error *err);

#endif
