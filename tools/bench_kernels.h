// vkdit bench: graphs of one kernel or a few, timed node by node.
#ifndef VKDIT_BENCH_KERNELS_H
#define VKDIT_BENCH_KERNELS_H

#include "bench.h"
#include "vkd/ops.h"
#include "vkd/profile.h"

enum { BENCH_INPUTS = 6 };

// A graph under construction, with the inputs that are to be filled with random numbers.
struct bench_graph {
  struct vkd_device *dev;
  struct vkd_graph *g;
  vkd_tensor input[BENCH_INPUTS];
  int inputs;
  struct vkd_buffer *buffer[BENCH_INPUTS]; // of bound tensors
  int buffers;
};
vkd_tensor bench_input(struct bench_graph *b, struct vkd_shape shape);
// Errors are the graph's.  Zeros: they become random by what the graph writes to them, or stay.
enum vkd_status bench_bound(struct bench_graph *b, int64_t count, vkd_tensor *out, struct vkd_error *err);

// Times the graph that build(b, user) makes; print(user, row) gets each of its nodes, the median of run->runs runs.
struct bench_kernel {
  enum vkd_status (*build)(struct bench_graph *b, const void *user, struct vkd_error *err);
  void (*print)(struct bench_run *run, const void *user, const struct vkd_op_profile *row);
  const void *user;
};
enum vkd_status bench_kernel(struct bench_run *run, const struct bench_kernel *k, struct vkd_error *err);

#endif
