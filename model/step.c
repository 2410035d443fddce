#include "step.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exchange.h"
#include "vkdm/clock.h"

enum { SLOTS = 2 };

struct step {
  const struct config *config; // train.batch: of this rank
  struct params *params;
  struct comm *comm; // NULL: no other ranks
  int passes, micro; // of this rank
  // forward and backward of a micro-batch; the update too where one pass makes a step
  struct vkd_graph *graph;
  struct vkd_program *program;
  struct objective_inputs in;
  vkd_tensor loss, hyper, norm2;
  vkd_tensor scale; // input [1] of the loss scale; empty: none
  // the update alone, where several passes, of this rank or of several, make a step
  struct vkd_graph *update_graph;
  struct vkd_program *update;
  vkd_tensor mean_loss;      // input [1]: the host has the passes' losses; several ranks put in norm2
  struct exchange *exchange; // of gradients; NULL: there is one rank
  // where each rank updates a part: of the weights, and then their copies again from them; else NULL
  struct exchange *weights;
  struct vkd_graph *copy_graph;
  struct vkd_program *copies;
  double flops;
  int64_t pending[SLOTS]; // step in flight in each slot; 0: none
  double waited;          // seconds
  struct loss_scale loss_scale;
};

static int all_passes(const struct step *s) { return s->passes * comm_size(s->comm); }

// Where gradients are added up before the update.
static enum params_kind summed(const struct step *s) { return s->passes > 1 ? PARAMS_GRAD_SUM : PARAMS_GRAD; }

struct places {
  struct vkd_graph *graph;
  vkd_tensor *grads, *sums; // sums: NULL, or where gradients are added up besides
};

static void place_gradient(void *user, int i, vkd_tensor grad) {
  const struct places *p = user;
  vkd_place(p->graph, grad, p->grads[i]);
  if (p->sums) vkd_accumulate(p->graph, p->sums[i], grad);
}

// scale [1] or empty: that the loss is multiplied with.  add_up: into PARAMS_GRAD_SUM too, each once it is complete.
static enum vkd_status gradients(struct vkd_graph *g, const struct params *params, const vkd_tensor *weights,
                                 vkd_tensor loss, vkd_tensor scale, bool add_up, struct vkd_error *err) {
  int n = params->count, trained = 0;
  vkd_tensor *grads = calloc(3 * (size_t)n, sizeof *grads), *sums = grads + n, *wrt = sums + n;
  if (!grads) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %d gradients", n);
  params_tensors(params, g, PARAMS_GRAD, grads);
  if (add_up) params_tensors(params, g, PARAMS_GRAD_SUM, sums);
  for (int i = 0; i < n; i++) {
    if (params->rows[i].frozen) continue;
    wrt[trained] = weights[i];
    sums[trained] = sums[i];
    grads[trained++] = grads[i];
  }
  if (!scale.id) scale = vkd_constant(g, "dloss", VKD_F32, VKD_SHAPE(1), &(float){1});
  vkd_grad_take(g, loss, scale, wrt, trained, place_gradient, &(struct places){g, grads, add_up ? sums : NULL});
  free(grads);
  return vkd_graph_status(g, err);
}

enum vkd_status step_gradients(struct vkd_graph *g, const struct params *params, const vkd_tensor *weights,
                               vkd_tensor loss, struct vkd_error *err) {
  return gradients(g, params, weights, loss, (vkd_tensor){0}, false, err);
}

