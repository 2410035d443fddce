// The parameter table of a configuration, and initial values.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dit_internal.h"
#include "vkd/random.h"

int64_t dit_dim(const struct dit_config *c, int dim) {
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
  return values[dim];
}

void dit_row_name(const struct dit_row *row, int naming, int block, char out[96]) {
  const char *name = row->name[naming] ? row->name[naming] : "", *mark = strstr(name, "%d");
  if (mark)
    snprintf(out, 96, "%.*s%d%s", (int)(mark - name), name, block, mark + 2);
  else
    snprintf(out, 96, "%s", name);
}

static void fill_row(const struct dit_config *c, const struct dit_row *row, int block, struct dit_param *p) {
  for (int n = 0; n < DIT_NAMINGS; n++) dit_row_name(row, n, block, p->name[n]);
  p->shape.rank = 0;
  while (p->shape.rank < VKD_MAX_DIMS && row->dims[p->shape.rank] != DIM_END) {
    p->shape.dim[p->shape.rank] = dit_dim(c, row->dims[p->shape.rank]);
    p->shape.rank++;
  }
  p->init = row->init;
  p->init_scale = row->scale;
  p->frozen = row->init == DIT_INIT_POSITION || c->lora.rank > 0;
  p->numel = vkd_shape_numel(&p->shape);
  p->operand = block >= 0 && p->shape.rank == 2;
}

// The class table of cross_dit is ours: the public model has none.
static bool own_class_table(const struct dit_config *c) { return c->family == DIT_CROSS && c->class_rows > 0; }

// A [rank, in] and B [out, rank] of one adapter.
static void fill_adapter(const struct dit_config *c, const struct dit_adapter *a, struct dit_param p[2]) {
  static const char *const suffix[2] = {".lora_A.weight", ".lora_B.weight"};
  for (int k = 0; k < 2; k++) {
    p[k] = (struct dit_param){.shape = k ? VKD_SHAPE(a->out, c->lora.rank) : VKD_SHAPE(c->lora.rank, a->in),
                              .init = k ? DIT_INIT_ZERO : DIT_INIT_LINEAR};
    p[k].numel = vkd_shape_numel(&p[k].shape);
    for (int n = 0; n < DIT_NAMINGS; n++)
      if (*a->module[n] && (a->parts == 1 || n == DIT_NAMING_DIFFUSERS))
        snprintf(p[k].name[n], sizeof p[k].name[n], "%.80s%s", a->module[n], suffix[k]);
  }
}

static enum vkd_status add_adapters(const struct dit_config *c, struct dit_param **rows, int *count,
                                    struct vkd_error *err) {
  struct dit_adapter *adapters = NULL;
  int n = 0;
  enum vkd_status st = dit_adapters(c, &adapters, &n, err);
  struct dit_param *more = st == VKD_OK ? realloc(*rows, ((size_t)*count + 2 * (size_t)n) * sizeof *more) : NULL;
  if (st == VKD_OK && !more) st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %d adapters", n);
  if (more) *rows = more;
  for (int i = 0; i < n && st == VKD_OK; i++) {
    if (!(adapters[i].target & c->lora.targets)) continue;
    fill_adapter(c, &adapters[i], &more[*count]);
    *count += 2;
  }
  free(adapters);
  return st;
}

enum vkd_status dit_params(const struct dit_config *c, struct dit_param **rows, int *count, struct vkd_error *err) {
  const struct dit_family_row *f = dit_family_of(c);
  *rows = NULL;
  *count = dit_base_rows(c);
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
  enum vkd_status st = c->lora.rank > 0 ? add_adapters(c, rows, count, err) : VKD_OK;
  if (st != VKD_OK) {
    free(*rows);
    *rows = NULL;
  }
  return st;
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
  if (p->init == DIT_INIT_POSITION)
    position_table(c, dst);
  else
    dit_param_init_part(c, p, index, seed, 0, p->numel, dst);
}

void dit_param_init_part(const struct dit_config *c, const struct dit_param *p, int index, uint64_t seed, int64_t first,
                         int64_t count, float *dst) {
  int64_t rest = p->numel / p->shape.dim[0];
  double volume = (double)c->patch[0] * c->patch[1] * c->patch[2] * c->in_channels, bound = 0, std = 0;
  switch (p->init) {
  case DIT_INIT_XAVIER:
    bound = sqrt(6.0 / (double)(p->shape.dim[0] + rest));
    break;
  case DIT_INIT_FAN_IN:
    bound = 1 / sqrt(volume);
    break;
  case DIT_INIT_LINEAR:
    bound = 1 / sqrt((double)rest);
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
  for (int64_t i = 0; i < count; i += 4) {
    const uint32_t counter[4] = {(uint32_t)((first + i) / 4), 0, (uint32_t)index, INIT_STREAM},
                   key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t word[4];
    double z[4] = {0};
    vkd_philox(counter, key, word);
    if (std > 0) {
      vkd_normal(word[0], word[1], z);
      vkd_normal(word[2], word[3], z + 2);
    }
    for (int k = 0; k < 4 && i + k < count; k++)
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
