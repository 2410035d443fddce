// The forward graph of the class-conditional DiT: an image's tokens with a fixed position table, and blocks whose norms
// are modulated by timestep and label (adaLN-Zero).
#include <stdlib.h>

#include "dit_internal.h"

#define DIT_ROWS_FILE "class_dit_params.def"
#define ROW(id, meta, diffusers, init, ...)                                                                            \
  {{[DIT_NAMING_META] = meta, [DIT_NAMING_DIFFUSERS] = diffusers}, DIT_INIT_##init, 0.02f, {DIMS(__VA_ARGS__)}},
#include "dit_rows.h"

// What lies between the stages.
enum { Z, CONDITION, HIDDEN };
_Static_assert((int)HIDDEN <= (int)DIT_HIDDEN, "a stage passes on what fits");

// The position table once per sample: [B, n, d]
static vkd_tensor positions(const struct dit_build *b) {
  int64_t n = b->tokens, rows = b->batch * n;
  int32_t *index = malloc((size_t)rows * sizeof *index);
  if (!index) return (vkd_tensor){0};
  for (int64_t i = 0; i < rows; i++) index[i] = (int32_t)(i % n);
  vkd_tensor which = vkd_constant(b->g, "token", VKD_I32, VKD_SHAPE(rows), index);
  free(index);
  vkd_tensor table = vkd_reshape(b->g, b->params[POSITION], VKD_SHAPE(n, b->c->dim));
  return vkd_reshape(b->g, vkd_embed(b->g, table, which), VKD_SHAPE(b->batch, n, b->c->dim));
}

static void begin(const struct dit_build *b, const struct dit_inputs *in, struct dit_hidden *h) {
  struct vkd_graph *g = b->g;
  vkd_graph_label_push(g, "patch_embedding");
  h->t[Z] = dit_patches(b, PATCH_W, in->x, positions(b));
  vkd_graph_label_pop(g);
  vkd_graph_label_push(g, "time");
  vkd_tensor t = dit_time_mlp(b, TIME0_W, TIME2_W, in->s);
  vkd_graph_label_pop(g);
  vkd_graph_label_push(g, "class_embedding");
  h->t[CONDITION] = vkd_silu(g, vkd_add(g, t, vkd_embed(g, b->params[CLASSES], in->labels)));
  vkd_graph_label_pop(g);
  h->count = HIDDEN;
}

static void block_forward(const struct dit_build *b, int block, struct dit_hidden *h) {
  struct vkd_graph *g = b->g;
  int row = dit_block_param(b->c, block, 0);
  int64_t d = b->c->dim;
  vkd_tensor z = h->t[Z], qkv[3];
  // chunks: shift1, scale1, gate1, shift2, scale2, gate2
  vkd_tensor mod = dit_linear_chunks(b, row + MOD_W, h->t[CONDITION]);
  vkd_graph_label_push(g, "self_attn");
  vkd_tensor y = vkd_layernorm(g, z, dit_chunk(b, mod, 1), dit_chunk(b, mod, 0), b->c->eps, true);
  for (int i = 0; i < 3; i++) qkv[i] = dit_linear_part(b, row + QKV_W, i * d, d, y);
  y = dit_linear(b, row + OUT_W, dit_attention(b, qkv[0], qkv[1], qkv[2]));
  z = vkd_gate_add(g, z, y, dit_chunk(b, mod, 2));
  vkd_graph_label_pop(g);
  vkd_graph_label_push(g, "ffn");
  y = vkd_layernorm(g, z, dit_chunk(b, mod, 4), dit_chunk(b, mod, 3), b->c->eps, true);
  y = dit_linear(b, row + FC2_W, vkd_gelu(g, dit_linear(b, row + FC1_W, y)));
  h->t[Z] = vkd_gate_add(g, z, y, dit_chunk(b, mod, 5));
  vkd_graph_label_pop(g);
}

static vkd_tensor end(const struct dit_build *b, const struct dit_hidden *h) {
  vkd_tensor mod = dit_linear_chunks(b, FINAL_MOD_W, h->t[CONDITION]); // shift, scale
  vkd_tensor y = vkd_layernorm(b->g, h->t[Z], dit_chunk(b, mod, 1), dit_chunk(b, mod, 0), b->c->eps, true);
  return dit_unpatch(b, dit_linear(b, FINAL_W, y));
}

static enum vkd_status check(const struct dit_config *c, struct vkd_error *err) {
  if (c->class_rows < 1 || c->class_rows > 1 << 20)
    return vkd_fail(err, VKD_ERR_INPUT, "model: a class table of %d rows (it must be 1 to %d)", c->class_rows, 1 << 20);
  if (c->latent[0] != 1 || c->patch[0] != 1)
    return vkd_fail(err, VKD_ERR_INPUT, "model.family dit makes images: the data have %d latent frames, not 1",
                    c->latent[0]);
  if (c->dim % 4)
    return vkd_fail(err, VKD_ERR_INPUT, "model.dim %d: the position table of family dit wants a multiple of 4", c->dim);
  return VKD_OK;
}

// Projections 8 d^2, attention 4 n d, MLP 4 d ffn; the modulation's 12 d^2 is per sample.
static double token_flops(const struct dit_config *c) {
  double d = c->dim;
  return 8 * d * d + 4 * d * c->ffn + 4 * (double)dit_tokens(c) * d;
}

// Of the four channels that the public models have, their code guides three, and no variances.
static int guided_channels(const struct dit_config *c) { return c->in_channels == 4 ? 3 : c->in_channels; }

const struct dit_family_row dit_class_family = {.name = "dit",
                                                .native = DIT_NAMING_META,
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
