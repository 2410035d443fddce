// vkdit bench train, scaling: models that are made up from a few sizes, and the report of their steps.
#ifndef VKDIT_BENCH_STEPS_H
#define VKDIT_BENCH_STEPS_H

#include "bench.h"
#include "vkdm/bench_train.h"

// cross_dit with patches of 1 x 2 x 2, a context of 64 x 512 and latents of 16 channels.
struct bench_shape {
  int dim, depth, heads;
  int latent[3]; // T, H, W
  int batch;
};
// overrides: "key=value"
enum vkd_status bench_shape_config(const struct bench_shape *shape, const char *const *overrides, size_t count,
                                   struct config *config, struct vkd_error *err);
double bench_shape_flops(const struct bench_shape *shape); // of a step, by C_token
// The shapes of `vkdit bench train`; NULL past the last.
const struct bench_shape *bench_train_shape(int index, const char **name);

// run->runs steps, or fewer where --runs is not given and they take more than `budget` seconds.
enum vkd_status bench_steps(const struct bench_run *run, const struct config *config, double budget,
                            struct bench_train *out, struct vkd_error *err);
json_t *bench_steps_json(const char *name, const struct bench_train *b);

#endif
