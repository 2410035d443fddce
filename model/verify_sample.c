// The samples of a case: the guided output at the first step, and the latents after every stored step of every sampler.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "denoiser.h"
#include "verify_internal.h"
#include "vkdm/sample.h"

enum { MAX_COUNT = 64 };

// What all samplers of the case start from.
struct start {
  int count;
  int64_t numel;                             // of all latents
  float *noise, *text, *null_text, *latents; // [count, latent], [count, text], [text], as noise
  int32_t labels[MAX_COUNT];
};

// One sampler under way.
struct watch {
  struct verify *v;
  const struct verify_solver *solver;
  const struct st_tensor *stored; // [stored steps, count, latent]
  float *ref;                     // [count, latent]
  int64_t numel;
  int compared;
  enum vkd_status status;
  struct vkd_error *err;
};

static enum vkd_status read_start(const struct verify *v, struct start *s, struct vkd_error *err) {
  const struct dit_config *m = &v->c.model;
  const struct st_tensor *t = st_find(v->files[VERIFY_FILE_SAMPLE], "noise");
  if (!t || t->ndim < 1 || t->shape[0] < 1 || t->shape[0] > MAX_COUNT)
    return vkd_fail(err, VKD_ERR_INPUT, "%s: \"noise\" of 1 to %d samples wanted",
                    st_path(v->files[VERIFY_FILE_SAMPLE]), MAX_COUNT);
  s->count = (int)t->shape[0];
  struct vkd_shape latent = verify_latent(v, s->count, m->in_channels);
  enum vkd_status st = verify_require(v, VERIFY_FILE_SAMPLE, "noise", &latent, &t, err);
  if (st != VKD_OK) return st; // before memory is taken for it
  s->numel = vkd_shape_numel(&latent);
  size_t numel = (size_t)s->numel, rows = (size_t)m->text_len * (size_t)m->text_dim;
  s->noise = calloc(2 * numel + ((size_t)s->count + 1) * rows, sizeof *s->noise);
  if (!s->noise) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for samples");
  s->latents = s->noise + numel;
  s->text = s->latents + numel;
  s->null_text = s->text + (size_t)s->count * rows;
  st = st_read_f32(t, s->noise, err);
  if (st != VKD_OK) return st;
  if (m->class_rows) return verify_read_int(v, VERIFY_FILE_SAMPLE, "labels", &VKD_SHAPE(s->count), s->labels, err);
  st = verify_read(v, VERIFY_FILE_SAMPLE, "context", &VKD_SHAPE(s->count, m->text_len, m->text_dim), s->text, err);
  if (st != VKD_OK) return st;
  if (v->c.sample_cfg == 1 && !st_find(v->files[VERIFY_FILE_SAMPLE], "null_context")) return VKD_OK; // not used
  return verify_read(v, VERIFY_FILE_SAMPLE, "null_context", &VKD_SHAPE(1, m->text_len, m->text_dim), s->null_text, err);
}

static int stored_place(const struct verify_solver *solver, int step) {
  if (!solver->stored) return step;
  for (size_t i = 0; i < json_array_size(solver->stored); i++)
    if ((int)json_integer_value(json_array_get(solver->stored, i)) == step) return (int)i;
  return -1;
}

static void compare_step(void *user, int step, const float *latents) {
  struct watch *w = user;
  int place = stored_place(w->solver, step);
  if (place < 0 || w->status != VKD_OK) return;
  char name[64];
  uint64_t n = (uint64_t)w->numel;
  snprintf(name, sizeof name, "%s: latents after step %d", w->solver->sampler, step);
  w->status = st_read_f32_part(w->stored, (uint64_t)place * n, n, w->ref, w->err);
  if (w->status == VKD_OK)
    w->status = verify_add_row(w->v, VERIFY_SAMPLE, VERIFY_RELATIVE, name, verify_relative(latents, w->ref, n),
                               VERIFY_TOLERANCE, w->err);
  w->compared++;
}

// The guided output at the first step of `solver`, as file tensor `name`.
static enum vkd_status compare_first(struct verify *v, const struct start *s, const char *name, double timestep,
                                     struct vkd_error *err) {
  const struct dit_config *m = &v->c.model;
  struct vkd_device *dev = v->params->dev;
  uint64_t bytes = (uint64_t)s->numel * 4, out_bytes = bytes / (uint64_t)m->in_channels * (uint64_t)m->out_channels;
  struct vkd_shape shape = verify_latent(v, s->count, m->out_channels);
  struct vkd_buffer *x = NULL, *out = NULL;
  struct denoiser *d = NULL;
  float *values = malloc(out_bytes);
  enum vkd_status st = values ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for samples");
  if (st == VKD_OK) st = vkd_buffer_create(&x, dev, bytes, err);
  if (st == VKD_OK) st = vkd_buffer_create(&out, dev, out_bytes, err);
  if (st == VKD_OK) st = vkd_buffer_write(x, 0, s->noise, bytes, err);
  if (st == VKD_OK)
    st = denoiser_create(&d,
                         &(struct denoiser_params){.params = v->params,
                                                   .kind = PARAMS_WEIGHT,
                                                   .count = s->count,
                                                   .cfg = v->c.sample_cfg,
                                                   .cfg_channels = v->c.sample_channels,
                                                   .labels = s->labels,
                                                   .text = s->text,
                                                   .null_text = s->null_text,
                                                   .x = x,
                                                   .out = out},
                         err);
  if (st == VKD_OK) st = denoiser_run(d, timestep, err);
  if (st == VKD_OK) st = vkd_buffer_read(out, 0, values, out_bytes, err);
  if (st == VKD_OK)
    st = verify_compare(v, VERIFY_SAMPLE, "guided output at the first step", values, VERIFY_FILE_SAMPLE, name, &shape,
                        err);
  denoiser_destroy(&d);
  vkd_buffer_destroy(&out);
  vkd_buffer_destroy(&x);
  free(values);
  return st;
}

