// vkdit bench sample: options and report of the inference-cost benchmark.
#ifndef VKDIT_BENCH_SAMPLE_H
#define VKDIT_BENCH_SAMPLE_H

#include "streamed.h"

// clang-format off
#define BENCH_SAMPLE_OPTS                                                                                              \
  {.name = "config", .kind = CMD_STRING, .metavar = "CONFIG",                                                       \
   .help = "sample, train: model and shapes, as wan-1.3b, dit-xl-2"},                                                \
  {.name = "random-weights", .help = "sample: weights made up (the default)"},                                         \
  {.name = "weights", .kind = CMD_STRING, .metavar = "FILE", .help = "sample: the weights of a .safetensors"},         \
  {.name = "steps", .kind = CMD_INT, .metavar = "N", .fallback = "5", .min = 1, .max = 10000,                          \
   .help = "sample: timed steps, whose median is reported"},                                                           \
  {.name = "count", .kind = CMD_INT, .metavar = "N", .fallback = "1", .min = 1, .max = 4096,                           \
   .help = "sample: samples at once"},                                                                                 \
  {.name = "cfg", .kind = CMD_REAL, .metavar = "S", .min = 0, .max = 100,                                              \
   .help = "sample: guidance, two passes per step; 1: none, one pass (default: 5 for flow, 4 else)"},                  \
  {.name = "precision", .kind = CMD_STRING, .metavar = "fp32|fp16|bf16",                                                            \
   .help = "sample: of products and attention (default: the configuration's)"},                                               \
  STREAMED_OPTS,                                                                                                       \
  {.name = "blocks", .kind = CMD_INT, .metavar = "K", .min = 1, .max = 4096,                                           \
   .help = "sample: time K and 2 K blocks only, and extrapolate to all of them"}
// clang-format on

// args: `sample`, then overrides of the configuration.
enum vkd_status bench_sample_command(const struct cmd_args *args, struct vkd_error *err);

#endif
