// The training step of a case: forward pass, loss, gradients, and three updates on one batch.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "step.h"
#include "verify_internal.h"
#include "vkd/exec.h"
#include "vkdm/objective.h"

// ‖Δ - Δref‖ / ‖Δref‖ of the first updates Δ = p - p0 over all stored tensors.  Rounding the parameters to fp32 alone
// costs up to 1e-4 of an update of size lr = 1e-4, and plain fp32 PyTorch is at 1.4e-4; to leave out a weight decay of
// 0.01 costs 2e-3.
static const double tolerance_update = 1e-3;

// ---- parameters ----------------------------------------------------------------------------------------------------
// One tensor of the case at a time, in scratch for the largest.
struct scratch {
  float *x, *ref, *before;
};

static enum vkd_status scratch_create(const struct verify *v, struct scratch *s, struct vkd_error *err) {
  int64_t most = 1;
  for (int i = 0; i < v->tensor_count; i++) {
    int64_t numel = vkd_shape_numel(&v->tensors[i].shape);
    if (numel > most) most = numel;
  }
  s->x = malloc(3 * (size_t)most * sizeof *s->x);
  if (!s->x) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %lld values", (long long)most);
  s->ref = s->x + most;
  s->before = s->ref + most;
  return VKD_OK;
}

// Whether the case has values of its own for tensor t: not of copies, and not of what is not trained.
static bool compared(const struct verify *v, const struct naming_tensor *t) {
  return !t->copy && !v->params->rows[t->param].frozen;
}

static enum vkd_status read_param(const struct verify *v, enum params_kind kind, const struct naming_tensor *t,
                                  float *dst, struct vkd_error *err) {
  const struct dit_param *p = &v->params->rows[t->param];
  uint64_t width = (uint64_t)(p->numel / p->shape.dim[0]);
  return params_read_part(v->params, kind, t->param, (uint64_t)t->first * width, (uint64_t)t->rows * width, dst, err);
}

// Family cross_dit: whether the parameter makes queries or keys, and nothing else, of an attention to one key.
static bool without_effect(const struct dit_config *m, const char *name) {
  static const char *const layers[] = {"q.", "k.", "norm_q.", "norm_k."};
  const char *of_self = strstr(name, ".self_attn."), *of_cross = strstr(name, ".cross_attn."), *layer = NULL;
  if (of_self && dit_tokens(m) == 1) layer = of_self + strlen(".self_attn.");
  if (of_cross && m->text_len == 1) layer = of_cross + strlen(".cross_attn.");
  if (m->text_len == 1 && strstr(name, ".norm3.")) return true; // before the cross-attention's queries
  for (size_t i = 0; layer && i < sizeof layers / sizeof layers[0]; i++)
    if (strncmp(layer, layers[i], strlen(layers[i])) == 0) return true;
  return false;
}

// Softmax does not see a bias of the keys where they are not normed, and over one key it is 1 whatever queries and keys
// are.  There the gradient is exactly zero, and AdamW turns what rounding leaves of it into steps of up to lr.  Those
// elements: [*first, *first + *count) of tensor t; *count 0: none.
static void without_gradient(const struct verify *v, const struct naming_tensor *t, int64_t *first, int64_t *count) {
  const struct dit_config *m = &v->c.model;
  const struct dit_param *p = &v->params->rows[t->param];
  int64_t begin = 0, end = 0; // rows of the parameter
  if (m->family == DIT_CROSS) {
    end = without_effect(m, p->name[DIT_NAMING_WAN]) ? p->shape.dim[0] : 0;
  } else if (strstr(p->name[DIT_NAMING_META], ".attn.qkv.")) {
    bool bias = strstr(p->name[DIT_NAMING_META], ".bias") != NULL, one = dit_tokens(m) == 1;
    begin = one ? 0 : m->dim;
    end = one || bias ? 2 * (int64_t)m->dim : begin;
  }
  begin = begin > t->first ? begin - t->first : 0;
  end = end - t->first < t->rows ? end - t->first : t->rows;
  int64_t width = p->numel / p->shape.dim[0];
  *first = begin * width;
  *count = end > begin ? (end - begin) * width : 0;
}

static enum vkd_status compare_gradients(struct verify *v, struct vkd_error *err) {
  struct scratch s = {.x = NULL};
  enum vkd_status st = scratch_create(v, &s, err);
  if (st != VKD_OK) return st;
  for (int i = 0; i < v->tensor_count && st == VKD_OK; i++) {
    const struct naming_tensor *t = &v->tensors[i];
    int64_t first, count;
    without_gradient(v, t, &first, &count);
    if (!compared(v, t) || count == vkd_shape_numel(&t->shape)) continue;
    st = read_param(v, PARAMS_GRAD, t, s.x, err);
    if (st == VKD_OK) st = verify_compare(v, VERIFY_GRADIENT, t->name, s.x, VERIFY_FILE_GRADS, t->name, &t->shape, err);
  }
  free(s.x);
  return st;
}

