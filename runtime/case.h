// Builders of self-test cases.  Internal to runtime/.
#ifndef VKD_CASE_H
#define VKD_CASE_H

#include "graph_internal.h"
#include "vkd/device.h"

enum { VKD_CASE_MAX = 24 };

struct vkd_case_leaf {
  vkd_tensor tensor;
  struct vkd_buffer *buffer; // of a state tensor; NULL: an input
  double lo, hi;             // uniform range, or lo > hi: standard normal
  bool integer;
};

struct vkd_case {
  struct vkd_graph *g;
  struct vkd_device *dev;
  double tolerance;
  struct vkd_case_leaf leaves[VKD_CASE_MAX];
  vkd_tensor wrt[VKD_CASE_MAX], outs[VKD_CASE_MAX];
  int leaf_count, wrt_count, out_count;
  bool state_out[VKD_CASE_MAX];
};

// Standard normal, with a gradient checked.
vkd_tensor vkd__case_rand(struct vkd_case *c, struct vkd_shape shape);
// Uniform in [lo, hi], no gradient.
vkd_tensor vkd__case_fixed(struct vkd_case *c, double lo, double hi, struct vkd_shape shape);
// Integers 0 .. below-1
vkd_tensor vkd__case_index(struct vkd_case *c, int below, struct vkd_shape shape);
// A bound tensor, uniform in [lo, hi], that the op writes; it is compared afterwards.
vkd_tensor vkd__case_state(struct vkd_case *c, double lo, double hi, struct vkd_shape shape);
// y is compared, and gets a random cotangent.
void vkd__case_out(struct vkd_case *c, vkd_tensor y);

#endif
