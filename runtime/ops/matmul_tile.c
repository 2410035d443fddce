// matmul.comp: tiles in shared memory; runs everywhere.
#include "matmul.h"

enum vkd_form_rank matmul_tile_rank(const struct vkd_device_caps *caps, const struct vkd_graph *g,
                                    const struct vkd_node *node) {
  (void)caps, (void)g, (void)node;
  return VKD_FORM_FITS;
}

uint64_t matmul_tile_scratch(const struct vkd_device_caps *caps, const struct vkd_graph *g,
                             const struct vkd_node *node) {
  (void)caps, (void)g, (void)node;
  return 0;
}

void matmul_tile_lower(struct vkd_lower *l, const struct vkd_node *node) {
  enum { TILE = 64, LANES = 64 }; // as in matmul.comp
  struct matmul_push push = vkd__matmul_push(l, node);
  push.a = vkd__read(l, node->in[0]);
  push.b = vkd__read(l, node->in[1]);
  vkd__dispatch(l, &(struct vkd_dispatch){.kernel = KERNEL_OF(vkd__matmul_dtype(vkd__lower_graph(l), node), matmul),
                                          .push = &push,
                                          .push_size = sizeof push,
                                          .spec = {LANES, node->p.matmul.ta, node->p.matmul.tb, vkd__matmul_ending(l)},
                                          .spec_count = 4,
                                          .groups = {vkd__groups(push.m, TILE) * vkd__groups(push.n, TILE)}});
}