// trace: nothing comes after the gradients but their norm
static enum vkd_status build_pass(struct step *s, int micro, bool recompute, bool trace, struct vkd_graph **out,
                                  struct vkd_error *err) {
  enum vkd_status st = vkd_graph_create(out, err);
  if (st != VKD_OK) return st;
  struct vkd_graph *g = *out;
  vkd_tensor *weights = calloc((size_t)s->params->count, sizeof *weights);
  if (!weights) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a training step");
  enum config_objective objective = s->config->train.objective;
  struct dit_config model = s->params->config;
  model.recompute = recompute;
  objective_make_inputs(g, objective, &model, micro, &s->in);
  params_tensors(s->params, g, PARAMS_WEIGHT, weights);
  params_bind_copies(s->params, g, weights);
  s->loss = objective_loss(g, objective, &model, weights, &s->in, NULL);
  vkd_output(g, s->loss);
  if (s->loss_scale.scale > 0) s->scale = vkd_input(g, "loss_scale", VKD_F32, VKD_SHAPE(1));
  // Of several ranks each gradient is sent as soon as it is complete; else one pass over all adds them up.
  bool early = s->comm && s->passes > 1 && !trace;
  st = gradients(g, s->params, weights, s->loss, s->scale, early, err);
  free(weights);
  if (st != VKD_OK) return st;
  if (trace) {
    vkd_output(g, optim_norm2(g, s->params, PARAMS_GRAD));
  } else if (all_passes(s) == 1) {
    s->hyper = vkd_input(g, "hyper", VKD_F32, VKD_SHAPE(VKD_HYPER_COUNT));
    s->norm2 = optim_update(g, s->params, PARAMS_GRAD, s->hyper, s->loss);
    vkd_output(g, s->norm2);
  } else if (s->passes > 1 && !early) {
    for (uint32_t k = 0; k < s->params->trainable_segments; k++)
      vkd_accumulate(g, params_segment(s->params, g, PARAMS_GRAD_SUM, k), params_segment(s->params, g, PARAMS_GRAD, k));
  }
  return vkd_graph_status(g, err);
}

static enum vkd_status build_update(struct step *s, struct vkd_error *err) {
  enum vkd_status st = vkd_graph_create(&s->update_graph, err);
  if (st != VKD_OK) return st;
  struct vkd_graph *g = s->update_graph;
  s->hyper = vkd_input(g, "hyper", VKD_F32, VKD_SHAPE(VKD_HYPER_COUNT));
  if (s->comm) {
    s->norm2 = vkd_input(g, "norm2", VKD_F32, VKD_SHAPE(1));
    optim_apply(g, s->params, summed(s), s->hyper, s->norm2);
  } else {
    s->mean_loss = vkd_input(g, "loss", VKD_F32, VKD_SHAPE(1));
    s->norm2 = optim_update(g, s->params, summed(s), s->hyper, s->mean_loss);
    vkd_output(g, s->norm2);
  }
  for (uint32_t k = 0; s->passes > 1 && k < s->params->trainable_segments; k++)
    vkd_zero(g, params_segment(s->params, g, PARAMS_GRAD_SUM, k));
  return vkd_graph_status(g, err);
}

// Parts of the weights that other ranks have updated came without their copies.
static enum vkd_status build_copies(struct step *s, struct vkd_error *err) {
  enum vkd_status st = vkd_graph_create(&s->copy_graph, err);
  if (st != VKD_OK) return st;
  struct vkd_graph *g = s->copy_graph;
  vkd_graph_label_push(g, "optim");
  for (uint32_t k = 0; k < s->params->trainable_segments; k++)
    vkd_place(g, vkd_cast(g, params_segment(s->params, g, PARAMS_WEIGHT, k), s->params->config.compute),
              params_segment(s->params, g, PARAMS_COPY, k));
  vkd_graph_label_pop(g);
  return vkd_graph_status(g, err);
}

// Whether a pass would fit, and the bytes it takes.
static bool pass_fits(struct step *s, int micro, bool recompute, uint64_t *need) {
  const struct vkd_device_caps *caps = vkd_device_get_caps(s->params->dev);
  uint64_t used = vkd_device_allocated(s->params->dev, NULL),
           left = caps->memory_budget > used ? caps->memory_budget - used : 0;
  struct vkd_graph *g = NULL;
  struct vkd_plan_info info = {0};
  enum vkd_status st = build_pass(s, micro, recompute, false, &g, NULL);
  if (st == VKD_OK)
    st =
        vkd_plan_query(&(struct vkd_program_params){.device = s->params->dev, .graph = g, .slots = SLOTS}, &info, NULL);
  vkd_graph_destroy(&g);
  *need = info.temporaries + info.inputs + info.outputs + info.constants + info.staging;
  if (s->passes == 1 && micro < s->micro) *need += (uint64_t)s->params->trainable * 4; // the gradients' sum
  return st == VKD_OK && *need <= left;
}

