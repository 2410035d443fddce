#include "vkdm/verify.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "step.h"
#include "vkd/exec.h"
#include "vkdm/fileio.h"
#include "vkdm/sample.h"
#include "verify_case.h"

// ‖x - ref‖ / ‖ref‖ of outputs, gradients and samples in fp32.  Plain fp32 PyTorch is within 1.2e-6 of these references
// for gradients; a wrong epsilon or another GELU costs 1e-4 or more.  Samples are judged the same way and not by the
// case's largest absolute difference: their scale grows with the guidance, that of the rounding with it.
static const double tolerance_relative = 2e-5;
// ‖Δ - Δref‖ / ‖Δref‖ of the first updates Δ = p - p0 over all stored tensors.  Rounding the parameters to fp32 alone
// costs up to 1e-4 of an update of size lr = 1e-4, and plain fp32 PyTorch is at 1.3e-4; to leave out a weight decay of
// 0.01 costs 2e-3.
static const double tolerance_update = 1e-3;

enum file { FILE_WEIGHTS, FILE_IO, FILE_GRADS, FILE_ADAMW1, FILE_ADAMW3, FILE_SAMPLE, FILES };
static const char *const file_names[FILES] = {"weights.safetensors", "io.safetensors",     "grads.safetensors",
                                              "adamw1.safetensors",  "adamw3.safetensors", "sample.safetensors"};

struct verify {
  struct verify_case c;
  struct verify_report *report;
  struct st_file *files[FILES];
  struct params *params;
  // the training step
  struct vkd_graph *graph;
  struct vkd_program *program;
  vkd_tensor xt, target, s, context, hyper; // inputs
  vkd_tensor x0, noise, mix;                // inputs of the mix
  vkd_tensor mixed[2], out, loss;           // outputs
};

const char *verify_group_title(enum verify_group group) {
  static const char *const titles[VERIFY_GROUPS] = {
#define X(name, title) title,
      VERIFY_GROUP_MAP(X)
#undef X
  };
  return titles[group];
}

const char *verify_measure_name(enum verify_measure measure) {
  static const char *const names[] = {"relative", "absolute", "checks"};
  return names[measure];
}

void verify_report_free(struct verify_report *report) {
  free(report->rows);
  *report = (struct verify_report){0};
}

// ---- measures ------------------------------------------------------------------------------------------------------
static double relative(const float *x, const float *ref, uint64_t n) {
  double d2 = 0, r2 = 0;
  for (uint64_t i = 0; i < n; i++) {
    double d = (double)x[i] - (double)ref[i];
    d2 += d * d;
    r2 += (double)ref[i] * (double)ref[i];
  }
  return r2 > 0 ? sqrt(d2 / r2) : sqrt(d2);
}

static double largest(const float *x, const float *ref, uint64_t n) {
  double worst = 0;
  for (uint64_t i = 0; i < n; i++) {
    double d = fabs((double)x[i] - (double)ref[i]);
    if (!(d <= worst)) worst = d; // keeps a NaN
    if (isnan(worst)) break;
  }
  return worst;
}

static double checks_difference(const float *x, uint64_t n, const double ref[3]) {
  double sum = 0, square = 0, wave = 0;
  for (uint64_t i = 0; i < n; i++) {
    double v = (double)x[i];
    sum += v;
    square += v * v;
    wave += v * cos(0.37 * (double)i);
  }
  double a = fabs(sum - ref[0]), b = fabs(sqrt(square) - ref[1]), c = fabs(wave - ref[2]);
  return isnan(a + b + c) ? NAN : fmax(a, fmax(b, c));
}

static enum vkd_status add_row(struct verify *v, enum verify_group group, enum verify_measure measure, const char *name,
                               double error, double tolerance, struct vkd_error *err) {
  struct verify_report *r = v->report;
  if ((r->count & (r->count - 1)) == 0) {
    struct verify_row *more = realloc(r->rows, (size_t)(r->count ? 2 * r->count : 1) * sizeof *more);
    if (!more) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a report");
    r->rows = more;
  }
  struct verify_row *row = &r->rows[r->count++];
  *row = (struct verify_row){
      .group = group, .measure = measure, .error = error, .tolerance = tolerance, .pass = error <= tolerance};
  snprintf(row->name, sizeof row->name, "%s", name);
  r->failed += !row->pass;
  return VKD_OK;
}

