// matmul.comp: tiles in shared memory, of three sizes; the smallest runs everywhere.
#include "matmul_split.h"

struct tile {
  uint32_t rows, cols, step, side_r, side_c, unroll;
};
// Work of a lane per value read from shared memory grows with the sides, work to share among workgroups shrinks with
// the tile.
static const struct tile tile128 = {128, 128, 8, 8, 8, 4}, tile64 = {64, 64, 16, 8, 4, 4},
                         tile32 = {32, 32, 16, 4, 4, 4};

static uint32_t lanes_of(const struct tile *t) { return t->rows / t->side_r * (t->cols / t->side_c); }
static uint32_t shared_of(const struct tile *t) { // as matmul.comp has them
  return (uint32_t)sizeof(float) * 2 * t->step * (t->rows + 4 + t->cols + 4);
}

static uint64_t tiles_of(const struct tile *t, const struct matmul_dims *d) {
  return vkd__groups((uint64_t)d->m, t->rows) * vkd__groups((uint64_t)d->n, t->cols);
}
static uint32_t slices_of(const struct tile *t, const struct matmul_dims *d) {
  return vkd__matmul_slices(tiles_of(t, d), d->k, t->step);
}

static enum vkd_form_rank rank(const struct tile *t, const struct vkd_device_caps *caps, const struct vkd_graph *g,
                               const struct vkd_node *node) {
  struct matmul_dims d = vkd__matmul_dims(g, node);
  if (lanes_of(t) > vkd__max_lanes(caps) || shared_of(t) > caps->max_shared_bytes) return VKD_FORM_NEVER;
  if (caps->kind == VKD_DEVICE_SOFTWARE) return VKD_FORM_SLOW; // seconds of compiling for no gain
  // with fewer workgroups most of a large GPU would idle; a half of them is better spent on larger tiles
  return tiles_of(t, &d) * slices_of(t, &d) >= VKD_MATMUL_GROUPS / 2 ? VKD_FORM_BEST : VKD_FORM_SLOW;
}

static uint64_t scratch(const struct tile *t, const struct vkd_graph *g, const struct vkd_node *node) {
  struct matmul_dims d = vkd__matmul_dims(g, node);
  return vkd__matmul_split_scratch(&d, slices_of(t, &d));
}

static void lower(const struct tile *t, struct vkd_lower *l, const struct vkd_node *node) {
  const struct vkd_graph *g = vkd__lower_graph(l);
  struct matmul_dims d = vkd__matmul_dims(g, node);
  enum vkd_dtype dtype = vkd__matmul_dtype(g, node);
  bool ta = node->p.matmul.ta, tb = node->p.matmul.tb;
  uint64_t a = vkd__read(l, node->in[0]), b = vkd__read(l, node->in[1]), quad = 4 * vkd_dtype_bytes(dtype);
  bool vec_a = a % quad == 0 && (ta ? d.m : d.k) % 4 == 0, vec_b = b % quad == 0 && (tb ? d.k : d.n) % 4 == 0;
  uint32_t unroll = vkd__lower_caps(l)->kind == VKD_DEVICE_SOFTWARE ? 1 : t->unroll;
  struct vkd_dispatch kernel = {
      .kernel = KERNEL_OF(dtype, matmul),
      .spec = {lanes_of(t), ta, tb, t->rows, t->cols, t->step, t->side_r, t->side_c, vec_a, vec_b, unroll},
      .spec_count = 11};
  vkd__matmul_dispatch(l, node, a, b, &kernel, tiles_of(t, &d), slices_of(t, &d));
}

#define TILE(name)                                                                                                     \
  enum vkd_form_rank matmul_##name##_rank(const struct vkd_device_caps *caps, const struct vkd_graph *g,               \
                                          const struct vkd_node *node) {                                               \
    return rank(&name, caps, g, node);                                                                                 \
  }                                                                                                                    \
  uint64_t matmul_##name##_scratch(const struct vkd_device_caps *caps, const struct vkd_graph *g,                      \
                                   const struct vkd_node *node) {                                                      \
    (void)caps;                                                                                                        \
    return scratch(&name, g, node);                                                                                    \
  }                                                                                                                    \
  void matmul_##name##_lower(struct vkd_lower *l, const struct vkd_node *node) { lower(&name, l, node); }
TILE(tile128)
TILE(tile64)

enum vkd_form_rank matmul_tile_rank(const struct vkd_device_caps *caps, const struct vkd_graph *g,
                                    const struct vkd_node *node) {
  (void)caps, (void)g, (void)node;
  return VKD_FORM_FITS;
}
uint64_t matmul_tile_scratch(const struct vkd_device_caps *caps, const struct vkd_graph *g,
                             const struct vkd_node *node) {
  (void)caps;
  return scratch(&tile32, g, node);
}
void matmul_tile_lower(struct vkd_lower *l, const struct vkd_node *node) { lower(&tile32, l, node); }