// The largest micro-batch below this one that would fit; 0: none.
static int fitting_micro(struct step *s, bool recompute, uint64_t *need) {
  for (int parts = 2, batch = s->config->train.batch; parts <= batch; parts++)
    if (batch % parts == 0 && batch / parts < s->micro && pass_fits(s, batch / parts, recompute, need))
      return batch / parts;
  return 0;
}

// Adds "SETTINGS would fit (N MiB)" to a list; micro 0: passes stay as they are.
static void offer(char list[256], bool recompute, int micro, uint64_t bytes) {
  size_t at = strlen(list);
  char size[48] = "";
  if (micro) snprintf(size, sizeof size, "%strain.micro_batch=%d", recompute ? " with " : "", micro);
  snprintf(list + at, 256 - at, "%s%s%s %s(%.1f MiB)", at ? ", or " : "", recompute ? "train.recompute=true" : "", size,
           at ? "" : "would fit ", (double)bytes / 1048576);
}

// Adds to a "does not fit" error what would: blocks computed again, smaller passes, or both where that leaves them
// larger.  A graph of tensors with too many elements counts as one where a smaller micro-batch helps.
static enum vkd_status explain_memory(struct step *s, struct vkd_error *err) {
  bool does = s->params->config.recompute;
  char fits[256] = "";
  uint64_t bytes, bytes_both = 0;
  bool again = !does && pass_fits(s, s->micro, true, &bytes);
  if (again) offer(fits, true, 0, bytes);
  int micro = fitting_micro(s, does, &bytes), both = does || again ? 0 : fitting_micro(s, true, &bytes_both);
  if (both > micro) offer(fits, true, both, bytes_both);
  if (micro) offer(fits, false, micro, bytes);
  if (!*fits && err->status != VKD_ERR_DEVICE_MEMORY) return err->status;
  if (!*fits) snprintf(fits, sizeof fits, "no micro-batch fits: lower model.dim, depth or the clip's size");
  struct vkd_error whole = {0};
  vkd_fail(&whole, VKD_ERR_DEVICE_MEMORY, "train.batch %d in passes of %d: %.700s; %s", s->config->train.batch,
           s->micro, err->what, fits);
  *err = whole;
  return whole.status;
}

// FLOPs of an update of all parameters, whoever makes it.
static enum vkd_status update_flops(const struct step *s, double *flops, struct vkd_error *err) {
  struct params whole = params_whole(s->params);
  struct vkd_graph *g = NULL;
  enum vkd_status st = vkd_graph_create(&g, err);
  if (st != VKD_OK) return st;
  optim_update(g, &whole, PARAMS_GRAD, vkd_input(g, "hyper", VKD_F32, VKD_SHAPE(VKD_HYPER_COUNT)), (vkd_tensor){0});
  if ((st = vkd_graph_status(g, err)) == VKD_OK) *flops = vkd_graph_flops(g);
  vkd_graph_destroy(&g);
  return st;
}

// FLOPs of a graph without what recomputation adds: the work that the model asks for, whatever memory it has.
static enum vkd_status model_flops(const struct vkd_graph *g, double *flops, struct vkd_error *err) {
  struct vkd_op_profile *rows = NULL;
  uint32_t count = 0;
  enum vkd_status st = vkd_graph_profile(g, &rows, &count, err);
  *flops = 0;
  for (uint32_t i = 0; i < count && st == VKD_OK; i++)
    if (strncmp(rows[i].label, "recompute/", 10) != 0) *flops += rows[i].flops;
  free(rows);
  return st;
}