// ---- files ---------------------------------------------------------------------------------------------------------
static enum vkd_status open_files(struct verify *v, const char *folder, struct vkd_error *err) {
  for (int i = 0; i < FILES; i++) {
    char *path = fileio_join(folder, file_names[i]);
    if (!path) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a path");
    enum vkd_status st = st_open(path, &v->files[i], err);
    free(path);
    if (st != VKD_OK) return st;
  }
  return VKD_OK;
}

// A float tensor of exactly that shape.
static enum vkd_status require(const struct verify *v, enum file file, const char *name, const struct vkd_shape *shape,
                               const struct st_tensor **out, struct vkd_error *err) {
  uint64_t dims[VKD_MAX_DIMS + 1];
  for (int i = 0; i < shape->rank; i++) dims[i] = (uint64_t)shape->dim[i];
  return st_require(v->files[file], name, shape->rank, dims, out, err);
}

static enum vkd_status read_tensor(const struct verify *v, enum file file, const char *name,
                                   const struct vkd_shape *shape, float *dst, struct vkd_error *err) {
  const struct st_tensor *t;
  enum vkd_status st = require(v, file, name, shape, &t, err);
  return st == VKD_OK ? st_read_f32(t, dst, err) : st;
}

static struct vkd_shape latent_of(const struct verify *v, int64_t batch) {
  const struct dit_config *m = &v->c.model;
  return VKD_SHAPE(batch, m->in_channels, m->latent[0], m->latent[1], m->latent[2]);
}

static struct vkd_shape context_of(const struct verify *v, int64_t batch) {
  return VKD_SHAPE(batch, v->c.model.text_len, v->c.model.text_dim);
}

// Sizes that case.json states are those of the files, so that no memory is taken on its word alone.
static enum vkd_status check_sizes(const struct verify *v, struct vkd_error *err) {
  struct dit_param *rows;
  int count;
  enum vkd_status st = dit_params(&v->c.model, &rows, &count, err);
  if (st != VKD_OK) return st;
  int64_t numel = 0;
  uint64_t stored = 0;
  for (int i = 0; i < count; i++) numel += rows[i].numel;
  for (size_t i = 0; i < st_count(v->files[FILE_WEIGHTS]); i++) stored += st_at(v->files[FILE_WEIGHTS], i)->numel;
  free(rows);
  if (numel != v->c.params || (uint64_t)numel != stored)
    return vkd_fail(err, VKD_ERR_INPUT, "%s: \"params\" %lld, but \"model\" has %lld and %s holds %llu", v->c.path,
                    (long long)v->c.params, (long long)numel, st_path(v->files[FILE_WEIGHTS]),
                    (unsigned long long)stored);
  const struct st_tensor *t;
  struct vkd_shape latent = latent_of(v, v->c.batch), context = context_of(v, v->c.batch);
  st = require(v, FILE_IO, "x_t", &latent, &t, err);
  return st == VKD_OK ? require(v, FILE_IO, "context", &context, &t, err) : st;
}

static enum vkd_status load_weights(struct verify *v, struct vkd_device *dev, struct vkd_error *err) {
  enum dit_naming naming;
  enum vkd_status st = params_create(&v->params, dev, &v->c.model, PARAMS_FOR_TRAINING, err);
  if (st == VKD_OK) st = params_load(v->params, PARAMS_WEIGHT, v->files[FILE_WEIGHTS], &naming, err);
  if (st == VKD_OK) st = params_load(v->params, PARAMS_EMA, v->files[FILE_WEIGHTS], NULL, err);
  if (st == VKD_OK && naming != v->c.naming)
    st = vkd_fail(err, VKD_ERR_INPUT, "%s: its tensors are not named as %s says", st_path(v->files[FILE_WEIGHTS]),
                  v->c.path);
  return st;
}

// ---- comparisons ---------------------------------------------------------------------------------------------------
static enum vkd_status compare(struct verify *v, enum verify_group group, const char *label, const float *x,
                               enum file file, const char *name, const struct vkd_shape *shape, struct vkd_error *err) {
  const struct st_tensor *t;
  enum vkd_status st = require(v, file, name, shape, &t, err);
  if (st != VKD_OK) return st;
  float *ref = malloc(t->numel * sizeof *ref);
  if (!ref) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %s", name);
  st = st_read_f32(t, ref, err);
  if (st == VKD_OK) st = add_row(v, group, VERIFY_RELATIVE, label, relative(x, ref, t->numel), tolerance_relative, err);
  free(ref);
  return st;
}