// What weight decay alone makes of elements without a gradient, after `updates`; in their place in x.  Returns by how
// much they were off.
static double settle(const struct verify *v, const struct naming_tensor *t, int updates, bool ema, const float *before,
                     float *x) {
  const struct optim_settings *o = &v->c.optim;
  double worst = 0;
  int64_t first, count;
  without_gradient(v, t, &first, &count);
  for (int64_t i = first; i < first + count; i++) {
    double p = (double)before[i], mean = p;
    for (int k = 0; k < updates; k++) {
      p *= 1 - o->lr * o->weight_decay;
      mean = o->ema * mean + (1 - o->ema) * p;
    }
    double ref = ema ? mean : p, d = fabs((double)x[i] - ref);
    if (!(d <= worst)) worst = d;
    x[i] = (float)ref;
  }
  return worst;
}

// Reads a parameter and its initial values; elements without a gradient become a row of their own.
static enum vkd_status read_settled(struct verify *v, enum verify_group group, enum params_kind kind, int updates,
                                    const struct naming_tensor *t, const struct scratch *s, struct vkd_error *err) {
  int64_t first, count;
  enum vkd_status st = read_param(v, kind, t, s->x, err);
  if (st == VKD_OK) st = verify_read(v, VERIFY_FILE_WEIGHTS, t->name, &t->shape, s->before, err);
  if (st != VKD_OK) return st;
  without_gradient(v, t, &first, &count);
  if (!count) return VKD_OK;
  char name[120];
  snprintf(name, sizeof name, "%.80s (elements without a gradient)", t->name);
  double error = settle(v, t, updates, kind == PARAMS_EMA, s->before, s->x);
  return verify_add_row(v, group, VERIFY_ABSOLUTE, name, error, updates * v->c.optim.lr, err);
}

// Parameters after an update: stored tensors element by element, every tensor by its checks, and the whole update p -
// p0. AdamW's first steps are about lr * g / |g| whatever the size of g, so that where a gradient is of the size of its
// own rounding the sign is noise and the parameter is off by up to 2 lr per step.  A relative measure of one tensor
// would therefore show chance; the case's tolerance (5 to 10 times what plain fp32 PyTorch does to its worst element)
// bounds the single element, and the update of all stored tensors together is compared relatively.
static enum vkd_status compare_adamw(struct verify *v, enum verify_group group, enum verify_file file, const char *key,
                                     int updates, struct vkd_error *err) {
  struct scratch s = {.x = NULL};
  double d2 = 0, r2 = 0, p2 = 0, sums[3];
  int stored = 0;
  enum vkd_status st = scratch_create(v, &s, err);
  if (st != VKD_OK) return st;
  for (int i = 0; i < v->tensor_count && st == VKD_OK; i++) {
    const struct naming_tensor *t = &v->tensors[i];
    uint64_t numel = (uint64_t)vkd_shape_numel(&t->shape);
    if (!compared(v, t)) continue;
    if ((st = read_settled(v, group, PARAMS_WEIGHT, updates, t, &s, err)) != VKD_OK) break;
    if ((st = verify_case_checks(&v->c, key, t->name, sums, err)) != VKD_OK) break;
    st = verify_add_row(v, group, VERIFY_CHECKS, t->name, verify_checks_difference(s.x, numel, sums), v->c.tol_checks,
                        err);
    if (st != VKD_OK || !st_find(v->files[file], t->name)) continue;
    stored++;
    if ((st = verify_read(v, file, t->name, &t->shape, s.ref, err)) != VKD_OK) break;
    for (uint64_t k = 0; k < numel; k++) {
      double d = (double)s.x[k] - (double)s.ref[k], r = (double)s.ref[k] - (double)s.before[k];
      d2 += d * d;
      r2 += r * r;
      p2 += (double)s.ref[k] * (double)s.ref[k];
    }
    st = verify_add_row(v, group, VERIFY_ABSOLUTE, t->name, verify_largest(s.x, s.ref, numel), v->c.tol_adamw, err);
  }
  free(s.x);
  if (st == VKD_OK && !stored)
    st = vkd_fail(err, VKD_ERR_INPUT, "%s: holds no parameter of the model", st_path(v->files[file]));
  if (st == VKD_OK)
    st = verify_add_row(v, group, VERIFY_RELATIVE, "all stored tensors", sqrt(d2 / p2), VERIFY_TOLERANCE, err);
  return st == VKD_OK
             ? verify_add_row(v, group, VERIFY_RELATIVE, "their update alone", sqrt(d2 / r2), tolerance_update, err)
             : st;
}