static enum vkd_status create_programs(struct step *s, struct vkd_error *err) {
  struct vkd_device *dev = s->params->dev;
  struct vkd_program_params pass = {.device = dev, .graph = s->graph, .slots = SLOTS};
  pass.buckets = exchange_buckets(s->exchange, &pass.bucket_count);
  enum vkd_status st = vkd_program_create(&s->program, &pass, err);
  if (st == VKD_ERR_DEVICE_MEMORY) return explain_memory(s, err);
  struct vkd_program_params update = {.device = dev, .graph = s->update_graph};
  update.buckets = exchange_buckets(s->weights, &update.bucket_count);
  if (st == VKD_OK && s->update_graph) st = vkd_program_create(&s->update, &update, err);
  if (st == VKD_OK && s->copy_graph)
    st = vkd_program_create(&s->copies, &(struct vkd_program_params){.device = dev, .graph = s->copy_graph}, err);
  return st;
}

static enum vkd_status create_exchanges(struct step *s, struct vkd_error *err) {
  bool parts = s->params->ranks > 1;
  enum vkd_status st =
      exchange_create(&s->exchange, s->comm, s->params, summed(s), parts ? COMM_SUM_PART : COMM_SUM, err);
  if (st == VKD_OK && parts) st = exchange_create(&s->weights, s->comm, s->params, PARAMS_WEIGHT, COMM_GATHER, err);
  return st;
}

static enum vkd_status create(struct step **out, const struct config *config, struct params *params, struct comm *comm,
                              bool programs, struct vkd_error *err) {
  struct step *s = *out = calloc(1, sizeof *s);
  if (!s) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a training step");
  s->config = config;
  s->params = params;
  s->comm = comm;
  s->passes = config_accumulation(config);
  s->micro = config_micro_batch(config);
  if (config->train.precision == CONFIG_FP16) s->loss_scale.scale = LOSS_SCALE_START;
  struct vkd_error why = {0};
  enum vkd_status st = build_pass(s, s->micro, params->config.recompute, false, &s->graph, &why);
  if (st == VKD_ERR_SHAPE) st = explain_memory(s, &why);
  double flops = 0;
  if (st == VKD_OK && all_passes(s) > 1) st = build_update(s, &why);
  if (st == VKD_OK && all_passes(s) > 1) st = update_flops(s, &flops, &why);
  if (st == VKD_OK && params->ranks > 1 && params->buffers[PARAMS_COPY]) st = build_copies(s, &why);
  if (st == VKD_OK) st = model_flops(s->graph, &s->flops, &why);
  s->flops = s->flops * all_passes(s) + flops;
  if (st == VKD_OK && programs && comm) st = create_exchanges(s, &why);
  if (st == VKD_OK && programs) st = create_programs(s, &why);
  if (st != VKD_OK) {
    step_destroy(out);
    return vkd_fail(err, st, "%s", why.what);
  }
  return VKD_OK;
}

enum vkd_status step_create(struct step **out, const struct config *config, struct params *params, struct comm *comm,
                            struct vkd_error *err) {
  return create(out, config, params, comm, true, err);
}

enum vkd_status step_create_plan(struct step **out, const struct config *config, struct params *params,
                                 struct comm *comm, struct vkd_error *err) {
  return create(out, config, params, comm, false, err);
}

enum vkd_status step_parts(const struct step *s, struct step_part parts[STEP_PARTS], int *count,
                           struct vkd_error *err) {
  struct vkd_graph *const graphs[STEP_PARTS] = {s->graph, s->update_graph, s->copy_graph};
  struct vkd_program *const programs[STEP_PARTS] = {s->program, s->update, s->copies};
  *count = 0;
  for (int i = 0; i < STEP_PARTS && graphs[i]; i++, ++*count) {
    struct vkd_graph *graph = graphs[i];
    parts[i] = (struct step_part){.graph = graph, .program = programs[i], .repeats = i ? 1 : s->passes};
    enum vkd_status st =
        vkd_plan_query(&(struct vkd_program_params){.device = s->params->dev, .graph = graph, .slots = i ? 1 : SLOTS},
                       &parts[i].plan, err);
    if (st != VKD_OK) return st;
  }
  return VKD_OK;
}