static enum vkd_status compare_output(struct verify *v, const char *name, vkd_tensor x, struct vkd_error *err) {
  struct vkd_shape shape = latent_of(v, v->c.batch);
  return compare(v, VERIFY_OUTPUT, name, vkd_program_output(v->program, 0, x), FILE_IO, name, &shape, err);
}

// Scratch for the largest parameter, three times.
static enum vkd_status scratch(const struct verify *v, float **out, int64_t *largest_numel, struct vkd_error *err) {
  *largest_numel = 1;
  for (int i = 0; i < v->params->count; i++)
    if (v->params->rows[i].numel > *largest_numel) *largest_numel = v->params->rows[i].numel;
  *out = malloc(3 * (size_t)*largest_numel * sizeof **out);
  return *out ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %lld values", (long long)*largest_numel);
}

static enum vkd_status compare_gradients(struct verify *v, struct vkd_error *err) {
  float *x;
  int64_t most;
  enum vkd_status st = scratch(v, &x, &most, err);
  for (int i = 0; i < v->params->count && st == VKD_OK; i++) {
    const struct dit_param *p = &v->params->rows[i];
    st = params_read(v->params, PARAMS_GRAD, i, x, err);
    if (st == VKD_OK)
      st = compare(v, VERIFY_GRADIENT, p->name[v->c.naming], x, FILE_GRADS, p->name[v->c.naming], &p->shape, err);
  }
  free(x);
  return st;
}

// Parameters after an update: stored tensors element by element, every tensor by its checks, and the whole update p -
// p0. AdamW's first steps are about lr * g / |g| whatever the size of g, so that where a gradient is of the size of its
// own rounding the sign is noise and the parameter is off by up to 2 lr per step.  A relative measure of one tensor
// would therefore show chance; the case's tolerance (5 to 10 times what plain fp32 PyTorch does to its worst element)
// bounds the single element, and the update of all stored tensors together is compared relatively.
static enum vkd_status compare_adamw(struct verify *v, enum verify_group group, enum file file, const char *key,
                                     struct vkd_error *err) {
  float *x, *ref, *before;
  int64_t most;
  double d2 = 0, r2 = 0, sums[3];
  int stored = 0;
  enum vkd_status st = scratch(v, &x, &most, err);
  if (st != VKD_OK) return st;
  ref = x + most;
  before = ref + most;
  for (int i = 0; i < v->params->count && st == VKD_OK; i++) {
    const struct dit_param *p = &v->params->rows[i];
    const char *name = p->name[v->c.naming];
    if ((st = params_read(v->params, PARAMS_WEIGHT, i, x, err)) != VKD_OK) break;
    if ((st = verify_case_checks(&v->c, key, name, sums, err)) != VKD_OK) break;
    st = add_row(v, group, VERIFY_CHECKS, name, checks_difference(x, (uint64_t)p->numel, sums), v->c.tol_checks, err);
    if (st != VKD_OK || !st_find(v->files[file], name)) continue;
    stored++;
    st = read_tensor(v, file, name, &p->shape, ref, err);
    if (st == VKD_OK) st = read_tensor(v, FILE_WEIGHTS, name, &p->shape, before, err);
    if (st != VKD_OK) break;
    for (int64_t k = 0; k < p->numel; k++) {
      double d = (double)x[k] - (double)ref[k], r = (double)ref[k] - (double)before[k];
      d2 += d * d;
      r2 += r * r;
    }
    st = add_row(v, group, VERIFY_ABSOLUTE, name, largest(x, ref, (uint64_t)p->numel), v->c.tol_adamw, err);
  }
  free(x);
  if (st == VKD_OK && !stored)
    st = vkd_fail(err, VKD_ERR_INPUT, "%s: holds no parameter of the model", st_path(v->files[file]));
  return st == VKD_OK
             ? add_row(v, group, VERIFY_RELATIVE, "update of all stored tensors", sqrt(d2 / r2), tolerance_update, err)
             : st;
}

static enum vkd_status compare_ema(struct verify *v, struct vkd_error *err) {
  float *x;
  int64_t most;
  enum vkd_status st = scratch(v, &x, &most, err);
  for (int i = 0; i < v->params->count && st == VKD_OK; i++) {
    const struct dit_param *p = &v->params->rows[i];
    const char *name = p->name[v->c.naming];
    double sums[3];
    st = params_read(v->params, PARAMS_EMA, i, x, err);
    if (st == VKD_OK) st = verify_case_checks(&v->c, "ema3", name, sums, err);
    if (st == VKD_OK)
      st = add_row(v, VERIFY_EMA3, VERIFY_CHECKS, name, checks_difference(x, (uint64_t)p->numel, sums), v->c.tol_checks,
                   err);
  }
  free(x);
  return st;
}

