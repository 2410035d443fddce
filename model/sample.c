#include "vkdm/sample.h"

#include <stdlib.h>
#include <string.h>

#include "vkd/exec.h"
#include "vkd/random.h"
#include "vkdm/objective.h"

// One Euler step as a program: x, in a buffer of its own, is replaced by x + dsigma v.
struct sampler {
  const struct sample_params *p;
  const struct dit_config *model;
  bool guided;
  int64_t numel; // of one latent
  struct vkd_buffer *x;
  struct vkd_graph *graph;
  struct vkd_program *program;
  struct dit_inputs in;
  vkd_tensor coef; // [2] (x, v) or [3] (x, v_null, v_cond)
};

static enum vkd_status build(struct sampler *s, struct vkd_error *err) {
  const struct dit_config *c = s->model;
  enum vkd_status st = vkd_graph_create(&s->graph, err);
  if (st != VKD_OK) return st;
  struct vkd_graph *g = s->graph;
  vkd_tensor *weights = calloc((size_t)s->p->params->count, sizeof *weights);
  if (!weights) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a sampler");
  int64_t count = s->p->count;
  params_tensors(s->p->params, g, s->p->kind, weights);
  // Null conditions fill the first half of the batch, the wanted ones the second.
  dit_make_inputs(g, c, s->guided ? 2 * count : count, false, &s->in);
  vkd_tensor x =
      vkd_bound(g, "x", VKD_F32, VKD_SHAPE(count, c->in_channels, c->latent[0], c->latent[1], c->latent[2]), s->x, 0);
  vkd_tensor twice[2] = {x, x};
  s->in.x = s->guided ? vkd_concat(g, twice, 2) : x;
  vkd_tensor v = dit_forward(g, c, weights, &s->in);
  s->coef = vkd_input(g, "coef", VKD_F32, VKD_SHAPE(s->guided ? 3 : 2));
  vkd_tensor terms[3] = {x, s->guided ? vkd_slice(g, v, 0, count) : v, s->guided ? vkd_slice(g, v, count, count) : v};
  vkd_assign(g, x, vkd_lincomb(g, s->coef, terms, s->guided ? 3 : 2));
  free(weights);
  return vkd_program_create(&s->program, &(struct vkd_program_params){.device = s->p->params->dev, .graph = g}, err);
}

static enum vkd_status write_noise(struct sampler *s, struct vkd_error *err) {
  uint64_t bytes = (uint64_t)s->numel * 4;
  if (s->p->noise) return vkd_buffer_write(s->x, 0, s->p->noise, bytes * (uint64_t)s->p->count, err);
  float *noise = malloc(bytes);
  if (!noise) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for noise");
  enum vkd_status st = VKD_OK;
  for (int i = 0; i < s->p->count && st == VKD_OK; i++) {
    for (int64_t k = 0; k < s->numel; k += 4) {
      double z[4];
      vkd_normal4(s->p->seed, 0, STREAM_SAMPLE, (uint32_t)i, (uint32_t)(k / 4), z);
      for (int j = 0; j < 4 && k + j < s->numel; j++) noise[k + j] = (float)z[j];
    }
    st = vkd_buffer_write(s->x, (uint64_t)i * bytes, noise, bytes, err);
  }
  free(noise);
  return st;
}

static void write_condition(const struct sampler *s) {
  const struct dit_config *c = s->model;
  int count = s->p->count, first = s->guided ? count : 0;
  if (c->class_rows) {
    int32_t *labels = vkd_program_input(s->program, 0, s->in.labels), null_row = c->class_rows - 1;
    for (int i = 0; i < count; i++) {
      int32_t label = s->p->labels ? s->p->labels[i] : -1;
      labels[i] = null_row;
      labels[first + i] = label < 0 || label > null_row ? null_row : label;
    }
    return;
  }
  size_t row = (size_t)c->text_len * (size_t)c->text_dim;
  float *text = vkd_program_input(s->program, 0, s->in.text);
  memset(text, 0, (size_t)(first + count) * row * sizeof *text);
  for (int i = 0; s->guided && s->p->null_text && i < count; i++)
    memcpy(text + (size_t)i * row, s->p->null_text, row * sizeof *text);
  if (s->p->text) memcpy(text + (size_t)first * row, s->p->text, (size_t)count * row * sizeof *text);
}

static void write_step(const struct sampler *s, double sigma, double next) {
  float *embedding = vkd_program_input(s->program, 0, s->in.s), *coef = vkd_program_input(s->program, 0, s->coef);
  for (int64_t i = 0; i < (s->guided ? 2 : 1) * s->p->count; i++)
    dit_timestep_embedding(s->model->freq_dim, 1000 * sigma, embedding + i * s->model->freq_dim);
  double d = next - sigma, cfg = s->p->cfg;
  coef[0] = 1;
  coef[1] = (float)(s->guided ? d * (1 - cfg) : d);
  if (s->guided) coef[2] = (float)(d * cfg);
}

enum vkd_status sample_euler(const struct sample_params *p, float *latents, struct vkd_error *err) {
  const struct dit_config *c = &p->params->config;
  struct sampler s = {.p = p, .model = c, .guided = p->cfg != 1};
  s.numel = (int64_t)c->in_channels * c->latent[0] * c->latent[1] * c->latent[2];
  size_t bytes = (size_t)s.numel * (size_t)p->count * sizeof *latents;
  enum vkd_status st = vkd_buffer_create(&s.x, p->params->dev, bytes, err);
  if (st == VKD_OK) st = write_noise(&s, err);
  if (st == VKD_OK && (st = build(&s, err)) != VKD_OK) vkd_error_prefix(err, "sampling %d at once", p->count);
  if (st == VKD_OK) write_condition(&s);
  for (int i = 0; i < p->steps && st == VKD_OK; i++) {
    double sigma = flow_shift(1 - (double)i / p->steps, p->shift);
    write_step(&s, sigma, i + 1 < p->steps ? flow_shift(1 - (double)(i + 1) / p->steps, p->shift) : 0);
    st = vkd_program_run(s.program, err);
    if (st == VKD_OK && p->after_step) {
      st = vkd_buffer_read(s.x, 0, latents, bytes, err);
      if (st == VKD_OK) p->after_step(p->user, i, latents);
    }
    if (st == VKD_OK && p->progress) p->progress(p->user, i + 1, p->steps);
  }
  if (st == VKD_OK) st = vkd_buffer_read(s.x, 0, latents, bytes, err);
  vkd_program_destroy(&s.program);
  vkd_graph_destroy(&s.graph);
  vkd_buffer_destroy(&s.x);
  return st;
}
