// What the forms of matmul share.  Internal to runtime/ops.
#ifndef VKD_OPS_MATMUL_H
#define VKD_OPS_MATMUL_H

#include "form.h"
#include "push_matmul.h"
#include "support.h"

// c [m,n] = op(a) op(b), op(a) [m,k], op(b) [k,n]; leading dimensions are flattened into rows.
struct matmul_dims {
  int64_t m, n, k;
};
struct matmul_dims vkd__matmul_dims(const struct vkd_graph *g, const struct vkd_node *node);

// Sizes and the operands that every form hands to its kernel as they are: bias, add, c.
struct matmul_push vkd__matmul_push(struct vkd_lower *l, const struct vkd_node *node);

// What the kernel computes beside the product: its specialisation constant ENDING.
uint32_t vkd__matmul_ending(const struct vkd_lower *l);

static inline enum vkd_dtype vkd__matmul_dtype(const struct vkd_graph *g, const struct vkd_node *node) {
  return vkd_tensor_dtype(g, node->in[0]);
}

#endif