// ---- the training step ---------------------------------------------------------------------------------------------
// As training builds it, but for x_t, target and t, which come from the case; that the mix of x0 and noise gives the
// same is compared beside it.
static enum vkd_status build_step(struct verify *v, struct vkd_error *err) {
  const struct dit_config *m = &v->c.model;
  struct vkd_shape latent = latent_of(v, v->c.batch);
  enum vkd_status st = vkd_graph_create(&v->graph, err);
  if (st != VKD_OK) return st;
  struct vkd_graph *g = v->graph;
  vkd_tensor *weights = calloc((size_t)v->params->count, sizeof *weights);
  if (!weights) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a training step");
  params_tensors(v->params, g, PARAMS_WEIGHT, weights);
  v->xt = vkd_input(g, "x_t", VKD_F32, latent);
  v->target = vkd_input(g, "target", VKD_F32, latent);
  v->s = vkd_input(g, "s", VKD_F32, VKD_SHAPE(v->c.batch, m->freq_dim));
  v->context = vkd_input(g, "context", VKD_F32, context_of(v, v->c.batch));
  v->x0 = vkd_input(g, "x0", VKD_F32, latent);
  v->noise = vkd_input(g, "noise", VKD_F32, latent);
  v->mix = vkd_input(g, "mix", VKD_F32, VKD_SHAPE(v->c.batch, 4));
  v->hyper = vkd_input(g, "hyper", VKD_F32, VKD_SHAPE(VKD_HYPER_COUNT));
  vkd_diffuse(g, v->x0, v->noise, v->mix, &v->mixed[0], &v->mixed[1]);
  v->out = dit_forward(g, m, weights, &(struct dit_inputs){.x = v->xt, .s = v->s, .text = v->context});
  v->loss = vkd_mse(g, v->out, v->target);
  const vkd_tensor outputs[] = {v->mixed[0], v->mixed[1], v->out, v->loss};
  for (int i = 0; i < 4; i++) vkd_output(g, outputs[i]);
  st = step_gradients(g, v->params, weights, v->loss, err);
  free(weights);
  if (st != VKD_OK) return st;
  optim_update(g, v->params, PARAMS_GRAD, v->hyper);
  return vkd_program_create(&v->program, &(struct vkd_program_params){.device = v->params->dev, .graph = g}, err);
}

static enum vkd_status write_step(struct verify *v, struct vkd_error *err) {
  const struct {
    const char *name;
    vkd_tensor input;
  } inputs[] = {{"x_t", v->xt}, {"target", v->target}, {"context", v->context}, {"x0", v->x0}, {"noise", v->noise}};
  enum vkd_status st = VKD_OK;
  for (size_t i = 0; i < sizeof inputs / sizeof inputs[0] && st == VKD_OK; i++) {
    struct vkd_shape shape = vkd_tensor_shape(v->graph, inputs[i].input);
    st = read_tensor(v, FILE_IO, inputs[i].name, &shape, vkd_program_input(v->program, 0, inputs[i].input), err);
  }
  float *t = calloc((size_t)v->c.batch, sizeof *t);
  if (!t && st == VKD_OK) st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for timesteps");
  if (st == VKD_OK) st = read_tensor(v, FILE_IO, "sigma", &VKD_SHAPE(v->c.batch), t, err);
  float *mix = vkd_program_input(v->program, 0, v->mix);
  for (int i = 0; i < v->c.batch && st == VKD_OK; i++)
    for (int k = 0; k < 4; k++) mix[4 * i + k] = (float[]){1 - t[i], t[i], -1, 1}[k];
  if (st == VKD_OK) st = read_tensor(v, FILE_IO, "timestep", &VKD_SHAPE(v->c.batch), t, err);
  float *s = vkd_program_input(v->program, 0, v->s);
  int freq = v->c.model.freq_dim;
  for (int i = 0; i < v->c.batch && st == VKD_OK; i++)
    dit_timestep_embedding(freq, (double)t[i], s + (size_t)i * (size_t)freq);
  free(t);
  return st;
}

