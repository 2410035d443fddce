// What the model families share: the rows of their table, and their layers.
#ifndef VKDM_DIT_INTERNAL_H
#define VKDM_DIT_INTERNAL_H

#include "vkdm/dit.h"

// A graph under construction.
struct dit_build {
  struct vkd_graph *g;
  const struct dit_config *c;
  const vkd_tensor *params;
  int64_t batch, tokens;
  enum vkd_dtype operand; // what operands of products and attention are cast to
};

// Symbols for a parameter's dimensions; their values are in model/dit_params.c.
enum dit_dim {
  DIM_END,
  DIM_DIM,
  DIM_FFN,
  DIM_FREQ,
  DIM_TEXT,
  DIM_CIN,
  DIM_PT,
  DIM_PH,
  DIM_PW,
  DIM_HEAD,
  DIM_DIM2,
  DIM_DIM3,
  DIM_DIM6,
  DIM_ONE,
  DIM_TWO,
  DIM_SIX,
  DIM_TOKENS,
  DIM_CLASSES
};

// A row of a parameter table; "%d" in a name stands for the block.
struct dit_row {
  const char *name[DIT_NAMINGS]; // NULL: none in that naming
  enum dit_init init;
  float scale;
  unsigned char dims[VKD_MAX_DIMS];
};

#define DIMS_1(a) DIM_##a
#define DIMS_2(a, b) DIM_##a, DIM_##b
#define DIMS_3(a, b, c) DIM_##a, DIM_##b, DIM_##c
#define DIMS_4(a, b, c, d) DIM_##a, DIM_##b, DIM_##c, DIM_##d
#define DIMS_5(a, b, c, d, e) DIM_##a, DIM_##b, DIM_##c, DIM_##d, DIM_##e
#define DIMS_PICK(a, b, c, d, e, name, ...) name
#define DIMS(...) DIMS_PICK(__VA_ARGS__, DIMS_5, DIMS_4, DIMS_3, DIMS_2, DIMS_1, 0)(__VA_ARGS__)

// A model family.
struct dit_family_row {
  const char *name; // as model.family has it
  enum dit_naming native;
  const struct dit_row *outer, *block;
  int outer_rows, block_rows;
  enum vkd_status (*check)(const struct dit_config *c, struct vkd_error *err);
  double (*token_flops)(const struct dit_config *c); // of a token's forward pass through one block
  // Guidance moves the first so many channels of the output; the others are the conditional ones.
  int (*guided_channels)(const struct dit_config *c);
  void (*begin)(const struct dit_build *b, const struct dit_inputs *in, struct dit_hidden *h);
  void (*block_forward)(const struct dit_build *b, int block, struct dit_hidden *h);
  vkd_tensor (*end)(const struct dit_build *b, const struct dit_hidden *h);
};
extern const struct dit_family_row dit_cross_family, dit_class_family;
const struct dit_family_row *dit_family_of(const struct dit_config *c);

// Index of a row of dit_params(): outer rows, then block by block, then the class table where the family's table has
// none of its own.
static inline int dit_block_param(const struct dit_config *c, int block, int row) {
  const struct dit_family_row *f = dit_family_of(c);
  return f->outer_rows + block * f->block_rows + row;
}
static inline int dit_class_param(const struct dit_config *c) { return dit_block_param(c, c->depth, 0); }

// A row's name in a naming, "" where it has none; block: what "%d" stands for.
void dit_row_name(const struct dit_row *row, int naming, int block, char out[96]);
int64_t dit_dim(const struct dit_config *c, int dim); // the value of a symbol

// ---- layers: params index `row` is a weight, `row` + 1 its bias
// ------------------------------------------------------
vkd_tensor dit_linear(const struct dit_build *b, int row, vkd_tensor x); // x Wᵀ + bias
vkd_tensor dit_linear_add(const struct dit_build *b, int row, vkd_tensor x, vkd_tensor residual);
// outputs first .. first + count of it
vkd_tensor dit_linear_part(const struct dit_build *b, int row, int64_t first, int64_t count, vkd_tensor x);
// outputs [B, k d] for every sample, chunk by chunk: [k, B, d]; x [B, d]
vkd_tensor dit_linear_chunks(const struct dit_build *b, int row, vkd_tensor x);
vkd_tensor dit_chunk(const struct dit_build *b, vkd_tensor chunks, int index);                 // [k, B, d] -> [B, d]
vkd_tensor dit_attention(const struct dit_build *b, vkd_tensor q, vkd_tensor k, vkd_tensor v); // scale 1 / sqrt(hd)
// [B, n, d] from the latent x, plus `residual` where it is not empty
vkd_tensor dit_patches(const struct dit_build *b, int row, vkd_tensor x, vkd_tensor residual);
vkd_tensor dit_unpatch(const struct dit_build *b, vkd_tensor tokens); // token vectors (pt, ph, pw, c)
// W2 SiLU(W0 s + b0) + b2; row, row2: the two weights
vkd_tensor dit_time_mlp(const struct dit_build *b, int row, int row2, vkd_tensor s);

#endif
