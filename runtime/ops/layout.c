// Layout: concatenation, patches.
#include "push_layout.h"
#include "support.h"

#include <string.h>

// ---- concat --------------------------------------------------------------------------------------------------------
vkd_tensor vkd_concat(struct vkd_graph *g, const vkd_tensor *x, int n) {
  struct vkd_node node = {.op = VKD_OP_concat, .nin = n};
  if (n < 1 || n > VKD_MAX_IN) {
    vkd__graph_fail(g, VKD_ERR_SHAPE, "concat: %d parts, not 1 to %d", n, VKD_MAX_IN);
    return (vkd_tensor){0};
  }
  for (int i = 0; i < n; i++) {
    if (!vkd_some(x[i])) vkd__graph_fail(g, VKD_ERR_SHAPE, "concat: part %d is not a tensor", i);
    node.in[i] = x[i];
  }
  return vkd__graph_add(g, &node, NULL);
}
void concat_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)dtype;
  if (!vkd__check_f32(g, node)) return;
  struct vkd_shape first = vkd__shape(g, node->in[0]), sum = first;
  for (int i = 1; i < node->nin; i++) {
    struct vkd_shape part = vkd__shape(g, node->in[i]);
    sum.dim[0] += part.dim[0];
    part.dim[0] = first.dim[0];
    if (!vkd_shape_equal(&part, &first)) {
      vkd__graph_fail(g, VKD_ERR_SHAPE, "concat: part %d %s differs from part 0 %s in more than the leading dimension",
                      i, vkd__shape_text(g, node->in[i]).s, vkd__shape_text(g, node->in[0]).s);
      return;
    }
  }
  shape[0] = sum;
}
ROW_NO_FLOPS(concat)
ROW_IO_BYTES(concat)
void concat_backward(struct vkd_graph *g, const struct vkd_node *node, const vkd_tensor *dout, vkd_tensor *din) {
  int64_t at = 0;
  for (int i = 0; i < node->nin; i++) {
    int64_t count = vkd__shape(g, node->in[i]).dim[0];
    if (vkd__wants_grad(g, node->in[i])) din[i] = vkd_slice(g, dout[0], at, count);
    at += count;
  }
}
void concat_lower(struct vkd_lower *l, const struct vkd_node *node) {
  const struct vkd_graph *g = vkd__lower_graph(l);
  uint64_t offset = 0;
  for (int i = 0; i < node->nin; i++) {
    int64_t n = vkd__numel(g, node->in[i]);
    uint64_t bytes = (uint64_t)n * 4;
    if (!vkd__placed_in(l, node->in[i], node->out[0], offset))
      vkd__dispatch_copy(l, vkd__write_part(l, node->out[0], offset, bytes), vkd__read(l, node->in[i]), n);
    offset += bytes;
  }
}
void concat_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  int64_t at = 0;
  for (int i = 0; i < node->nin; i++) {
    int64_t n = vkd__numel(g, node->in[i]);
    memcpy(out[0] + at, in[i], (size_t)n * sizeof(double));
    at += n;
  }
}

// ---- patchify: p.patchify; inverse: tokens to latent ---------------------------------------------------------------
struct patch_grid {
  int64_t b, c, f, h, w, pt, ph, pw, vector;
};
static struct patch_grid grid_of(const struct vkd_node *node) {
  const int64_t *dim = node->p.patchify.latent.dim;
  const int *patch = node->p.patchify.patch;
  struct patch_grid q = {.b = dim[0], .c = dim[1], .pt = patch[0], .ph = patch[1], .pw = patch[2]};
  q.f = dim[2] / q.pt;
  q.h = dim[3] / q.ph;
  q.w = dim[4] / q.pw;
  q.vector = q.c * q.pt * q.ph * q.pw;
  return q;
}