void step_destroy(struct step **ps) {
  struct step *s = *ps;
  if (!s) return;
  vkd_program_destroy(&s->program);
  vkd_program_destroy(&s->update);
  vkd_program_destroy(&s->copies);
  exchange_destroy(&s->exchange);
  exchange_destroy(&s->weights);
  vkd_graph_destroy(&s->graph);
  vkd_graph_destroy(&s->update_graph);
  vkd_graph_destroy(&s->copy_graph);
  free(s);
  *ps = NULL;
}

double step_flops(const struct step *s) { return s->flops; }
double step_waited(const struct step *s) { return s->waited; }
struct exchange_times step_exchange(const struct step *s) {
  struct exchange_times t = exchange_times(s->exchange), w = exchange_times(s->weights);
  return (struct exchange_times){t.sums + w.sums, t.late + w.late};
}
struct vkd_program *step_program(const struct step *s) {
  return s->program;
}

void step_write_inputs(struct vkd_program *program, int slot, const struct objective_inputs *in,
                       const struct step_draw *draw, const struct data_batch *data, uint32_t first) {
  const struct dit_config *m = draw->model;
  size_t numel = (size_t)m->in_channels * (size_t)(m->latent[0] * m->latent[1] * m->latent[2]);
  size_t text = (size_t)m->text_len * (size_t)m->text_dim;
  size_t batch = (size_t)in->batch;
  int32_t *sample = vkd_program_input(program, slot, in->sample), *key = vkd_program_input(program, slot, in->key);
  memcpy(vkd_program_input(program, slot, in->x0), data->latents + first * numel, batch * numel * sizeof(float));
  key[0] = (int32_t)(uint32_t)draw->seed;
  key[1] = (int32_t)(uint32_t)(draw->seed >> 32);
  key[2] = (int32_t)(uint32_t)draw->step;
  key[3] = STREAM_NOISE;
  for (uint32_t i = 0; i < batch; i++) {
    uint32_t row = first + i, id = data->first + row;
    struct objective_draw level;
    objective_draw(draw->config, noise_uniform(draw->seed, STREAM_LEVEL, draw->step, id), &level);
    objective_write(program, slot, in, i, m, &level);
    bool drop = draw->drop && noise_uniform(draw->seed, STREAM_DROP, draw->step, id) < draw->config->train.cond_drop;
    sample[i] = (int32_t)id;
    if (m->class_rows) {
      int32_t label = data->labels ? data->labels[row] : -1, null_row = m->class_rows - 1;
      ((int32_t *)vkd_program_input(program, slot, in->model.labels))[i] =
          drop || label < 0 || label >= null_row ? null_row : label;
    } else {
      float *dst = (float *)vkd_program_input(program, slot, in->model.text) + i * text;
      size_t given = data->text_rows ? data->text_rows * (size_t)m->text_dim : text, kept = drop ? 0 : given;
      memcpy(dst, data->text + row * given, kept * sizeof *dst);
      memset(dst + kept, 0, (text - kept) * sizeof *dst);
    }
  }
}

struct loss_scale *step_loss_scale(struct step *s) {
  return &s->loss_scale;
}

// What gradients of a step are multiplied with, but for the sum over passes.
static double scale_of(const struct step *s, int64_t number) {
  return s->scale.id ? s->loss_scale.recent[number % 2].scale : 1;
}

static void write_scale(struct step *s, int slot, int64_t number) {
  if (s->scale.id) *(float *)vkd_program_input(s->program, slot, s->scale) = (float)scale_of(s, number);
}

// norm2: of the scaled gradients' sum over all passes
static struct step_result finish(struct step *s, int64_t number, double loss, double norm2) {
  loss_scale_end(&s->loss_scale, number, !isfinite(norm2));
  return (struct step_result){number, loss, sqrt(norm2) / (all_passes(s) * scale_of(s, number)),
                              s->scale.id ? scale_of(s, number) : 0};
}

