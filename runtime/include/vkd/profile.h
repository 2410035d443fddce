// FLOPs, bytes and time, per op.  FLOPs and bytes come from the op table alone.
#ifndef VKD_PROFILE_H
#define VKD_PROFILE_H

#include "vkd/exec.h"

struct vkd_op_profile {
  const char *op, *label; // owned by the graph
  double flops;           // multiply and add count one each
  double bytes;           // ideal traffic: each operand read or written once
  double ns;              // median over the profiled runs; 0 if not measured
  double first_ns;        // of a run before those, in which drivers may compile; 0 if not measured
  uint32_t dispatches;
  enum vkd_dtype dtype; // of the result; of the first input where an op has none
  struct vkd_shape shape;
  struct vkd_shape in[2]; // of the first inputs; rank 0: none
};

// Rows for every node that runs, in order; *rows is freed with free().  Without a device nothing is timed.
enum vkd_status vkd_graph_profile(const struct vkd_graph *g, struct vkd_op_profile **rows, uint32_t *count,
                                  struct vkd_error *err);
double vkd_graph_flops(const struct vkd_graph *g);

// The same with times: runs the program `runs` times with timestamps around every node.  Inputs are those of slot 0.
enum vkd_status vkd_program_profile(struct vkd_program *program, int runs, struct vkd_op_profile **rows,
                                    uint32_t *count, struct vkd_error *err);

// One of these runs, on the host's CLOCK_MONOTONIC: the device worked between begin and done, op after op.
struct vkd_profile_run {
  double begin, submitted, done; // seconds
  double *ns;                    // [rows], of the device; 0 where an op has no dispatch.  Freed by the caller
};
// The same, and timed [runs], zeroed by the caller, in the order they ran; on failure their ns are NULL.
enum vkd_status vkd_program_profile_runs(struct vkd_program *program, int runs, struct vkd_profile_run *timed,
                                         struct vkd_op_profile **rows, uint32_t *count, struct vkd_error *err);

#endif
