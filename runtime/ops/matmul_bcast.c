// matmul_bcast.comp: for software drivers other than those of matmul_simd.c.
#include "matmul.h"

enum vkd_form_rank matmul_bcast_rank(const struct vkd_device_caps *caps, const struct vkd_graph *g,
                                     const struct vkd_node *node) {
  if (vkd__kernel_unusable(caps, KERNEL_OF(vkd__matmul_dtype(g, node), matmul_bcast))) return VKD_FORM_NEVER;
  return caps->cpu_lanes ? VKD_FORM_SLOW : VKD_FORM_BEST;
}

uint64_t matmul_bcast_scratch(const struct vkd_device_caps *caps, const struct vkd_graph *g,
                              const struct vkd_node *node) {
  (void)caps, (void)g, (void)node;
  return 0;
}

void matmul_bcast_lower(struct vkd_lower *l, const struct vkd_node *node) {
  uint32_t lanes = vkd__lower_caps(l)->subgroup_size;
  struct matmul_push push = vkd__matmul_push(l, node);
  push.a = vkd__read(l, node->in[0]);
  push.b = vkd__read(l, node->in[1]);
  bool few = push.m <= BCAST_FEW_ROWS;
  uint64_t tiles = vkd__groups(push.m, few ? BCAST_FEW_ROWS : BCAST_ROWS) *
                   vkd__groups(push.n, (few ? BCAST_FEW_COLS : BCAST_COLS) * lanes);
  enum vkd_dtype dtype = vkd__matmul_dtype(vkd__lower_graph(l), node);
  vkd__dispatch(
      l, &(struct vkd_dispatch){.kernel = few ? KERNEL_OF(dtype, matmul_bcast_few) : KERNEL_OF(dtype, matmul_bcast),
                                .push = &push,
                                .push_size = sizeof push,
                                .spec = {lanes, node->p.matmul.ta, node->p.matmul.tb, vkd__matmul_ending(l)},
                                .spec_count = 4,
                                .groups = {tiles}});
}