static void write_hyper(struct vkd_program *program, int slot, const struct step *s, int64_t number, double lr) {
  const struct config *c = s->config;
  struct optim_settings o = {.lr = lr,
                             .beta1 = c->train.betas[0],
                             .beta2 = c->train.betas[1],
                             .eps = c->train.eps,
                             .weight_decay = c->train.weight_decay,
                             .ema = c->train.ema,
                             .clip = c->train.clip,
                             .grad_scale = 1 / (all_passes(s) * scale_of(s, number))};
  // bias corrections count updates, of which those that were skipped are none
  optim_hyper(&o, number - s->loss_scale.skipped, vkd_program_input(program, slot, s->hyper));
}

static double first_float(struct vkd_program *program, int slot, vkd_tensor t) {
  return *(const float *)vkd_program_output(program, slot, t);
}

static enum vkd_status wait_for(struct step *s, struct vkd_program *program, int slot, struct vkd_error *err) {
  double start = clock_seconds();
  enum vkd_status st = vkd_program_wait(program, slot, err);
  s->waited += clock_seconds() - start;
  return st;
}

// Waits for a slot and takes over what it computed.
static enum vkd_status collect(struct step *s, int slot, struct step_result *results, int *count,
                               struct vkd_error *err) {
  if (!s->pending[slot]) return VKD_OK;
  enum vkd_status st = wait_for(s, s->program, slot, err);
  if (st != VKD_OK) return st;
  results[(*count)++] =
      finish(s, s->pending[slot], first_float(s->program, slot, s->loss), first_float(s->program, slot, s->norm2));
  s->pending[slot] = 0;
  return VKD_OK;
}

// The loss of a pass that was submitted.
static enum vkd_status add_loss(struct step *s, int pass, double *sum, struct vkd_error *err) {
  enum vkd_status st = wait_for(s, s->program, pass % SLOTS, err);
  if (st == VKD_OK) *sum += first_float(s->program, pass % SLOTS, s->loss);
  return st;
}

static enum vkd_status exchange(struct step *s, struct exchange *e, struct vkd_program *program, enum vkd_status st,
                                struct vkd_error *err) {
  double begin = clock_seconds();
  st = exchange_run(e, program, st, err);
  s->waited += clock_seconds() - begin;
  return st;
}

// *norm2: of several ranks what they found, else the device's; not finite: nothing changes.
static enum vkd_status update(struct step *s, int64_t number, double lr, float loss, float *norm2,
                              struct vkd_error *err) {
  write_hyper(s->update, 0, s, number, lr);
  *(float *)vkd_program_input(s->update, 0, s->comm ? s->norm2 : s->mean_loss) = s->comm ? *norm2 : loss;
  enum vkd_status st =
      s->weights ? vkd_program_submit_buckets(s->update, 0, err) : vkd_program_submit(s->update, 0, err);
  if (s->weights) st = exchange(s, s->weights, s->update, st, err);
  if (st == VKD_OK) st = wait_for(s, s->update, 0, err);
  if (st == VKD_OK && s->copies) st = vkd_program_submit(s->copies, 0, err);
  if (st == VKD_OK && s->copies) st = wait_for(s, s->copies, 0, err);
  if (st == VKD_OK && !s->comm) *norm2 = (float)first_float(s->update, 0, s->norm2);
  return st;
}

enum vkd_status step_gather(struct step *s, enum params_kind kind, struct vkd_error *err) {
  return s->weights ? exchange_gather(s->weights, kind, err) : VKD_OK;
}