static vkd_tensor patchify(struct vkd_graph *g, vkd_tensor x, struct vkd_shape latent, const int patch[3],
                           bool channel_last, bool inverse) {
  struct vkd_node node = {.op = VKD_OP_patchify, .nin = 1, .in = {x}};
  node.p.patchify.latent = latent;
  node.p.patchify.channel_last = channel_last;
  node.p.patchify.inverse = inverse;
  memcpy(node.p.patchify.patch, patch, sizeof node.p.patchify.patch);
  return vkd__graph_add(g, &node, NULL);
}
vkd_tensor vkd_patchify(struct vkd_graph *g, vkd_tensor x, const int patch[3], bool channel_last) {
  return patchify(g, x, vkd__shape(g, x), patch, channel_last, false);
}
vkd_tensor vkd_unpatchify(struct vkd_graph *g, vkd_tensor tokens, struct vkd_shape latent, const int patch[3],
                          bool channel_last) {
  return patchify(g, tokens, latent, patch, channel_last, true);
}
void patchify_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)dtype;
  const struct vkd_shape *latent = &node->p.patchify.latent;
  if (!vkd__check_f32(g, node)) return;
  for (int i = 0; i < 3; i++)
    if (latent->rank != 5 || node->p.patchify.patch[i] < 1 || latent->dim[2 + i] % node->p.patchify.patch[i] != 0) {
      vkd__graph_fail(g, VKD_ERR_SHAPE, "patchify: a latent [B, C, T, H, W] of whole patches of %d x %d x %d is wanted",
                      node->p.patchify.patch[0], node->p.patchify.patch[1], node->p.patchify.patch[2]);
      return;
    }
  struct patch_grid q = grid_of(node);
  struct vkd_shape tokens = VKD_SHAPE(q.b, q.f * q.h * q.w, q.vector), x = vkd__shape(g, node->in[0]);
  if (node->p.patchify.inverse && !vkd_shape_equal(&x, &tokens))
    vkd__graph_fail(g, VKD_ERR_SHAPE, "unpatchify: tokens %s must be [%lld, %lld, %lld]",
                    vkd__shape_text(g, node->in[0]).s, (long long)tokens.dim[0], (long long)tokens.dim[1],
                    (long long)tokens.dim[2]);
  shape[0] = node->p.patchify.inverse ? *latent : tokens;
}
ROW_NO_FLOPS(patchify)
ROW_IO_BYTES(patchify)
void patchify_backward(struct vkd_graph *g, const struct vkd_node *node, const vkd_tensor *dout, vkd_tensor *din) {
  din[0] = patchify(g, dout[0], node->p.patchify.latent, node->p.patchify.patch, node->p.patchify.channel_last,
                    !node->p.patchify.inverse);
}
void patchify_lower(struct vkd_lower *l, const struct vkd_node *node) {
  struct patch_grid q = grid_of(node);
  bool inverse = node->p.patchify.inverse;
  uint64_t in = vkd__read(l, node->in[0]), out = vkd__write(l, node->out[0]);
  struct patchify_push push = {.latent = inverse ? out : in,
                               .tokens = inverse ? in : out,
                               .count = (uint32_t)(q.b * q.f * q.h * q.w),
                               .f = (uint32_t)q.f,
                               .h = (uint32_t)q.h,
                               .w = (uint32_t)q.w};
  vkd__dispatch(l, &(struct vkd_dispatch){.kernel = inverse ? VKD_K_unpatchify : VKD_K_patchify,
                                          .push = &push,
                                          .push_size = sizeof push,
                                          .spec = {vkd__wg_row(l, q.vector), (uint32_t)q.pt, (uint32_t)q.ph,
                                                   (uint32_t)q.pw, (uint32_t)q.c, node->p.patchify.channel_last},
                                          .spec_count = 6,
                                          .groups = {push.count}});
}
void patchify_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  (void)g;
  struct patch_grid q = grid_of(node);
  int64_t patches = q.f * q.h * q.w, cells = q.pt * q.ph * q.pw;
  int64_t T = q.f * q.pt, H = q.h * q.ph, W = q.w * q.pw;
  for (int64_t b = 0; b < q.b; b++)
    for (int64_t c = 0; c < q.c; c++)
      for (int64_t t = 0; t < T; t++)
        for (int64_t y = 0; y < H; y++)
          for (int64_t x = 0; x < W; x++) {
            int64_t token = (t / q.pt * q.h + y / q.ph) * q.w + x / q.pw;
            int64_t cell = (t % q.pt * q.ph + y % q.ph) * q.pw + x % q.pw;
            int64_t element = node->p.patchify.channel_last ? cell * q.c + c : c * cells + cell;
            int64_t in_tokens = (b * patches + token) * q.vector + element;
            int64_t in_latent = (((b * q.c + c) * T + t) * H + y) * W + x;
            if (node->p.patchify.inverse)
              out[0][in_latent] = in[0][in_tokens];
            else
              out[0][in_tokens] = in[0][in_latent];
          }
}
