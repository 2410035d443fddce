// The parameter table of a configuration, and initial values.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "dit_internal.h"
#include "vkd/random.h"

enum dim_symbol {
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
  DIM_DIM6,
  DIM_ONE,
  DIM_TWO,
  DIM_SIX
};

struct row {
  const char *name[DIT_NAMINGS];
  enum dit_init init;
  float scale;
  unsigned char dims[VKD_MAX_DIMS];
};

#define DIMS_1(a) DIM_##a
#define DIMS_2(a, b) DIM_##a, DIM_##b
#define DIMS_3(a, b, c) DIM_##a, DIM_##b, DIM_##c
#define DIMS_5(a, b, c, d, e) DIM_##a, DIM_##b, DIM_##c, DIM_##d, DIM_##e
#define DIMS_PICK(a, b, c, d, e, name, ...) name
#define DIMS(...) DIMS_PICK(__VA_ARGS__, DIMS_5, DIMS_4, DIMS_3, DIMS_2, DIMS_1, 0)(__VA_ARGS__)
#define ROW(id, wan, diffusers, init, scale, ...) {{wan, diffusers}, DIT_INIT_##init, scale, {DIMS(__VA_ARGS__)}},
#define NO_ROW(id, ...)

static const struct row outer_rows[] = {
#define OUTER ROW
#define BLOCK NO_ROW
#include "dit_params.def"
#undef OUTER
#undef BLOCK
};
static const struct row block_rows[] = {
#define OUTER NO_ROW
#define BLOCK ROW
#include "dit_params.def"
#undef OUTER
#undef BLOCK
};

enum vkd_status dit_config_check(const struct dit_config *c, struct vkd_error *err) {
  const int small[] = {c->dim,      c->depth,    c->heads,       c->ffn,         c->freq_dim,
                       c->text_dim, c->text_len, c->in_channels, c->out_channels};
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
  return VKD_OK;
}

int64_t dit_tokens(const struct dit_config *c) {
  int64_t n = 1;
  for (int i = 0; i < 3; i++) n *= c->latent[i] / c->patch[i];
  return n;
}

double dit_token_flops(const struct dit_config *c) {
  double d = c->dim, n = (double)dit_tokens(c);
  return 3.0 * c->depth * (12 * d * d + 4 * d * c->ffn + 4 * n * d);
}

static int64_t dim_value(const struct dit_config *c, enum dim_symbol s) {
  int64_t volume = (int64_t)c->patch[0] * c->patch[1] * c->patch[2];
  const int64_t values[] = {[DIM_DIM] = c->dim,
                            [DIM_FFN] = c->ffn,
                            [DIM_FREQ] = c->freq_dim,
                            [DIM_TEXT] = c->text_dim,
                            [DIM_CIN] = c->in_channels,
                            [DIM_PT] = c->patch[0],
                            [DIM_PH] = c->patch[1],
                            [DIM_PW] = c->patch[2],
                            [DIM_HEAD] = c->out_channels * volume,
                            [DIM_DIM6] = 6 * (int64_t)c->dim,
                            [DIM_ONE] = 1,
                            [DIM_TWO] = 2,
                            [DIM_SIX] = 6};
  return values[s];
}

static void fill_row(const struct dit_config *c, const struct row *row, int block, struct dit_param *p) {
  for (int n = 0; n < DIT_NAMINGS; n++) {
    // The format is a row of the table above.
    if (block < 0)
      snprintf(p->name[n], sizeof p->name[n], "%s", row->name[n]);
    else {
      const char *rest = row->name[n] + sizeof "blocks.%d" - 1;
      snprintf(p->name[n], sizeof p->name[n], "blocks.%d%s", block, rest);
    }
  }
  p->shape.rank = 0;
  while (p->shape.rank < VKD_MAX_DIMS && row->dims[p->shape.rank] != DIM_END) {
    p->shape.dim[p->shape.rank] = dim_value(c, (enum dim_symbol)row->dims[p->shape.rank]);
    p->shape.rank++;
  }
  p->init = row->init;
  p->init_scale = row->scale;
  p->numel = vkd_shape_numel(&p->shape);
}

enum vkd_status dit_params(const struct dit_config *c, struct dit_param **rows, int *count, struct vkd_error *err) {
  *rows = NULL;
  *count = DIT_OUTER_ROWS + c->depth * DIT_BLOCK_ROWS + (c->class_rows > 0);
  struct dit_param *p = calloc((size_t)*count, sizeof *p);
  if (!p) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %d parameters", *count);
  for (int i = 0; i < DIT_OUTER_ROWS; i++) fill_row(c, &outer_rows[i], -1, &p[i]);
  for (int b = 0; b < c->depth; b++)
    for (int i = 0; i < DIT_BLOCK_ROWS; i++)
      fill_row(c, &block_rows[i], b, &p[dit_block_param(b, (enum dit_block_row)i)]);
  if (c->class_rows > 0) {
    struct dit_param *t = &p[dit_class_param(c)];
    for (int n = 0; n < DIT_NAMINGS; n++) snprintf(t->name[n], sizeof t->name[n], "class_embedding.weight");
    t->shape = VKD_SHAPE(c->class_rows, c->text_dim);
    t->init = DIT_INIT_NORMAL;
    t->init_scale = 1; // as PyTorch's embedding tables
    t->numel = vkd_shape_numel(&t->shape);
  }
  *rows = p;
  return VKD_OK;
}

enum { INIT_STREAM = 0x1417 }; // the counter's last word: initial values share no draw with noise

void dit_param_init(const struct dit_config *c, const struct dit_param *p, int index, uint64_t seed, float *dst) {
  int64_t rest = p->numel / p->shape.dim[0];
  double volume = (double)c->patch[0] * c->patch[1] * c->patch[2] * c->in_channels, bound = 0, std = 0;
  switch (p->init) {
  case DIT_INIT_XAVIER:
    bound = sqrt(6.0 / (double)(p->shape.dim[0] + rest));
    break;
  case DIT_INIT_FAN_IN:
    bound = 1 / sqrt(volume);
    break;
  case DIT_INIT_NORMAL:
    std = p->init_scale;
    break;
  case DIT_INIT_MODULATION:
    std = 1 / sqrt((double)c->dim);
    break;
  default:
    break;
  }
  for (int64_t i = 0; i < p->numel; i += 4) {
    const uint32_t counter[4] = {(uint32_t)(i / 4), 0, (uint32_t)index, INIT_STREAM},
                   key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t word[4];
    double z[4];
    vkd_philox(counter, key, word);
    vkd_normal(word[0], word[1], z);
    vkd_normal(word[2], word[3], z + 2);
    for (int k = 0; k < 4 && i + k < p->numel; k++)
      dst[i + k] = p->init == DIT_INIT_ONE ? 1
                   : bound > 0             ? (float)(bound * (2 * vkd_uniform(word[k]) - 1))
                                           : (float)(std * z[k]);
  }
}

void dit_timestep_embedding(int freq_dim, double t, float *out) {
  int half = freq_dim / 2;
  for (int i = 0; i < half; i++) {
    double angle = t * exp(-log(10000.0) * i / half);
    out[i] = (float)cos(angle);
    out[half + i] = (float)sin(angle);
  }
}
