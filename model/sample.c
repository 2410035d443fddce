#include "vkdm/sample.h"

#include <stdlib.h>
#include <string.h>

#include "denoiser.h"
#include "sampler.h"
#include "vkd/random.h"
#include "vkdm/objective.h"

// What is kept on the device between steps.
enum state { X, OUT, CORRECTED, M1, M2, NOISE, STATES };

// A step is the denoiser's run and then one of `program`, which holds the linear combinations of struct sampler_step.
struct run {
  const struct sample_params *p;
  const struct dit_config *model;
  const struct sampler *sampler;
  struct sampler_step *steps;
  int count;      // of steps
  uint64_t bytes; // of all latents
  int64_t numel;  // of one latent
  bool variance;  // learned
  struct vkd_buffer *state[STATES];
  struct denoiser *denoiser;
  struct vkd_graph *graph;
  struct vkd_program *program;
  vkd_tensor m, corrected, next, log_variance, key, sample; // inputs; empty: not wanted
};

static enum vkd_status plan(struct run *r, struct vkd_error *err) {
  const struct sample_params *p = r->p;
  const struct dit_config *c = r->model;
  r->numel = (int64_t)c->in_channels * c->latent[0] * c->latent[1] * c->latent[2];
  r->bytes = (uint64_t)r->numel * 4 * (uint64_t)p->count;
  r->variance = c->out_channels == 2 * c->in_channels;
  if (!r->variance && c->out_channels != c->in_channels)
    return vkd_fail(err, VKD_ERR_INPUT, "a model of %d input and %d output channels cannot be sampled from",
                    c->in_channels, c->out_channels);
  enum vkd_status st = sampler_find(p->sampler ? sampler_name(p->sampler) : NULL, p->prediction, &r->sampler, err);
  if (st != VKD_OK) return st;
  r->count = p->steps ? p->steps : r->sampler->default_steps;
  const struct sampler_plan plan = {.prediction = p->prediction,
                                    .learned_variance = r->variance,
                                    .steps = r->count,
                                    .shift = p->shift == 0 ? 1 : p->shift};
  return sampler_steps(r->sampler, &plan, &r->steps, err);
}

static enum vkd_status create_state(struct run *r, struct vkd_error *err) {
  const struct sampler *s = r->sampler;
  const bool wanted[STATES] = {[X] = true,
                               [OUT] = true,
                               [CORRECTED] = s->corrects,
                               [M1] = s->history > 0,
                               [M2] = s->history > 1,
                               [NOISE] = s->noisy && r->p->step_noise};
  enum vkd_status st = VKD_OK;
  for (int i = 0; i < STATES && st == VKD_OK; i++)
    if (wanted[i])
      st = vkd_buffer_create(&r->state[i], r->p->params->dev, r->bytes * (i == OUT && r->variance ? 2 : 1), err);
  return st;
}

static vkd_tensor bound(const struct run *r, enum state which, int channels) {
  static const char *const names[STATES] = {"x", "out", "corrected", "m1", "m2", "noise"};
  const int *latent = r->model->latent;
  if (!r->state[which]) return (vkd_tensor){0};
  return vkd_bound(r->graph, names[which], VKD_F32, VKD_SHAPE(r->p->count, channels, latent[0], latent[1], latent[2]),
                   r->state[which], 0);
}

static vkd_tensor input(struct run *r, const char *name, int64_t n) {
  return vkd_input(r->graph, name, VKD_F32, VKD_SHAPE(n));
}

// Noise of a step, times its deviation where that is learned.
static vkd_tensor make_noise(struct run *r, vkd_tensor given, vkd_tensor out) {
  struct vkd_graph *g = r->graph;
  int channels = r->model->in_channels;
  vkd_tensor z = given;
  if (!r->p->step_noise) {
    const int *latent = r->model->latent;
    r->key = vkd_input(g, "key", VKD_I32, VKD_SHAPE(4));
    r->sample = vkd_input(g, "sample", VKD_I32, VKD_SHAPE(r->p->count));
    z = vkd_randn(g, r->key, r->sample, VKD_SHAPE(r->p->count, channels, latent[0], latent[1], latent[2]));
  }
  if (!r->variance) return z;
  r->log_variance = input(r, "log_variance", 2);
  return vkd_variance_noise(g, vkd_channels(g, out, channels, channels), z, r->log_variance);
}

static enum vkd_status build(struct run *r, struct vkd_error *err) {
  enum vkd_status st = vkd_graph_create(&r->graph, err);
  if (st != VKD_OK) return st;
  struct vkd_graph *g = r->graph;
  const struct sampler *s = r->sampler;
  int channels = r->model->in_channels;
  vkd_tensor t[STATES];
  for (int i = 0; i < STATES; i++) t[i] = bound(r, (enum state)i, i == OUT ? r->model->out_channels : channels);
  vkd_tensor x = t[X], m = r->variance ? vkd_channels(g, t[OUT], 0, channels) : t[OUT];
  if (s->history) {
    r->m = input(r, "m", 2);
    m = vkd_lincomb(g, r->m, (vkd_tensor[]){x, m}, 2);
  }
  if (s->corrects) {
    r->corrected = input(r, "corrected", 5);
    x = vkd_lincomb(g, r->corrected, (vkd_tensor[]){x, t[CORRECTED], m, t[M1], t[M2]}, 5);
  }
  vkd_tensor terms[4] = {x, m};
  int count = 2;
  if (s->history) terms[count++] = t[M1];
  if (s->noisy) terms[count++] = make_noise(r, t[NOISE], t[OUT]);
  r->next = input(r, "next", count);
  vkd_tensor next = vkd_lincomb(g, r->next, terms, count);
  if (s->history > 1) vkd_assign(g, t[M2], t[M1]);
  if (s->history) vkd_assign(g, t[M1], m);
  if (s->corrects) vkd_assign(g, t[CORRECTED], x);
  vkd_assign(g, t[X], next);
  return vkd_program_create(&r->program, &(struct vkd_program_params){.device = r->p->params->dev, .graph = g}, err);
}

