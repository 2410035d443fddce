// The forward graph of the cross-attention DiT.  Steps are numbered as in the description of Wan2.1's forward pass:
// 1 tokens, 2 time, 3 context, 4 blocks, 5 head.
#include <math.h>
#include <stdlib.h>

#include "dit_internal.h"

struct build {
  struct vkd_graph *g;
  const struct dit_config *c;
  const vkd_tensor *params;
  vkd_tensor rope; // [n, head_dim / 2, 2]
  int64_t batch, tokens;
};

static vkd_tensor outer(const struct build *b, enum dit_outer_row row) { return b->params[row]; }
static vkd_tensor block_row(const struct build *b, int block, int row) {
  return b->params[dit_block_param(block, (enum dit_block_row)row)];
}

// (cos, sin) of every pair of a head vector: pairs of the frame axis first, then rows, then columns; each axis has its
// own frequency ladder.  Public code computes them in double.
static vkd_tensor rope_table(struct vkd_graph *g, const struct dit_config *c) {
  int hd = c->dim / c->heads, third = hd / 6;
  const int size[3] = {hd - 4 * third, 2 * third, 2 * third};
  int grid[3];
  for (int a = 0; a < 3; a++) grid[a] = c->latent[a] / c->patch[a];
  int64_t n = dit_tokens(c);
  float *table = malloc((size_t)n * (size_t)hd * sizeof *table), *at = table;
  if (!table) return (vkd_tensor){0};
  for (int64_t token = 0; token < n; token++) {
    const int64_t pos[3] = {token / (grid[1] * grid[2]), token / grid[2] % grid[1], token % grid[2]};
    for (int a = 0; a < 3; a++)
      for (int j = 0; j < size[a] / 2; j++) {
        double angle = (double)pos[a] * pow(10000.0, -2.0 * j / size[a]);
        *at++ = (float)cos(angle);
        *at++ = (float)sin(angle);
      }
  }
  vkd_tensor t = vkd_constant(g, "rope", VKD_F32, VKD_SHAPE(n, hd / 2, 2), table);
  free(table);
  return t;
}

// x [.., in] -> [.., out] with the weight at `row` and the bias in the row after it
static vkd_tensor block_linear(const struct build *b, int block, int row, vkd_tensor x) {
  return vkd_linear(b->g, x, block_row(b, block, row), block_row(b, block, row + 1));
}

// The same plus `residual`
static vkd_tensor block_linear_add(const struct build *b, int block, int row, vkd_tensor x, vkd_tensor residual) {
  return vkd_matmul(b->g, x, block_row(b, block, row), false, true, block_row(b, block, row + 1), residual);
}

// Queries from x [B, n, d], keys and values from kv [B, m, d]; the projection out is the caller's.
static vkd_tensor attention(const struct build *b, int block, bool cross, vkd_tensor x, vkd_tensor kv) {
  const struct dit_config *c = b->c;
  int first = cross ? DIT_CROSS_Q_W : DIT_SELF_Q_W;
  int to_k = DIT_SELF_K_W - DIT_SELF_Q_W, to_v = DIT_SELF_V_W - DIT_SELF_Q_W;
  int norm_q = DIT_SELF_NORM_Q - DIT_SELF_Q_W, norm_k = DIT_SELF_NORM_K - DIT_SELF_Q_W;
  vkd_tensor rope = cross ? (vkd_tensor){0} : b->rope;
  vkd_tensor q = block_linear(b, block, first, x);
  vkd_tensor k = block_linear(b, block, first + to_k, kv);
  vkd_tensor v = block_linear(b, block, first + to_v, kv);
  q = vkd_rmsnorm_rope(b->g, q, block_row(b, block, first + norm_q), rope, c->heads, c->eps);
  k = vkd_rmsnorm_rope(b->g, k, block_row(b, block, first + norm_k), rope, c->heads, c->eps);
  return vkd_attention(b->g, q, k, v, c->heads, (float)(1 / sqrt((double)c->dim / c->heads)));
}

static vkd_tensor chunk(const struct build *b, vkd_tensor mod, int index) {
  return vkd_reshape(b->g, vkd_slice(b->g, mod, index, 1), VKD_SHAPE(b->batch, b->c->dim));
}