static enum vkd_status submit_passes(struct step *s, int64_t number, double lr, const struct step_draw *draw,
                                     const struct data_batch *batch, struct step_result *result,
                                     struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  double sum = 0;
  for (int pass = 0; pass < s->passes && st == VKD_OK; pass++) {
    int slot = pass % SLOTS;
    if (pass >= SLOTS && (st = add_loss(s, pass - SLOTS, &sum, err)) != VKD_OK) break;
    step_write_inputs(s->program, slot, &s->in, draw, batch, (uint32_t)(pass * s->micro));
    write_scale(s, slot, number);
    st = s->exchange && pass + 1 == s->passes ? vkd_program_submit_buckets(s->program, slot, err)
                                              : vkd_program_submit(s->program, slot, err);
  }
  if (s->exchange) st = exchange(s, s->exchange, s->program, st, err);
  for (int pass = s->passes < SLOTS ? 0 : s->passes - SLOTS; pass < s->passes && st == VKD_OK; pass++)
    st = add_loss(s, pass, &sum, err);
  double sums[2] = {sum, s->exchange ? exchange_squares(s->exchange) : 0};
  if ((st = comm_meet(s->comm, st, sums, 2, err)) != VKD_OK) return st;
  float loss = (float)(sums[0] / all_passes(s)), norm2 = isfinite(loss) ? (float)sums[1] : NAN;
  if ((st = update(s, number, lr, loss, &norm2, err)) == VKD_OK) *result = finish(s, number, loss, norm2);
  return st;
}

enum vkd_status step_submit(struct step *s, int64_t number, double lr, const struct data_batch *batch,
                            struct step_result *results, int *count, struct vkd_error *err) {
  struct step_draw draw = {s->config, &s->params->config, (uint64_t)s->config->train.seed, (uint64_t)number, true};
  *count = 0;
  if (all_passes(s) > 1) {
    loss_scale_begin(&s->loss_scale, number);
    enum vkd_status st = submit_passes(s, number, lr, &draw, batch, &results[0], err);
    if (st == VKD_OK) *count = 1;
    return st;
  }
  int slot = (int)(number % SLOTS);
  enum vkd_status st = collect(s, slot, results, count, err);
  if (st != VKD_OK) return st;
  loss_scale_begin(&s->loss_scale, number);
  step_write_inputs(s->program, slot, &s->in, &draw, batch, 0);
  write_scale(s, slot, number);
  write_hyper(s->program, slot, s, number, lr);
  st = vkd_program_submit(s->program, slot, err);
  if (st == VKD_OK) s->pending[slot] = number;
  return st;
}

enum vkd_status step_flush(struct step *s, struct step_result *results, int *count, struct vkd_error *err) {
  *count = 0;
  int older = s->pending[0] && (!s->pending[1] || s->pending[0] < s->pending[1]) ? 0 : 1;
  enum vkd_status st = collect(s, older, results, count, err);
  return st == VKD_OK ? collect(s, 1 - older, results, count, err) : st;
}

enum vkd_status step_trace(struct step *s, const struct step_result *result, const struct data_batch *batch,
                           struct step_trace *trace, struct vkd_error *err) {
  struct step_draw draw = {s->config, &s->params->config, (uint64_t)s->config->train.seed, (uint64_t)result->step,
                           true};
  *trace = (struct step_trace){0};
  vkd_program_destroy(&s->program);
  vkd_program_destroy(&s->update);
  vkd_program_destroy(&s->copies);
  vkd_graph_destroy(&s->graph);
  enum vkd_status st = build_pass(s, s->micro, s->params->config.recompute, true, &s->graph, err);
  if (st == VKD_OK)
    st = vkd_program_create(
        &s->program, &(struct vkd_program_params){.device = s->params->dev, .graph = s->graph, .no_reuse = true}, err);
  for (int pass = 0; pass < all_passes(s) && st == VKD_OK && !trace->found.tensor.id; pass++) {
    trace->pass = pass;
    step_write_inputs(s->program, 0, &s->in, &draw, batch, (uint32_t)(pass * s->micro));
    if (s->scale.id) *(float *)vkd_program_input(s->program, 0, s->scale) = (float)result->loss_scale;
    st = vkd_program_run(s->program, err);
    if (st == VKD_OK) st = vkd_program_nonfinite(s->program, &trace->found, err);
  }
  return st;
}