static enum vkd_status train(struct verify *v, struct vkd_error *err) {
  enum vkd_status st = build_step(v, err);
  if (st == VKD_OK) st = write_step(v, err);
  for (int step = 1; step <= VERIFY_STEPS && st == VKD_OK; step++) {
    char name[32];
    optim_hyper(&v->c.optim, step, vkd_program_input(v->program, 0, v->hyper));
    if ((st = vkd_program_run(v->program, err)) != VKD_OK) break;
    if (step == 1) {
      st = compare_output(v, "out", v->out, err);
      if (st == VKD_OK) st = compare_output(v, "x_t", v->mixed[0], err);
      if (st == VKD_OK) st = compare_output(v, "target", v->mixed[1], err);
      if (st == VKD_OK) st = compare_gradients(v, err);
      if (st == VKD_OK) st = compare_adamw(v, VERIFY_ADAMW1, FILE_ADAMW1, "adamw1", err);
    }
    double loss = (double)*(const float *)vkd_program_output(v->program, 0, v->loss);
    snprintf(name, sizeof name, "loss at step %d", step);
    if (st == VKD_OK)
      st = add_row(v, VERIFY_LOSS, VERIFY_ABSOLUTE, name, fabs(loss - v->c.loss[step - 1]), v->c.tol_loss, err);
  }
  if (st == VKD_OK) st = compare_adamw(v, VERIFY_ADAMW3, FILE_ADAMW3, "adamw3", err);
  return st == VKD_OK ? compare_ema(v, err) : st;
}

// ---- sampling ------------------------------------------------------------------------------------------------------
struct sampling {
  int64_t numel;
  float *noise, *text, *null_text, *latents; // [numel], [text], [text], [numel]
  float *steps, *steps_ref;                  // [sample_steps, numel]
};

static void keep_step(void *user, int step, const float *latents) {
  struct sampling *s = user;
  memcpy(s->steps + (size_t)step * (size_t)s->numel, latents, (size_t)s->numel * sizeof *latents);
}

static enum vkd_status read_sampling(const struct verify *v, struct sampling *s, struct vkd_error *err) {
  struct vkd_shape latent = latent_of(v, 1), text = context_of(v, 1), all = latent_of(v, v->c.sample_steps);
  s->numel = vkd_shape_numel(&latent);
  size_t numel = (size_t)s->numel, rows = (size_t)vkd_shape_numel(&text), steps = (size_t)v->c.sample_steps;
  const struct st_tensor *t;
  enum vkd_status st = require(v, FILE_SAMPLE, "euler_x", &all, &t, err); // before memory is taken for it
  if (st != VKD_OK) return st;
  float *block = calloc(2 * numel + 2 * rows + 2 * steps * numel, sizeof *block);
  if (!block) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for samples");
  s->noise = block;
  s->latents = s->noise + numel;
  s->text = s->latents + numel;
  s->null_text = s->text + rows;
  s->steps = s->null_text + rows;
  s->steps_ref = s->steps + steps * numel;
  st = read_tensor(v, FILE_SAMPLE, "noise", &latent, s->noise, err);
  if (st == VKD_OK) st = read_tensor(v, FILE_SAMPLE, "context", &text, s->text, err);
  if (st == VKD_OK) st = read_tensor(v, FILE_SAMPLE, "null_context", &text, s->null_text, err);
  return st == VKD_OK ? st_read_f32(t, s->steps_ref, err) : st;
}

// The guided velocity of the first step, from one pass over both conditions.
static enum vkd_status first_velocity(const struct verify *v, const struct sampling *s, float *out,
                                      struct vkd_error *err) {
  const struct dit_config *m = &v->c.model;
  struct vkd_graph *g;
  struct vkd_program *program = NULL;
  enum vkd_status st = vkd_graph_create(&g, err);
  if (st != VKD_OK) return st;
  vkd_tensor *weights = calloc((size_t)v->params->count, sizeof *weights);
  if (!weights) {
    vkd_graph_destroy(&g);
    return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a sampler");
  }
  params_tensors(v->params, g, PARAMS_WEIGHT, weights);
  vkd_tensor x = vkd_input(g, "x", VKD_F32, latent_of(v, 2)), e = vkd_input(g, "s", VKD_F32, VKD_SHAPE(2, m->freq_dim));
  vkd_tensor context = vkd_input(g, "context", VKD_F32, context_of(v, 2)),
             velocity = dit_forward(g, m, weights, &(struct dit_inputs){.x = x, .s = e, .text = context});
  vkd_output(g, velocity);
  st = vkd_program_create(&program, &(struct vkd_program_params){.device = v->params->dev, .graph = g}, err);
  if (st != VKD_OK) goto done;
  size_t numel = (size_t)s->numel, text = (size_t)m->text_len * (size_t)m->text_dim;
  double t = 1000 * flow_shift(1, v->c.sample_shift);
  for (size_t i = 0; i < 2; i++) { // null, wanted
    memcpy((float *)vkd_program_input(program, 0, x) + i * numel, s->noise, numel * sizeof(float));
    memcpy((float *)vkd_program_input(program, 0, context) + i * text, i ? s->text : s->null_text,
           text * sizeof(float));
    dit_timestep_embedding(m->freq_dim, t, (float *)vkd_program_input(program, 0, e) + i * (size_t)m->freq_dim);
  }
  st = vkd_program_run(program, err);
  const float *both = st == VKD_OK ? vkd_program_output(program, 0, velocity) : NULL;
  for (size_t i = 0; both && i < numel; i++)
    out[i] = (float)((double)both[i] + v->c.sample_cfg * ((double)both[numel + i] - (double)both[i]));
done:
  vkd_program_destroy(&program);
  vkd_graph_destroy(&g);
  free(weights);
  return st;
}

