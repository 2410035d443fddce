// The training loop of one run.
// RUN/: config.yaml metrics.jsonl events.out.tfevents.* checkpoints/ summary.json, data.vkd where the data are
// synthetic, and lora.safetensors where adapters are trained.
#ifndef VKDM_TRAIN_H
#define VKDM_TRAIN_H

#include "vkd/device.h"
#include "vkdm/comm.h"
#include "vkdm/config.h"
#include "vkdm/dataset.h"
#include "vkdm/dit.h"

struct train_progress {
  int64_t step, steps;
  double loss, grad_norm, lr;
  double heldout; // the last one; NaN before the first
};

struct train_params {
  struct vkd_device *device;
  const struct config *config;
  struct comm *comm;   // NULL, or ranks that share each batch among them and all call train_run(); the first one writes
  const char *run;     // folder; created
  bool resume;         // go on from the newest checkpoint; without one, start
  bool overwrite;      // a folder that holds a run already is replaced; else it is an error
  bool no_checkpoints; // sweeps: only metrics and summary
  void (*progress)(void *user, const struct train_progress *progress); // after every step
  bool (*stop)(void *user); // asked before every step; true: the run saves a checkpoint and ends.  NULL: never
  void *user;
};

// One measurement of the held-out loss.
struct train_point {
  int64_t step;
  double tokens, flops, loss;
};

struct train_result {
  int64_t params; // as a runs table counts them: all trainable parameters
  int64_t steps, tokens_per_step;
  double flops_per_step;        // as the op table counts
  double loss;                  // mean over the last tenth of the steps
  double heldout, heldout_zero; // at the end; with v = 0
  double seconds, tokens_per_second;
  double start_seconds;  // from the call to the first step's result: data, plans, pipelines, and that step
  double host_share;     // of the time in later steps: spent on batches, inputs, submits and metrics; NaN: none
  uint64_t device_bytes; // peak
  int ranks;
  double comm_seconds;        // in later steps: that gradients were summed over ranks
  double comm_hidden;         // of it: while the backward pass went on; NaN: none
  double comm_share;          // of the time in later steps: that was waited for sums alone; NaN: none
  int64_t non_finite;         // steps whose loss or gradient was not finite, which changed nothing
  bool diverged;              // train.max_skipped of them in a row, or such a held-out loss: it stopped at `steps`
  bool stopped;               // ended by train_params.stop, at `steps`
  int64_t saved;              // step of the newest checkpoint; 0: none
  char why[640];              // it diverged: steps, the first tensor, the checkpoint that is left
  struct train_point *points; // [point_count], freed by train_result_free()
  int point_count;
};
void train_result_free(struct train_result *result);

// The model that a configuration means on a dataset, CONFIG_AUTO resolved.  Errors: VKD_ERR_INPUT naming the key that
// does not fit.
enum vkd_status train_model_config(const struct config *config, const struct dataset_info *data, struct dit_config *out,
                                   struct vkd_error *err);
// train.precision, as struct dit_config has it.
enum vkd_dtype train_compute(const struct config *config);
// Updates that train.steps or train.tokens amount to.
int64_t train_steps(const struct config *config, const struct dit_config *model);

// The dataset of a configuration: data.path, or the synthetic set, built at `synthetic_path` unless it is there
// already.
enum vkd_status train_open_data(const struct config *config, const char *synthetic_path, struct dataset **out,
                                struct vkd_error *err);

// Runs to the end.  A run that diverges is a success with result->diverged.
// Errors: VKD_ERR_INPUT on data, configuration or checkpoints that do not fit; VKD_ERR_DEVICE_MEMORY with what would
// fit; VKD_ERR_USAGE where another process is at work in the folder; VKD_ERR_IO, which names the last checkpoint.
enum vkd_status train_run(const struct train_params *params, struct train_result *result, struct vkd_error *err);

#endif