static vkd_tensor block(const struct build *b, int i, vkd_tensor z, vkd_tensor e6, vkd_tensor context) {
  struct vkd_graph *g = b->g;
  float eps = b->c->eps;
  // chunks: shift1, scale1, gate1, shift2, scale2, gate2
  vkd_tensor table = vkd_reshape(g, block_row(b, i, DIT_MOD), VKD_SHAPE(6, b->c->dim));
  vkd_tensor mod = vkd_modulation(g, e6, table);
  vkd_graph_label_push(g, "self_attn");
  vkd_tensor y = vkd_layernorm(g, z, chunk(b, mod, 1), chunk(b, mod, 0), eps, true);
  y = block_linear(b, i, DIT_SELF_O_W, attention(b, i, false, y, y));
  z = vkd_gate_add(g, z, y, chunk(b, mod, 2));
  vkd_graph_label_pop(g);
  vkd_graph_label_push(g, "cross_attn"); // neither gate nor modulation
  y = vkd_layernorm(g, z, block_row(b, i, DIT_NORM3_W), block_row(b, i, DIT_NORM3_B), eps, false);
  z = block_linear_add(b, i, DIT_CROSS_O_W, attention(b, i, true, y, context), z);
  vkd_graph_label_pop(g);
  vkd_graph_label_push(g, "ffn");
  y = vkd_layernorm(g, z, chunk(b, mod, 4), chunk(b, mod, 3), eps, true);
  y = block_linear(b, i, DIT_FFN2_W, vkd_gelu(g, block_linear(b, i, DIT_FFN0_W, y)));
  z = vkd_gate_add(g, z, y, chunk(b, mod, 5));
  vkd_graph_label_pop(g);
  return z;
}

vkd_tensor dit_class_context(struct vkd_graph *g, const struct dit_config *c, const vkd_tensor *params,
                             vkd_tensor labels) {
  vkd_graph_label_push(g, "class_embedding");
  vkd_tensor rows = vkd_embed(g, params[dit_class_param(c)], labels);
  int64_t batch = vkd_tensor_shape(g, labels).dim[0];
  vkd_tensor context = vkd_reshape(g, rows, VKD_SHAPE(batch, 1, c->text_dim));
  vkd_graph_label_pop(g);
  return context;
}

vkd_tensor dit_forward(struct vkd_graph *g, const struct dit_config *c, const vkd_tensor *params, vkd_tensor x,
                       vkd_tensor s, vkd_tensor context) {
  struct build b = {.g = g, .c = c, .params = params, .tokens = dit_tokens(c), .batch = vkd_tensor_shape(g, x).dim[0]};
  b.rope = rope_table(g, c);
  int64_t patch_volume = (int64_t)c->patch[0] * c->patch[1] * c->patch[2] * c->in_channels;

  vkd_graph_label_push(g, "patch_embedding");
  vkd_tensor kernel = vkd_reshape(g, outer(&b, DIT_PATCH_W), VKD_SHAPE(c->dim, patch_volume));
  vkd_tensor z = vkd_linear(g, vkd_patchify(g, x, c->patch, false), kernel, outer(&b, DIT_PATCH_B));
  vkd_graph_label_pop(g);

  vkd_graph_label_push(g, "time");
  vkd_tensor e = vkd_silu(g, vkd_linear(g, s, outer(&b, DIT_TIME0_W), outer(&b, DIT_TIME0_B)));
  e = vkd_linear(g, e, outer(&b, DIT_TIME2_W), outer(&b, DIT_TIME2_B));
  vkd_tensor e6 = vkd_linear(g, vkd_silu(g, e), outer(&b, DIT_TIME_PROJ_W), outer(&b, DIT_TIME_PROJ_B));
  vkd_graph_label_pop(g);

  vkd_graph_label_push(g, "text_embedding");
  vkd_tensor t = vkd_gelu(g, vkd_linear(g, context, outer(&b, DIT_TEXT0_W), outer(&b, DIT_TEXT0_B)));
  t = vkd_linear(g, t, outer(&b, DIT_TEXT2_W), outer(&b, DIT_TEXT2_B));
  vkd_graph_label_pop(g);

  for (int i = 0; i < c->depth; i++) {
    vkd_graph_label_push(g, "block%d", i);
    z = block(&b, i, z, e6, t);
    vkd_graph_label_pop(g);
  }

  vkd_graph_label_push(g, "head");
  vkd_tensor table = vkd_reshape(g, outer(&b, DIT_HEAD_MOD), VKD_SHAPE(2, c->dim));
  vkd_tensor mod = vkd_modulation(g, e, table); // shift, scale: both from the same e
  vkd_tensor y = vkd_layernorm(g, z, chunk(&b, mod, 1), chunk(&b, mod, 0), c->eps, true);
  y = vkd_linear(g, y, outer(&b, DIT_HEAD_W), outer(&b, DIT_HEAD_B));
  vkd_tensor out = vkd_unpatchify(g, y, VKD_SHAPE(b.batch, c->out_channels, c->latent[0], c->latent[1], c->latent[2]),
                                  c->patch, true);
  vkd_graph_label_pop(g);
  return out;
}
