// The inference-cost benchmark: what one step of a sampler costs on a device, for any model and without its weights.
#ifndef VKDM_BENCH_SAMPLE_H
#define VKDM_BENCH_SAMPLE_H

#include "vkdm/params.h"
#include "vkdm/streaming.h"

struct bench_sample_params {
  struct vkd_device *device;
  const struct dit_config *model;
  const struct params_reader *reader; // NULL: random weights, of the spread of initial ones and none of them zero
  int count;                          // samples at once
  double cfg;                         // 1: no guidance, and half the passes
  int steps;                          // timed, after one that is not
  bool stream;                        // stream the weights though they fit
  // > 0: only so many blocks, and twice so many, are timed, and the time of all is extrapolated from the two
  int blocks;
};

struct bench_sample {
  int passes;     // forward passes per sample and step: 2 with guidance
  double seconds; // of a step, median: the guided model; a solver's few operations on latents are left out
  double fastest, slowest;
  double flops;            // of a step, as the op table counts the forward passes
  double peak;             // FLOP/s: the best of a few square matmuls in the same precision, measured here
  int peak_size;           // of that matmul
  double output_rms;       // of the model's output
  int timed_blocks[2];     // 0: all of them
  struct stream_need need; // bytes of the model when all of it lies on the device, as planned
  uint64_t allocated;      // bytes on the device while it ran; of the deeper model where time is extrapolated
  bool streamed;
  struct stream_info info; // where streamed
  uint64_t streamed_bytes; // per step
  double resident_seconds; // of a step without uploads
};

// Errors: VKD_ERR_DEVICE_MEMORY, VKD_ERR_DIVERGED where the output is not finite.  Estimates are logged before the
// work.
enum vkd_status bench_sample_run(const struct bench_sample_params *params, struct bench_sample *out,
                                 struct vkd_error *err);

#endif
