#include "matmul_split.h"

uint32_t vkd__matmul_slices(uint64_t tiles, int64_t k, uint32_t step) {
  enum { LEAST = 256 }; // of k in a slice: below that writing and reading it again costs more than it brings
  uint64_t slices = VKD_MATMUL_GROUPS / tiles, most = (uint64_t)k / LEAST;
  if (slices > most) slices = most;
  if (slices < 2) return 1;
  uint64_t steps = vkd__groups((uint64_t)k, step);
  return (uint32_t)vkd__groups(steps, vkd__groups(steps, slices));
}

uint64_t vkd__matmul_split_scratch(const struct matmul_dims *d, uint32_t slices) {
  return slices > 1 ? slices * (uint64_t)d->m * (uint64_t)d->n * sizeof(float) : 0;
}

void vkd__matmul_dispatch(struct vkd_lower *l, const struct vkd_node *node, uint64_t a, uint64_t b,
                          const struct vkd_dispatch *kernel, uint64_t tiles, uint32_t slices) {
  struct matmul_dims d = vkd__matmul_dims(vkd__lower_graph(l), node);
  uint64_t bytes = vkd__matmul_split_scratch(&d, slices);
  struct vkd_dispatch first = *kernel;
  struct matmul_push push = {.m = (uint32_t)d.m, .n = (uint32_t)d.n, .k = (uint32_t)d.k, .has = MATMUL_HAS_C};
  if (slices == 1)
    push = vkd__matmul_push(l, node);
  else
    push.c = vkd__scratch(l, 0, bytes, true);
  push.a = a;
  push.b = b;
  first.spec[first.spec_count++] = slices == 1 ? vkd__matmul_ending(l) : MATMUL_PLAIN;
  first.push = &push;
  first.push_size = sizeof push;
  first.groups[0] = tiles;
  first.groups[2] = slices;
  vkd__dispatch(l, &first);
  if (slices == 1) return;
  push = vkd__matmul_push(l, node);
  push.a = vkd__scratch(l, 0, bytes, false);
  push.k = slices;
  uint32_t lanes = vkd__wg_items(l);
  vkd__dispatch(l, &(struct vkd_dispatch){.kernel = ROUNDED(l, matmul_sum),
                                          .push = &push,
                                          .push_size = sizeof push,
                                          .spec = {lanes, vkd__matmul_ending(l)},
                                          .spec_count = 2,
                                          .groups = {vkd__groups((uint64_t)d.m * (uint64_t)d.n, lanes)}});
}
