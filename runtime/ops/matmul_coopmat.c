// matmul_cm.comp: 16-bit operands by cooperative matrices, one subgroup to each of 2 x 2 blocks of `rows` x `cols` of
// them.
#include "matmul_split.h"

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

// Workgroups and what they take.
struct tiling {
  const struct vkd_coopmat *shape;
  uint32_t rows, cols; // of matrices in a block
  uint64_t tiles;
  uint32_t slices;
};
static struct tiling tiling_of(const struct vkd_device_caps *caps, const struct vkd_graph *g,
                               const struct vkd_node *node) {
  // most sums that a lane holds; fewest workgroups that large blocks are used for: estimates, measured on no GPU
  enum { SUMS = 128, GROUPS = 128 };
  struct matmul_dims d = vkd__matmul_dims(g, node);
  const struct vkd_coopmat *s = vkd__coopmat_for(caps, vkd__matmul_dtype(g, node));
  uint32_t step = s->k > 16 ? s->k : 32 / s->k * s->k;
  struct tiling t = {s, 8, 8, 0, 0};
  do {
    t.rows = t.cols = t.rows / 2;
    t.tiles = vkd__groups((uint64_t)d.m, 2 * t.rows * s->m) * vkd__groups((uint64_t)d.n, 2 * t.cols * s->n);
    t.slices = vkd__matmul_slices(t.tiles, d.k, step);
  } while (t.rows > 1 &&
           (vkd__coopmat_shared(s, t.rows, t.cols) > caps->max_shared_bytes ||
            t.rows * t.cols * s->m * s->n > SUMS * caps->subgroup_size || (t.rows > 2 && t.tiles * t.slices < GROUPS)));
  return t;
}

uint64_t matmul_coopmat_scratch(const struct vkd_device_caps *caps, const struct vkd_graph *g,
                                const struct vkd_node *node) {
  struct matmul_dims d = vkd__matmul_dims(g, node);
  return vkd__matmul_split_scratch(&d, tiling_of(caps, g, node).slices);
}

void matmul_coopmat_lower(struct vkd_lower *l, const struct vkd_node *node) {
  const struct vkd_device_caps *caps = vkd__lower_caps(l);
  const struct vkd_graph *g = vkd__lower_graph(l);
  struct matmul_dims d = vkd__matmul_dims(g, node);
  struct tiling t = tiling_of(caps, g, node);
  bool ta = node->p.matmul.ta, tb = node->p.matmul.tb;
  uint64_t a = vkd__read(l, node->in[0]), b = vkd__read(l, node->in[1]);
  bool vec_a = a % 16 == 0 && (ta ? d.m : d.k) % 8 == 0, vec_b = b % 16 == 0 && (tb ? d.k : d.n) % 8 == 0;
  struct vkd_dispatch kernel = {
      .kernel = kernel_of(vkd__matmul_dtype(g, node)),
      .spec = {4 * caps->subgroup_size, ta, tb, t.shape->m, t.shape->n, t.shape->k, t.rows, t.cols, vec_a, vec_b},
      .spec_count = 10};
  vkd__matmul_dispatch(l, node, a, b, &kernel, t.tiles, t.slices);
}
