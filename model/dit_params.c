// The parameter table of a configuration, and initial values.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dit_internal.h"
#include "vkd/random.h"

static int64_t dim_value(const struct dit_config *c, enum dit_dim s) {
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
                            [DIM_DIM2] = 2 * (int64_t)c->dim,
                            [DIM_DIM3] = 3 * (int64_t)c->dim,
                            [DIM_DIM6] = 6 * (int64_t)c->dim,
                            [DIM_ONE] = 1,
                            [DIM_TWO] = 2,
                            [DIM_SIX] = 6,
                            [DIM_TOKENS] = dit_tokens(c),
                            [DIM_CLASSES] = c->class_rows};
  return values[s];
}

static void fill_row(const struct dit_config *c, const struct dit_row *row, int block, struct dit_param *p) {
  for (int n = 0; n < DIT_NAMINGS; n++) {
    const char *name = row->name[n] ? row->name[n] : "", *mark = strstr(name, "%d");
    if (mark)
      snprintf(p->name[n], sizeof p->name[n], "%.*s%d%s", (int)(mark - name), name, block, mark + 2);
    else
      snprintf(p->name[n], sizeof p->name[n], "%s", name);
  }
  p->shape.rank = 0;
  while (p->shape.rank < VKD_MAX_DIMS && row->dims[p->shape.rank] != DIM_END) {
    p->shape.dim[p->shape.rank] = dim_value(c, (enum dit_dim)row->dims[p->shape.rank]);
    p->shape.rank++;
  }
  p->init = row->init;
  p->init_scale = row->scale;
  p->frozen = row->init == DIT_INIT_POSITION;
  p->numel = vkd_shape_numel(&p->shape);
}

// The class table of cross_dit is ours: the public model has none.
static bool own_class_table(const struct dit_config *c) { return c->family == DIT_CROSS && c->class_rows > 0; }

enum vkd_status dit_params(const struct dit_config *c, struct dit_param **rows, int *count, struct vkd_error *err) {
  const struct dit_family_row *f = dit_family_of(c);
  *rows = NULL;
  *count = f->outer_rows + c->depth * f->block_rows + own_class_table(c);
  struct dit_param *p = calloc((size_t)*count, sizeof *p);
  if (!p) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %d parameters", *count);
  for (int i = 0; i < f->outer_rows; i++) fill_row(c, &f->outer[i], -1, &p[i]);
  for (int b = 0; b < c->depth; b++)
    for (int i = 0; i < f->block_rows; i++) fill_row(c, &f->block[i], b, &p[dit_block_param(c, b, i)]);
  if (own_class_table(c)) {
    // initial scale 1: as PyTorch's embedding tables
    const char *name = "class_embedding.weight";
    const struct dit_row row = {
        {[DIT_NAMING_WAN] = name, [DIT_NAMING_DIFFUSERS] = name}, DIT_INIT_NORMAL, 1, {DIM_CLASSES, DIM_TEXT}};
    fill_row(c, &row, -1, &p[dit_class_param(c)]);
  }
  *rows = p;
  return VKD_OK;
}

enum { INIT_STREAM = 0x1417 }; // the counter's last word: initial values share no draw with noise

// [n, d]: sine and cosine of the column's index, then of the row's.  Public code computes it in double.
static void position_table(const struct dit_config *c, float *dst) {
  int quarter = c->dim / 4, columns = c->latent[2] / c->patch[2];
  for (int64_t token = 0; token < dit_tokens(c); token++) {
    const double at[2] = {(double)(token % columns), (double)(token / columns)};
    for (int axis = 0; axis < 2; axis++)
      for (int i = 0; i < quarter; i++) {
        double angle = at[axis] * pow(10000.0, -(double)i / quarter);
        float *half = dst + token * c->dim + (int64_t)axis * 2 * quarter;
        half[i] = (float)sin(angle);
        half[quarter + i] = (float)cos(angle);
      }
  }
}

void dit_param_init(const struct dit_config *c, const struct dit_param *p, int index, uint64_t seed, float *dst) {
  int64_t rest = p->numel / p->shape.dim[0];
  double volume = (double)c->patch[0] * c->patch[1] * c->patch[2] * c->in_channels, bound = 0, std = 0;
  if (p->init == DIT_INIT_POSITION) {
    position_table(c, dst);
    return;
  }
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
