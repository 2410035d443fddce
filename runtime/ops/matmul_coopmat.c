// matmul_cm.comp: 16-bit operands by cooperative matrices, one subgroup to each of 2 x 2 blocks of `rows` x `cols` of
// them.
#include "matmul.h"

static enum vkd_kernel_id kernel_of(enum vkd_dtype dtype) {
  return dtype == VKD_F16 ? VKD_K_matmul_cm_f16 : VKD_K_matmul_cm_bf16;
}

enum vkd_form_rank matmul_coopmat_rank(const struct vkd_device_caps *caps, const struct vkd_graph *g,
                                       const struct vkd_node *node) {
  enum vkd_dtype dtype = vkd__matmul_dtype(g, node);
  if (!vkd_dtype_16bit(dtype) || !caps->coopmat || !vkd_kernel_blobs[kernel_of(dtype)].code) return VKD_FORM_NEVER;
  if (!vkd__coopmat_for(caps, dtype)) return VKD_FORM_NEVER;
  // a CPU has no units for them: measured there, the kernels for its lanes are faster (docs/performance.md)
  return caps->kind == VKD_DEVICE_SOFTWARE ? VKD_FORM_SLOW : VKD_FORM_BEST;
}

uint64_t matmul_coopmat_scratch(const struct vkd_device_caps *caps, const struct vkd_graph *g,
                                const struct vkd_node *node) {
  (void)caps, (void)g, (void)node;
  return 0;
}

void matmul_coopmat_lower(struct vkd_lower *l, const struct vkd_node *node) {
  // most sums that a lane holds; fewest workgroups that large blocks are used for: estimates, measured on no GPU
  enum { SUMS = 128, GROUPS = 128 };
  const struct vkd_device_caps *caps = vkd__lower_caps(l);
  bool ta = node->p.matmul.ta, tb = node->p.matmul.tb;
  enum vkd_dtype dtype = vkd__matmul_dtype(vkd__lower_graph(l), node);
  const struct vkd_coopmat *shape = vkd__coopmat_for(caps, dtype);
  struct matmul_push push = vkd__matmul_push(l, node);
  push.a = vkd__read(l, node->in[0]);
  push.b = vkd__read(l, node->in[1]);
  uint32_t rows = 4, cols = 4;
  while (rows > 1 &&
         (vkd__coopmat_shared(shape, rows, cols) > caps->max_shared_bytes ||
          rows * cols * shape->m * shape->n > SUMS * caps->subgroup_size ||
          (rows > 2 && vkd__groups(push.m, 2 * rows * shape->m) * vkd__groups(push.n, 2 * cols * shape->n) < GROUPS)))
    rows = cols = rows / 2;
  bool vec_a = push.a % 16 == 0 && (ta ? push.m : push.k) % 8 == 0;
  bool vec_b = push.b % 16 == 0 && (tb ? push.k : push.n) % 8 == 0;
  vkd__dispatch(l, &(struct vkd_dispatch){.kernel = kernel_of(dtype),
                                          .push = &push,
                                          .push_size = sizeof push,
                                          .spec = {4 * caps->subgroup_size, ta, tb, shape->m, shape->n, shape->k, rows,
                                                   cols, vec_a, vec_b, vkd__matmul_ending(l)},
                                          .spec_count = 11,
                                          .groups = {vkd__groups(push.m, 2 * rows * shape->m) *
                                                     vkd__groups(push.n, 2 * cols * shape->n)}});
}
