// The forward graph of the cross-attention DiT.  Steps are numbered as in the description of Wan2.1's forward pass:
// 1 tokens, 2 time, 3 context, 4 blocks, 5 head.
#include <math.h>
#include <stdlib.h>

#include "dit_internal.h"

#define DIT_ROWS_FILE "cross_dit_params.def"
#define ROW(id, wan, diffusers, init, scale, ...)                                                                      \
  {{[DIT_NAMING_WAN] = wan, [DIT_NAMING_DIFFUSERS] = diffusers}, DIT_INIT_##init, scale, {DIMS(__VA_ARGS__)}},
#include "dit_rows.h"

// What lies between the stages.
enum { Z, E, E6, CONTEXT, ROPE, HIDDEN };
_Static_assert((int)HIDDEN <= (int)DIT_HIDDEN, "a stage passes on what fits");

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

// Queries from x [B, n, d], keys and values from kv [B, m, d]; the projection out is the caller's.  first: the block's
// row of the query's weight
static vkd_tensor attention(const struct dit_build *b, int first, vkd_tensor rope, vkd_tensor x, vkd_tensor kv) {
  enum { K = SELF_K_W - SELF_Q_W, V = SELF_V_W - SELF_Q_W, NORM_Q = SELF_NORM_Q - SELF_Q_W };
  enum { NORM_K = SELF_NORM_K - SELF_Q_W };
  int heads = b->c->heads;
  vkd_tensor q = dit_linear(b, first, x), k = dit_linear(b, first + K, kv), v = dit_linear(b, first + V, kv);
  q = vkd_rmsnorm_rope(b->g, q, b->params[first + NORM_Q], rope, heads, b->c->eps);
  k = vkd_rmsnorm_rope(b->g, k, b->params[first + NORM_K], rope, heads, b->c->eps);
  return dit_attention(b, q, k, v);
}

static void block_forward(const struct dit_build *b, int block, struct dit_hidden *h) {
  struct vkd_graph *g = b->g;
  float eps = b->c->eps;
  int row = dit_block_param(b->c, block, 0);
  vkd_tensor z = h->t[Z];
  // chunks: shift1, scale1, gate1, shift2, scale2, gate2
  vkd_tensor table = vkd_reshape(g, b->params[row + MOD], VKD_SHAPE(6, b->c->dim));
  vkd_tensor mod = vkd_modulation(g, h->t[E6], table);
  vkd_graph_label_push(g, "self_attn");
  vkd_tensor y = vkd_layernorm(g, z, dit_chunk(b, mod, 1), dit_chunk(b, mod, 0), eps, true);
  y = dit_linear(b, row + SELF_O_W, attention(b, row + SELF_Q_W, h->t[ROPE], y, y));
  z = vkd_gate_add(g, z, y, dit_chunk(b, mod, 2));
  vkd_graph_label_pop(g);
  vkd_graph_label_push(g, "cross_attn"); // neither gate nor modulation
  y = vkd_layernorm(g, z, b->params[row + NORM3_W], b->params[row + NORM3_B], eps, false);
  y = attention(b, row + CROSS_Q_W, (vkd_tensor){0}, y, h->t[CONTEXT]);
  z = dit_linear_add(b, row + CROSS_O_W, y, z);
  vkd_graph_label_pop(g);
  vkd_graph_label_push(g, "ffn");
  y = vkd_layernorm(g, z, dit_chunk(b, mod, 4), dit_chunk(b, mod, 3), eps, true);
  y = dit_linear(b, row + FFN2_W, vkd_gelu(g, dit_linear(b, row + FFN0_W, y)));
  h->t[Z] = vkd_gate_add(g, z, y, dit_chunk(b, mod, 5));
  vkd_graph_label_pop(g);
}

// The context [B, text_len, text_dim]: text, or one row of the class table.
static vkd_tensor context_of(const struct dit_build *b, const struct dit_inputs *in) {
  if (!b->c->class_rows) return in->text;
  vkd_graph_label_push(b->g, "class_embedding");
  vkd_tensor rows = vkd_embed(b->g, b->params[dit_class_param(b->c)], in->labels);
  rows = vkd_reshape(b->g, rows, VKD_SHAPE(b->batch, 1, b->c->text_dim));
  vkd_graph_label_pop(b->g);
  return rows;
}

static void begin(const struct dit_build *b, const struct dit_inputs *in, struct dit_hidden *h) {
  struct vkd_graph *g = b->g;
  vkd_tensor context = context_of(b, in);
  vkd_graph_label_push(g, "patch_embedding");
  h->t[Z] = dit_patches(b, PATCH_W, in->x, (vkd_tensor){0});
  vkd_graph_label_pop(g);
  vkd_graph_label_push(g, "time");
  h->t[E] = dit_time_mlp(b, TIME0_W, TIME2_W, in->s);
  h->t[E6] = dit_linear(b, TIME_PROJ_W, vkd_silu(g, h->t[E]));
  vkd_graph_label_pop(g);
  vkd_graph_label_push(g, "text_embedding");
  h->t[CONTEXT] = dit_linear(b, TEXT2_W, vkd_gelu(g, dit_linear(b, TEXT0_W, context)));
  vkd_graph_label_pop(g);
  h->t[ROPE] = rope_table(g, b->c);
  h->count = HIDDEN;
}

static vkd_tensor end(const struct dit_build *b, const struct dit_hidden *h) {
  vkd_tensor table = vkd_reshape(b->g, b->params[HEAD_MOD], VKD_SHAPE(2, b->c->dim));
  vkd_tensor mod = vkd_modulation(b->g, h->t[E], table); // shift, scale: both from the same e
  vkd_tensor y = vkd_layernorm(b->g, h->t[Z], dit_chunk(b, mod, 1), dit_chunk(b, mod, 0), b->c->eps, true);
  return dit_unpatch(b, dit_linear(b, HEAD_W, y));
}

static enum vkd_status check(const struct dit_config *c, struct vkd_error *err) {
  const int sizes[] = {c->text_dim, c->text_len};
  for (int i = 0; i < 2; i++)
    if (sizes[i] < 1 || sizes[i] > 1 << 20)
      return vkd_fail(err, VKD_ERR_INPUT, "model: a text %s of %d (it must be 1 to %d)", i ? "length" : "width",
                      sizes[i], 1 << 20);
  return VKD_OK;
}

// The paper's count, 28 d^2 + 4 n d where ffn = 4 dim: the text's own projections are left out.
static double token_flops(const struct dit_config *c) {
  double d = c->dim;
  return 12 * d * d + 4 * d * c->ffn + 4 * (double)dit_tokens(c) * d;
}

static int guided_channels(const struct dit_config *c) { return c->in_channels; } // all but learned variances

const struct dit_family_row dit_cross_family = {.name = "cross_dit",
                                                .native = DIT_NAMING_WAN,
                                                .outer = outer_rows,
                                                .block = block_rows,
                                                .outer_rows = OUTER_ROWS,
                                                .block_rows = BLOCK_ROWS,
                                                .check = check,
                                                .token_flops = token_flops,
                                                .guided_channels = guided_channels,
                                                .begin = begin,
                                                .block_forward = block_forward,
                                                .end = end};