static enum vkd_status sample(struct verify *v, struct vkd_error *err) {
  struct sampling s = {0};
  struct vkd_shape latent = latent_of(v, 1);
  enum vkd_status st = read_sampling(v, &s, err);
  if (st == VKD_OK) st = first_velocity(v, &s, s.latents, err);
  if (st == VKD_OK)
    st = compare(v, VERIFY_SAMPLE, "guided velocity at step 0", s.latents, FILE_SAMPLE, "v_cfg_step0", &latent, err);
  struct sample_params p = {.params = v->params,
                            .kind = PARAMS_WEIGHT,
                            .count = 1,
                            .steps = v->c.sample_steps,
                            .shift = v->c.sample_shift,
                            .cfg = v->c.sample_cfg,
                            .text = s.text,
                            .null_text = s.null_text,
                            .noise = s.noise,
                            .after_step = keep_step,
                            .user = &s};
  if (st == VKD_OK) st = sample_run(&p, s.latents, err);
  for (int i = 0; i < v->c.sample_steps && st == VKD_OK; i++) {
    char name[48];
    snprintf(name, sizeof name, "latent after step %d", i);
    double e =
        relative(s.steps + (size_t)i * (size_t)s.numel, s.steps_ref + (size_t)i * (size_t)s.numel, (uint64_t)s.numel);
    st = add_row(v, VERIFY_SAMPLE, VERIFY_RELATIVE, name, e, tolerance_relative, err);
  }
  free(s.noise);
  return st;
}

// ---- all of it -----------------------------------------------------------------------------------------------------
// Worst first within a group; NaN is the worst.
static int by_group_and_excess(const void *a, const void *b) {
  const struct verify_row *x = a, *y = b;
  if (x->group != y->group) return x->group < y->group ? -1 : 1;
  double p = isnan(x->error) ? INFINITY : x->error / x->tolerance,
         q = isnan(y->error) ? INFINITY : y->error / y->tolerance;
  if (p != q) return p > q ? -1 : 1;
  return strcmp(x->name, y->name);
}

enum vkd_status verify_case(struct vkd_device *dev, const char *folder, struct verify_report *report,
                            struct vkd_error *err) {
  *report = (struct verify_report){0};
  struct verify v = {.report = report};
  char *path = fileio_join(folder, "case.json");
  enum vkd_status st = path ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a path");
  if (st == VKD_OK && !fileio_is_dir(folder)) st = vkd_fail(err, VKD_ERR_INPUT, "%s: no such folder", folder);
  if (st == VKD_OK) st = verify_case_read(&v.c, path, err);
  if (st == VKD_OK) st = open_files(&v, folder, err);
  if (st == VKD_OK) st = check_sizes(&v, err);
  if (st == VKD_OK) st = load_weights(&v, dev, err);
  if (st == VKD_OK) st = sample(&v, err); // with the initial weights
  if (st == VKD_OK) st = train(&v, err);
  snprintf(report->family, sizeof report->family, "%s", v.c.family);
  snprintf(report->naming, sizeof report->naming, "%s", dit_naming_name(v.c.naming));
  report->params = v.c.params;
  if (st == VKD_OK)
    qsort(report->rows, (size_t)report->count, sizeof *report->rows, by_group_and_excess);
  else
    verify_report_free(report);
  vkd_program_destroy(&v.program);
  vkd_graph_destroy(&v.graph);
  params_destroy(&v.params);
  for (int i = 0; i < FILES; i++) st_close(&v.files[i]);
  verify_case_free(&v.c);
  free(path);
  return st;
}
