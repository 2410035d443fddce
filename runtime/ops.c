#include "op.h"

#define OP(op, min_in, max_in, outs, writes, flags)                                                                    \
  void op##_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *out_shape, enum vkd_dtype *out_dtype); \
  double op##_flops(const struct vkd_graph *g, const struct vkd_node *node);                                           \
  double op##_bytes(const struct vkd_graph *g, const struct vkd_node *node);                                           \
  void op##_backward(struct vkd_graph *g, const struct vkd_node *node, const vkd_tensor *dout, vkd_tensor *din);       \
  void op##_lower(struct vkd_lower *l, const struct vkd_node *node);                                                   \
  void op##_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out);
#include "ops.def"
#undef OP

const struct vkd_op_info vkd__ops[VKD_OP_COUNT] = {
#define OP(op, min_in, max_in, outs, writes, flags)                                                                    \
  {#op, min_in, max_in, outs, writes, flags, op##_shape, op##_flops, op##_bytes, op##_backward, op##_lower, op##_ref},
#include "ops.def"
#undef OP
};