static enum vkd_status compare_ema(struct verify *v, struct vkd_error *err) {
  struct scratch s = {.x = NULL};
  double sums[3];
  enum vkd_status st = scratch_create(v, &s, err);
  if (st != VKD_OK) return st;
  for (int i = 0; i < v->tensor_count && st == VKD_OK; i++) {
    const struct naming_tensor *t = &v->tensors[i];
    if (!compared(v, t)) continue;
    st = read_settled(v, VERIFY_EMA3, PARAMS_EMA, VERIFY_STEPS, t, &s, err);
    if (st == VKD_OK) st = verify_case_checks(&v->c, "ema3", t->name, sums, err);
    if (st == VKD_OK)
      st = verify_add_row(v, VERIFY_EMA3, VERIFY_CHECKS, t->name,
                          verify_checks_difference(s.x, (uint64_t)vkd_shape_numel(&t->shape), sums), v->c.tol_checks,
                          err);
  }
  free(s.x);
  return st;
}

// ---- the step ------------------------------------------------------------------------------------------------------
struct training {
  struct vkd_graph *graph;
  struct vkd_program *program;
  struct objective_inputs in;
  struct objective_parts parts;
  vkd_tensor noise, hyper, loss;
};

static enum config_objective objective_of(const struct verify *v) {
  const struct dit_config *m = &v->c.model;
  if (m->family == DIT_CROSS) return CONFIG_FLOW;
  return m->out_channels == m->in_channels ? CONFIG_DDPM : CONFIG_HYBRID;
}

// As training builds it, but for the noise and its levels, which come from the case.
static enum vkd_status build_step(struct verify *v, struct training *t, struct vkd_error *err) {
  const struct dit_config *m = &v->c.model;
  enum config_objective objective = objective_of(v);
  enum vkd_status st = vkd_graph_create(&t->graph, err);
  if (st != VKD_OK) return st;
  struct vkd_graph *g = t->graph;
  vkd_tensor *weights = calloc((size_t)v->params->count, sizeof *weights);
  if (!weights) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a training step");
  params_tensors(v->params, g, PARAMS_WEIGHT, weights);
  objective_make_inputs(g, objective, m, v->c.batch, &t->in);
  t->noise = vkd_input(g, "noise", VKD_F32, vkd_tensor_shape(g, t->in.x0));
  t->hyper = vkd_input(g, "hyper", VKD_F32, VKD_SHAPE(VKD_HYPER_COUNT));
  t->loss = objective_loss_of(g, objective, m, weights, &t->in, t->noise, &t->parts);
  const vkd_tensor outputs[] = {t->loss, t->parts.y, t->parts.xt, t->parts.target, t->parts.terms};
  for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; i++)
    if (outputs[i].id) vkd_output(g, outputs[i]);
  st = step_gradients(g, v->params, weights, t->loss, err);
  free(weights);
  if (st != VKD_OK) return st;
  optim_update(g, v->params, PARAMS_GRAD, t->hyper, (vkd_tensor){0});
  return vkd_program_create(&t->program, &(struct vkd_program_params){.device = v->params->dev, .graph = g}, err);
}

// The case's noise levels as what training would have drawn; levels, times: [batch]
static enum vkd_status write_levels(const struct verify *v, const struct training *t, float *levels, float *times,
                                    struct vkd_error *err) {
  struct vkd_shape batch = VKD_SHAPE(v->c.batch);
  struct config config;
  config_default(&config);
  config.train.objective = objective_of(v);
  bool flow = config.train.objective == CONFIG_FLOW;
  enum vkd_status st = verify_read_numbers(v, VERIFY_FILE_IO, flow ? "sigma" : "t", &batch, levels, err);
  if (st == VKD_OK) st = verify_read_numbers(v, VERIFY_FILE_IO, flow ? "timestep" : "t", &batch, times, err);
  for (int i = 0; i < v->c.batch && st == VKD_OK; i++) {
    struct objective_draw draw;
    double u = flow ? (double)levels[i] : ((double)levels[i] + 0.5) / 1000;
    if (!(u >= 0 && u <= 1))
      return vkd_fail(err, VKD_ERR_INPUT, "%s: noise level %d is out of range", st_path(v->files[VERIFY_FILE_IO]), i);
    objective_draw(&config, u, &draw);
    draw.timestep = (double)times[i]; // rounded, where it is no whole number
    objective_write(t->program, 0, &t->in, i, &v->c.model, &draw);
  }
  return st;
}