// The stated grid must be the one that the sampler makes, so that latents differ by rounding alone.
static enum vkd_status check_grid(const struct verify *v, const struct verify_solver *solver,
                                  const struct sampler *sampler, double *first_timestep, struct vkd_error *err) {
  double levels[VERIFY_SOLVER_STEPS + 1], timesteps[VERIFY_SOLVER_STEPS];
  enum vkd_status st = sampler_grid(sampler, solver->steps, v->c.sample_shift, levels, timesteps, err);
  if (st != VKD_OK) return st;
  *first_timestep = timesteps[0];
  bool rising = solver->timesteps && !solver->grid; // a map of the steps that are kept
  for (int i = 0; i <= solver->steps; i++) {
    double level = solver->grid ? verify_case_number(solver->grid, (size_t)i) : levels[i],
           t = timesteps[i % solver->steps];
    if (solver->timesteps && i < solver->steps)
      t = verify_case_number(solver->timesteps, (size_t)(rising ? solver->steps - 1 - i : i));
    if (fabs(level - levels[i]) <= 1e-12 && fabs(t - timesteps[i % solver->steps]) <= 1e-9) continue;
    return vkd_fail(err, VKD_ERR_INPUT,
                    "%s: \"%s\": step %d is at level %.15g, timestep %.15g; here at %.15g and %.15g", v->c.path,
                    solver->key, i, level, t, levels[i], timesteps[i % solver->steps]);
  }
  return VKD_OK;
}

static enum vkd_status run_solver(struct verify *v, const struct start *s, const struct verify_solver *solver,
                                  const struct sampler *sampler, enum prediction prediction, struct vkd_error *err) {
  struct watch w = {.v = v, .solver = solver, .numel = s->numel, .err = err};
  size_t numel = (size_t)s->numel, stored = solver->stored ? json_array_size(solver->stored) : (size_t)solver->steps;
  char name[32];
  float *step_noise = NULL;
  const struct st_tensor *t;
  snprintf(name, sizeof name, "%s_x", solver->key);
  // before memory is taken for it
  enum vkd_status st = st_require(v->files[VERIFY_FILE_SAMPLE], name, -1, NULL, &w.stored, err);
  if (st == VKD_OK && w.stored->numel != stored * numel)
    st = vkd_fail(err, VKD_ERR_INPUT, "%s: %s holds no %zu latents", st_path(v->files[VERIFY_FILE_SAMPLE]), name,
                  stored);
  if (st == VKD_OK && !(w.ref = malloc(numel * sizeof *w.ref)))
    st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for samples");
  snprintf(name, sizeof name, "%s_noise", solver->key);
  if (st == VKD_OK && (t = st_find(v->files[VERIFY_FILE_SAMPLE], name))) {
    if (t->numel != (uint64_t)solver->steps * numel)
      st = vkd_fail(err, VKD_ERR_INPUT, "%s: %s is not of %d steps", st_path(v->files[VERIFY_FILE_SAMPLE]), name,
                    solver->steps);
    else if (!(step_noise = malloc(t->numel * sizeof *step_noise)))
      st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for samples");
    else
      st = st_read_f32(t, step_noise, err);
  }
  struct sample_params p = {.params = v->params,
                            .kind = PARAMS_WEIGHT,
                            .prediction = prediction,
                            .sampler = sampler,
                            .count = s->count,
                            .steps = solver->steps,
                            .shift = v->c.sample_shift,
                            .cfg = v->c.sample_cfg,
                            .cfg_channels = v->c.sample_channels,
                            .labels = s->labels,
                            .text = s->text,
                            .null_text = s->null_text,
                            .noise = s->noise,
                            .step_noise = step_noise,
                            .after_step = compare_step,
                            .user = &w};
  if (st == VKD_OK) st = sample_run(&p, s->latents, err);
  if (st == VKD_OK) st = w.status;
  if (st == VKD_OK && w.compared != (int)stored)
    st = vkd_fail(err, VKD_ERR_INPUT, "%s: \"%s\": stored_steps names a step twice", v->c.path, solver->key);
  free(step_noise);
  free(w.ref);
  return st;
}

enum vkd_status verify_sample(struct verify *v, struct vkd_error *err) {
  struct start s = {.count = 0};
  enum prediction prediction = v->c.model.family == DIT_CROSS ? PREDICT_VELOCITY : PREDICT_EPS;
  enum vkd_status st = v->c.solver_count ? read_start(v, &s, err) : VKD_OK;
  for (int i = 0; i < v->c.solver_count && st == VKD_OK; i++) {
    const struct verify_solver *solver = &v->c.solvers[i];
    const struct sampler *sampler;
    double timestep = 0;
    const char *first = v->c.model.family == DIT_CROSS ? "v_cfg_step0" : "cfg_out_step0";
    st = sampler_find(solver->sampler, prediction, &sampler, err);
    if (st == VKD_OK) st = check_grid(v, solver, sampler, &timestep, err);
    if (st == VKD_OK && i == 0 && st_find(v->files[VERIFY_FILE_SAMPLE], first))
      st = compare_first(v, &s, first, timestep, err);
    if (st == VKD_OK) st = run_solver(v, &s, solver, sampler, prediction, err);
  }
  free(s.noise);
  return st;
}
