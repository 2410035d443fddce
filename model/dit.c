// The families' table, and what a forward pass is in every one of them: begin, blocks, end.
#include <math.h>

#include "dit_internal.h"

static const struct dit_family_row *const families[DIT_FAMILIES] = {
    [DIT_CROSS] = &dit_cross_family, [DIT_CLASS] = &dit_class_family};

const struct dit_family_row *dit_family_of(const struct dit_config *c) { return families[c->family]; }
const char *dit_family_name(enum dit_family family) { return families[family]->name; }

const char *dit_naming_name(enum dit_naming naming) {
  static const char *const names[DIT_NAMINGS] = {"wan", "diffusers", "meta"};
  return names[naming];
}
enum dit_naming dit_native_naming(const struct dit_config *c) { return dit_family_of(c)->native; }

int64_t dit_tokens(const struct dit_config *c) {
  int64_t n = 1;
  for (int i = 0; i < 3; i++) n *= c->latent[i] / c->patch[i];
  return n;
}

double dit_token_flops(const struct dit_config *c) { return 3.0 * c->depth * dit_family_of(c)->token_flops(c); }

enum vkd_status dit_config_check(const struct dit_config *c, struct vkd_error *err) {
  const int small[] = {c->dim, c->depth, c->heads, c->ffn, c->freq_dim, c->in_channels, c->out_channels};
  if ((unsigned)c->family >= DIT_FAMILIES)
    return vkd_fail(err, VKD_ERR_INPUT, "model: family %d is unknown", (int)c->family);
  for (size_t i = 0; i < sizeof small / sizeof small[0]; i++)
    if (small[i] < 1 || small[i] > 1 << 20)
      return vkd_fail(err, VKD_ERR_INPUT, "model: a size of %d (it must be 1 to %d)", small[i], 1 << 20);
  if (c->dim % c->heads || c->dim / c->heads % 2)
    return vkd_fail(err, VKD_ERR_INPUT, "model.heads %d: dim %d / heads must be an even number", c->heads, c->dim);
  if (c->freq_dim % 2) return vkd_fail(err, VKD_ERR_INPUT, "model.freq_dim %d must be even", c->freq_dim);
  for (int i = 0; i < 3; i++)
    if (c->patch[i] < 1 || c->latent[i] < 1 || c->latent[i] % c->patch[i])
      return vkd_fail(err, VKD_ERR_INPUT,
                      "model.patch %d,%d,%d does not divide the latent %d x %d x %d (frames, rows, columns)",
                      c->patch[0], c->patch[1], c->patch[2], c->latent[0], c->latent[1], c->latent[2]);
  if (c->lora.rank < 0 || c->lora.rank > 1 << 20 || !isfinite(c->lora.alpha) ||
      (c->lora.rank > 0 && (!c->lora.targets || c->lora.targets & ~(unsigned)DIT_LORA_ALL)))
    return vkd_fail(err, VKD_ERR_INPUT, "model: adapters of rank %d, alpha %g, targets 0x%x", c->lora.rank,
                    (double)c->lora.alpha, c->lora.targets);
  return dit_family_of(c)->check(c, err);
}

void dit_make_inputs(struct vkd_graph *g, const struct dit_config *c, int64_t batch, bool with_x,
                     struct dit_inputs *in) {
  *in = (struct dit_inputs){.x = {0}};
  if (with_x)
    in->x = vkd_input(g, "x", VKD_F32, VKD_SHAPE(batch, c->in_channels, c->latent[0], c->latent[1], c->latent[2]));
  in->s = vkd_input(g, "s", VKD_F32, VKD_SHAPE(batch, c->freq_dim));
  if (c->class_rows)
    in->labels = vkd_input(g, "labels", VKD_I32, VKD_SHAPE(batch));
  else
    in->text = vkd_input(g, "text", VKD_F32, VKD_SHAPE(batch, c->text_len, c->text_dim));
}

static struct dit_build make_build(struct vkd_graph *g, const struct dit_config *c, const vkd_tensor *params,
                                   vkd_tensor leading) {
  return (struct dit_build){
      .g = g, .c = c, .params = params, .tokens = dit_tokens(c), .batch = vkd_tensor_shape(g, leading).dim[0]};
}

void dit_begin(struct vkd_graph *g, const struct dit_config *c, const vkd_tensor *params, const struct dit_inputs *in,
               struct dit_hidden *h) {
  struct dit_build b = make_build(g, c, params, in->x);
  *h = (struct dit_hidden){.count = 0};
  dit_family_of(c)->begin(&b, in, h);
}

void dit_block(struct vkd_graph *g, const struct dit_config *c, const vkd_tensor *params, int block,
               struct dit_hidden *h) {
  struct dit_build b = make_build(g, c, params, h->t[0]);
  b.operand = c->compute;
  bool again = c->recompute && block + 1 < c->depth;
  vkd_graph_label_push(g, "block%d", block);
  if (again) vkd_graph_recompute_begin(g);
  dit_family_of(c)->block_forward(&b, block, h);
  if (again) vkd_graph_recompute_end(g);
  vkd_graph_label_pop(g);
}

vkd_tensor dit_end(struct vkd_graph *g, const struct dit_config *c, const vkd_tensor *params,
                   const struct dit_hidden *h) {
  struct dit_build b = make_build(g, c, params, h->t[0]);
  vkd_graph_label_push(g, "head");
  vkd_tensor out = dit_family_of(c)->end(&b, h);
  vkd_graph_label_pop(g);
  return out;
}

void dit_block_rows(const struct dit_config *c, int block, int *first, int *count) {
  *first = dit_block_param(c, block, 0);
  *count = dit_family_of(c)->block_rows;
}

vkd_tensor dit_forward(struct vkd_graph *g, const struct dit_config *c, const vkd_tensor *params,
                       const struct dit_inputs *in) {
  struct dit_hidden h;
  dit_begin(g, c, params, in, &h);
  for (int i = 0; i < c->depth; i++) dit_block(g, c, params, i, &h);
  return dit_end(g, c, params, &h);
}
