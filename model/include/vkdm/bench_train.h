// The training benchmark: whole steps of a configuration on random clips, as training submits them.
#ifndef VKDM_BENCH_TRAIN_H
#define VKDM_BENCH_TRAIN_H

#include "vkd/device.h"
#include "vkdm/config.h"
#include "vkdm/dit.h"

enum { BENCH_TRAIN_LEAST = 3 }; // steps timed whatever the budget

struct bench_train_params {
  const struct vkd_device_params *device; // opened anew, so that start-up and peak are this run's own
  const struct config *config;
  int runs;      // steps timed, at most
  double budget; // seconds after which no more steps are timed; 0: all of them are
};

struct bench_train {
  struct vkd_device_caps caps;
  struct dit_config model;
  int64_t params, tokens;              // of the model; per sample
  int batch, runs;                     // samples per step; steps timed
  double formula, counted;             // FLOPs of a step: C_token times tokens, and as the op table counts
  double seconds, fastest, slowest;    // of a step in steady state, from submit to submit: median and range
  double host;                         // share of that time in which the host worked and did not wait
  double startup_s, device_s, first_s; // from nothing to the end of the first step; of it, the device's opening and
                                       // the first step alone, in which kernels may be compiled
  uint64_t peak_bytes;                 // the most device memory there was, beside what drivers take for themselves
  double loss;                         // of the last step
};

// Errors: as train_model_config() and step by step; VKD_ERR_DIVERGED where the loss is not finite.
enum vkd_status bench_train_run(const struct bench_train_params *params, struct bench_train *out,
                                struct vkd_error *err);

#endif