static enum vkd_status write_step(const struct verify *v, const struct training *t, struct vkd_error *err) {
  const struct dit_config *m = &v->c.model;
  struct vkd_shape latent = verify_latent(v, v->c.batch, m->in_channels);
  float *x0 = vkd_program_input(t->program, 0, t->in.x0), *noise = vkd_program_input(t->program, 0, t->noise);
  enum vkd_status st = verify_read(v, VERIFY_FILE_IO, "x0", &latent, x0, err);
  if (st == VKD_OK) st = verify_read(v, VERIFY_FILE_IO, "noise", &latent, noise, err);
  if (st == VKD_OK) st = verify_conditions(v, t->program, &t->in.model, v->c.batch, err);
  float *levels = calloc(2 * (size_t)v->c.batch, sizeof *levels);
  if (!levels && st == VKD_OK) st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for noise levels");
  if (st == VKD_OK) st = write_levels(v, t, levels, levels + v->c.batch, err);
  free(levels);
  return st;
}

static enum vkd_status compare_outputs(struct verify *v, const struct training *t, struct vkd_error *err) {
  const struct dit_config *m = &v->c.model;
  struct vkd_shape in = verify_latent(v, v->c.batch, m->in_channels),
                   out = verify_latent(v, v->c.batch, m->out_channels);
  enum vkd_status st = verify_compare(v, VERIFY_OUTPUT, "out", vkd_program_output(t->program, 0, t->parts.y),
                                      VERIFY_FILE_IO, "out", &out, err);
  if (st == VKD_OK)
    st = verify_compare(v, VERIFY_OUTPUT, "x_t", vkd_program_output(t->program, 0, t->parts.xt), VERIFY_FILE_IO, "x_t",
                        &in, err);
  if (st == VKD_OK && st_find(v->files[VERIFY_FILE_IO], "target"))
    st = verify_compare(v, VERIFY_OUTPUT, "target", vkd_program_output(t->program, 0, t->parts.target), VERIFY_FILE_IO,
                        "target", &in, err);
  return st;
}

// Every sample's terms, where the case states them.
static enum vkd_status compare_terms(struct verify *v, const struct training *t, struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  const json_t *const stated[2] = {v->c.mse, v->c.vb};
  const float *terms = t->parts.terms.id ? vkd_program_output(t->program, 0, t->parts.terms) : NULL;
  for (int i = 0; terms && i < 2 * v->c.batch && st == VKD_OK; i++) {
    char name[48];
    double ref = verify_case_number(stated[i % 2], (size_t)i / 2);
    if (!stated[i % 2]) continue;
    snprintf(name, sizeof name, "%s of sample %d", i % 2 ? "vb" : "mse", i / 2);
    st = verify_add_row(v, VERIFY_LOSS, VERIFY_RELATIVE, name, fabs((double)terms[i] - ref) / fabs(ref),
                        VERIFY_TOLERANCE, err);
  }
  return st;
}

static enum vkd_status run_steps(struct verify *v, const struct training *t, struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  for (int step = 1; step <= VERIFY_STEPS && st == VKD_OK; step++) {
    char name[32];
    optim_hyper(&v->c.optim, step, vkd_program_input(t->program, 0, t->hyper));
    if ((st = vkd_program_run(t->program, err)) != VKD_OK) break;
    if (step == 1) {
      st = compare_outputs(v, t, err);
      if (st == VKD_OK) st = compare_terms(v, t, err);
      if (st == VKD_OK) st = compare_gradients(v, err);
      if (st == VKD_OK) st = compare_adamw(v, VERIFY_ADAMW1, VERIFY_FILE_ADAMW1, "adamw1", 1, err);
    }
    double loss = (double)*(const float *)vkd_program_output(t->program, 0, t->loss);
    snprintf(name, sizeof name, "loss at step %d", step);
    if (st == VKD_OK)
      st = verify_add_row(v, VERIFY_LOSS, VERIFY_ABSOLUTE, name, fabs(loss - v->c.loss[step - 1]), v->c.tol_loss, err);
  }
  if (st == VKD_OK) st = compare_adamw(v, VERIFY_ADAMW3, VERIFY_FILE_ADAMW3, "adamw3", VERIFY_STEPS, err);
  return st == VKD_OK ? compare_ema(v, err) : st;
}

enum vkd_status verify_train(struct verify *v, struct vkd_error *err) {
  struct training t = {.graph = NULL};
  enum vkd_status st = build_step(v, &t, err);
  if (st == VKD_OK) st = write_step(v, &t, err);
  if (st == VKD_OK) st = run_steps(v, &t, err);
  vkd_program_destroy(&t.program);
  vkd_graph_destroy(&t.graph);
  return st;
}
