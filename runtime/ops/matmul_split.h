// Products split over k: slices into scratch, then a pass that sums them in order.  Internal to runtime/ops.
#ifndef VKD_OPS_MATMUL_SPLIT_H
#define VKD_OPS_MATMUL_SPLIT_H

#include "matmul.h"

// Workgroups that keep any GPU busy: an estimate, as Vulkan does not tell how many run at once.
enum { VKD_MATMUL_GROUPS = 256 };

// Slices, none of them empty, of a product of so many tiles that takes `step` of k at a time; 1: not worth while.
uint32_t vkd__matmul_slices(uint64_t tiles, int64_t k, uint32_t step);
uint64_t vkd__matmul_split_scratch(const struct matmul_dims *d, uint32_t slices);

// Dispatches a kernel over tiles and slices, and the pass that ends it.  Its row and specialisation constants are
// given, but for ENDING, which comes last.  a, b: what vkd__read() gave for the operands, right before.
void vkd__matmul_dispatch(struct vkd_lower *l, const struct vkd_node *node, uint64_t a, uint64_t b,
                          const struct vkd_dispatch *kernel, uint64_t tiles, uint32_t slices);

#endif
