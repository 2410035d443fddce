// Layers that the families share.
#include <math.h>

#include "dit_internal.h"

vkd_tensor dit_linear(const struct dit_build *b, int row, vkd_tensor x) {
  return vkd_linear(b->g, x, b->params[row], b->params[row + 1]);
}

vkd_tensor dit_linear_add(const struct dit_build *b, int row, vkd_tensor x, vkd_tensor residual) {
  return vkd_matmul(b->g, x, b->params[row], false, true, b->params[row + 1], residual);
}

vkd_tensor dit_linear_part(const struct dit_build *b, int row, int64_t first, int64_t count, vkd_tensor x) {
  return vkd_linear(b->g, x, vkd_slice(b->g, b->params[row], first, count),
                    vkd_slice(b->g, b->params[row + 1], first, count));
}

vkd_tensor dit_linear_chunks(const struct dit_build *b, int row, vkd_tensor x) {
  int64_t d = b->c->dim, k = vkd_tensor_shape(b->g, b->params[row + 1]).dim[0] / d;
  vkd_tensor e = vkd_linear(b->g, x, b->params[row], (vkd_tensor){0});
  return vkd_modulation(b->g, e, vkd_reshape(b->g, b->params[row + 1], VKD_SHAPE(k, d)));
}

vkd_tensor dit_attention(const struct dit_build *b, vkd_tensor q, vkd_tensor k, vkd_tensor v) {
  return vkd_attention(b->g, q, k, v, b->c->heads, (float)(1 / sqrt((double)b->c->dim / b->c->heads)));
}

vkd_tensor dit_chunk(const struct dit_build *b, vkd_tensor mod, int index) {
  return vkd_reshape(b->g, vkd_slice(b->g, mod, index, 1), VKD_SHAPE(b->batch, b->c->dim));
}

vkd_tensor dit_patches(const struct dit_build *b, int row, vkd_tensor x, vkd_tensor residual) {
  const struct dit_config *c = b->c;
  int64_t volume = (int64_t)c->patch[0] * c->patch[1] * c->patch[2] * c->in_channels;
  vkd_tensor kernel = vkd_reshape(b->g, b->params[row], VKD_SHAPE(c->dim, volume));
  x = vkd_patchify(b->g, x, c->patch, false);
  return vkd_matmul(b->g, x, kernel, false, true, b->params[row + 1], residual);
}

vkd_tensor dit_unpatch(const struct dit_build *b, vkd_tensor tokens) {
  const struct dit_config *c = b->c;
  struct vkd_shape latent = VKD_SHAPE(b->batch, c->out_channels, c->latent[0], c->latent[1], c->latent[2]);
  return vkd_unpatchify(b->g, tokens, latent, c->patch, true);
}

vkd_tensor dit_time_mlp(const struct dit_build *b, int row, int row2, vkd_tensor s) {
  return dit_linear(b, row2, vkd_silu(b->g, dit_linear(b, row, s)));
}