static enum vkd_status write_noise(struct run *r, struct vkd_error *err) {
  if (r->p->noise) return vkd_buffer_write(r->state[X], 0, r->p->noise, r->bytes, err);
  uint64_t bytes = (uint64_t)r->numel * 4;
  float *noise = malloc(bytes);
  if (!noise) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for noise");
  enum vkd_status st = VKD_OK;
  for (int i = 0; i < r->p->count && st == VKD_OK; i++) {
    for (int64_t k = 0; k < r->numel; k += 4) {
      double z[4];
      vkd_normal4(r->p->seed, 0, STREAM_SAMPLE, (uint32_t)i, (uint32_t)(k / 4), z);
      for (int j = 0; j < 4 && k + j < r->numel; j++) noise[k + j] = (float)z[j];
    }
    st = vkd_buffer_write(r->state[X], (uint64_t)i * bytes, noise, bytes, err);
  }
  free(noise);
  return st;
}

static void put(const struct run *r, vkd_tensor to, const double *from, int n) {
  float *dst = to.id ? vkd_program_input(r->program, 0, to) : NULL;
  for (int i = 0; dst && i < n; i++) dst[i] = (float)from[i];
}

static enum vkd_status write_step(const struct run *r, int i, struct vkd_error *err) {
  const struct sampler_step *s = &r->steps[i];
  double next[4] = {s->next[0], s->next[1]};
  int count = 2;
  if (r->sampler->history) next[count++] = s->next[2];
  if (r->sampler->noisy) next[count++] = s->next[3];
  put(r, r->m, s->m, 2);
  put(r, r->corrected, s->corrected, 5);
  put(r, r->next, next, count);
  put(r, r->log_variance, s->log_variance, 2);
  if (r->key.id) { // the starting noise has step 0
    const int32_t key[4] = {(int32_t)(uint32_t)r->p->seed, (int32_t)(uint32_t)(r->p->seed >> 32), i + 1, STREAM_SAMPLE};
    memcpy(vkd_program_input(r->program, 0, r->key), key, sizeof key);
    int32_t *sample = vkd_program_input(r->program, 0, r->sample);
    for (int k = 0; k < r->p->count; k++) sample[k] = k;
  }
  if (!r->state[NOISE]) return VKD_OK;
  return vkd_buffer_write(r->state[NOISE], 0, r->p->step_noise + (size_t)i * (r->bytes / 4), r->bytes, err);
}

static enum vkd_status create(struct run *r, struct vkd_error *err) {
  const struct sample_params *p = r->p;
  enum vkd_status st = create_state(r, err);
  if (st == VKD_OK) st = write_noise(r, err);
  if (st == VKD_OK) st = build(r, err);
  const struct denoiser_params d = {.params = p->params,
                                    .kind = p->kind,
                                    .count = p->count,
                                    .cfg = p->cfg,
                                    .cfg_channels = p->cfg_channels,
                                    .labels = p->labels,
                                    .text = p->text,
                                    .null_text = p->null_text,
                                    .x = r->state[X],
                                    .out = r->state[OUT]};
  if (st == VKD_OK) st = denoiser_create(&r->denoiser, &d, err);
  return st == VKD_OK ? VKD_OK : vkd_error_prefix(err, "sampling %d at once", p->count);
}

enum vkd_status sample_run(const struct sample_params *p, float *latents, struct vkd_error *err) {
  struct run r = {.p = p, .model = &p->params->config};
  enum vkd_status st = plan(&r, err);
  if (st == VKD_OK) st = create(&r, err);
  for (int i = 0; i < r.count && st == VKD_OK; i++) {
    st = denoiser_run(r.denoiser, r.steps[i].timestep, err);
    if (st == VKD_OK) st = write_step(&r, i, err);
    if (st == VKD_OK) st = vkd_program_run(r.program, err);
    if (st == VKD_OK && p->after_step) {
      st = vkd_buffer_read(r.state[X], 0, latents, r.bytes, err);
      if (st == VKD_OK) p->after_step(p->user, i, latents);
    }
    if (st == VKD_OK && p->progress) p->progress(p->user, i + 1, r.count);
  }
  if (st == VKD_OK) st = vkd_buffer_read(r.state[X], 0, latents, r.bytes, err);
  denoiser_destroy(&r.denoiser);
  vkd_program_destroy(&r.program);
  vkd_graph_destroy(&r.graph);
  for (int i = 0; i < STATES; i++) vkd_buffer_destroy(&r.state[i]);
  free(r.steps);
  return st;
}
