// Layers that the families share.
#include <math.h>
#include <stdlib.h>

#include "dit_internal.h"

// low * scale; low [B, ..., rank]
static vkd_tensor scaled(const struct dit_build *b, vkd_tensor low, float scale) {
  int64_t count = b->batch * b->c->lora.rank;
  float *values = malloc((size_t)count * sizeof *values);
  if (!values) return (vkd_tensor){0};
  for (int64_t i = 0; i < count; i++) values[i] = scale;
  vkd_tensor s = vkd_constant(b->g, "lora_scale", VKD_F32, VKD_SHAPE(b->batch, b->c->lora.rank), values);
  free(values);
  return vkd_row_scale(b->g, low, s);
}

// x Wᵀ + bias + residual
static vkd_tensor product(const struct dit_build *b, vkd_tensor x, vkd_tensor w, vkd_tensor bias, vkd_tensor residual) {
  return vkd_matmul(b->g, vkd_cast(b->g, x, b->operand), vkd_cast(b->g, w, b->operand), false, true, bias, residual);
}

// residual + alpha / rank (x Aᵀ) Bᵀ where the weight's part has an adapter; the large product adds it, so that no pass
// over its result is spent.
static vkd_tensor adapted(const struct dit_build *b, int row, int part, vkd_tensor x, vkd_tensor residual) {
  int a = dit_adapter_row(b->c, row, part), rank = b->c->lora.rank;
  if (a < 0) return residual;
  vkd_tensor low = product(b, x, b->params[a], (vkd_tensor){0}, (vkd_tensor){0});
  float scale = b->c->lora.alpha / (float)rank;
  if (scale != 1) low = scaled(b, low, scale);
  return product(b, low, b->params[a + 1], (vkd_tensor){0}, residual);
}

vkd_tensor dit_linear(const struct dit_build *b, int row, vkd_tensor x) {
  return dit_linear_add(b, row, x, (vkd_tensor){0});
}

vkd_tensor dit_linear_add(const struct dit_build *b, int row, vkd_tensor x, vkd_tensor residual) {
  return product(b, x, b->params[row], b->params[row + 1], adapted(b, row, 0, x, residual));
}

vkd_tensor dit_linear_part(const struct dit_build *b, int row, int64_t first, int64_t count, vkd_tensor x) {
  return product(b, x, vkd_slice(b->g, b->params[row], first, count), vkd_slice(b->g, b->params[row + 1], first, count),
                 adapted(b, row, (int)(first / count), x, (vkd_tensor){0}));
}

vkd_tensor dit_linear_chunks(const struct dit_build *b, int row, vkd_tensor x) {
  int64_t d = b->c->dim, k = vkd_tensor_shape(b->g, b->params[row + 1]).dim[0] / d;
  vkd_tensor e = product(b, x, b->params[row], (vkd_tensor){0}, adapted(b, row, 0, x, (vkd_tensor){0}));
  return vkd_modulation(b->g, e, vkd_reshape(b->g, b->params[row + 1], VKD_SHAPE(k, d)));
}

vkd_tensor dit_attention(const struct dit_build *b, vkd_tensor q, vkd_tensor k, vkd_tensor v) {
  return vkd_attention(b->g, vkd_cast(b->g, q, b->operand), vkd_cast(b->g, k, b->operand),
                       vkd_cast(b->g, v, b->operand), b->c->heads, (float)(1 / sqrt((double)b->c->dim / b->c->heads)));
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
