#include "vkdm/profile.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "random_batch.h"
#include "step.h"
#include "vkdm/clock.h"
#include "vkdm/peak.h"
#include "vkdm/random_fill.h"
#include "vkdm/train.h"

enum { SEED = 1 }; // of the weights

struct profile_graphs {
  struct config config; // micro-batch settled
  struct params *params;
  struct step *step;
  // of a forward pass
  struct vkd_graph *forward;
  struct vkd_program *program;
  struct dit_inputs in;
};

// ---- random inputs -------------------------------------------------------------------------------------------------
// One real step, which leaves random inputs in slot 0.
static enum vkd_status run_step(const struct profile *p, struct comm *comm, struct vkd_error *err) {
  struct random_batch batch;
  struct step_result results[2];
  int count;
  enum vkd_status st = comm_meet(comm, random_batch_create(&batch, &p->model, p->batch, err), NULL, 0, err);
  if (st == VKD_OK) // step 2 is one of slot 0
    st = step_submit(p->graphs->step, 2, 1e-6, &batch.data, results, &count, err);
  if (st == VKD_OK) st = step_flush(p->graphs->step, results, &count, err);
  random_batch_free(&batch);
  return st;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *x, int n) {
  qsort(x, (size_t)n, sizeof *x, by_value);
  return 0.5 * (x[(n - 1) / 2] + x[n / 2]);
}

// Steps as training makes them: what the parts' own times do not show.
static enum vkd_status time_exchange(struct profile *p, struct comm *comm, int runs, struct vkd_error *err) {
  double *times = calloc(3 * (size_t)runs, sizeof *times), *sums = times + runs, *late = sums + runs;
  enum vkd_status st = times ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %d runs", runs);
  st = comm_meet(comm, st, NULL, 0, err);
  for (int i = 0; i < runs && st == VKD_OK; i++) {
    struct exchange_times before = step_exchange(p->graphs->step);
    double begin = clock_seconds();
    st = comm_meet(comm, run_step(p, comm, err), NULL, 0, err);
    struct exchange_times after = step_exchange(p->graphs->step);
    times[i] = clock_seconds() - begin;
    sums[i] = after.sums - before.sums;
    late[i] = after.late - before.late;
  }
  if (st == VKD_OK)
    p->exchange = (struct profile_exchange){median(times, runs), median(sums, runs), median(late, runs)};
  free(times);
  return st;
}

static void write_forward(const struct profile *p) {
  const struct profile_graphs *g = p->graphs;
  const struct dit_config *m = &p->model;
  size_t batch = (size_t)p->batch;
  struct vkd_shape x = vkd_tensor_shape(g->forward, g->in.x);
  random_fill(vkd_program_input(g->program, 0, g->in.x), (size_t)vkd_shape_numel(&x), 0);
  for (size_t i = 0; i < batch; i++)
    dit_timestep_embedding(m->freq_dim, 500,
                           (float *)vkd_program_input(g->program, 0, g->in.s) + i * (size_t)m->freq_dim);
  if (m->class_rows)
    memset(vkd_program_input(g->program, 0, g->in.labels), 0, batch * sizeof(int32_t));
  else
    random_fill(vkd_program_input(g->program, 0, g->in.text), batch * (size_t)m->text_len * (size_t)m->text_dim, 1);
}

// ---- rows ----------------------------------------------------------------------------------------------------------
// The phase since *from ends here, and the next one begins.
static void end_phase(struct profile *p, const char *name, double *from) {
  double now = clock_seconds();
  if (p->phase_count < PROFILE_PHASES)
    p->phases[p->phase_count++] = (struct profile_phase){name, *from - p->begin, now - *from};
  *from = now;
}

// Runs a part, and keeps the times of every run.  Their rows are the next ones of p.
static enum vkd_status time_part(struct profile *p, const struct step_part *part, int runs, struct vkd_op_profile **ops,
                                 uint32_t *count, struct vkd_error *err) {
  struct vkd_profile_run *timed = calloc((size_t)runs, sizeof *timed);
  struct profile_run *more = realloc(p->timed, (size_t)(p->timed_count + runs) * sizeof *more);
  if (more) p->timed = more;
  enum vkd_status st = timed && more ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %d runs", runs);
  if (st == VKD_OK) st = vkd_program_profile_runs(part->program, runs, timed, ops, count, err);
  for (int i = 0; i < runs && st == VKD_OK; i++)
    p->timed[p->timed_count++] = (struct profile_run){.first = p->count,
                                                      .count = *count,
                                                      .number = i + 1,
                                                      .begin = timed[i].begin - p->begin,
                                                      .submitted = timed[i].submitted - p->begin,
                                                      .done = timed[i].done - p->begin,
                                                      .ns = timed[i].ns};
  free(timed);
  return st;
}

static enum vkd_status add_rows(struct profile *p, const struct step_part *part, int runs, struct vkd_error *err) {
  if (!p->graph) {
    p->graph = part->graph;
    snprintf(p->forms, sizeof p->forms, "%s", part->plan.forms);
  }
  struct vkd_op_profile *ops = NULL;
  uint32_t count = 0;
  double from = clock_seconds();
  enum vkd_status st =
      runs > 0 ? time_part(p, part, runs, &ops, &count, err) : vkd_graph_profile(part->graph, &ops, &count, err);
  if (st != VKD_OK) return st;
  end_phase(p, "warm-up and timed runs", &from);
  struct profile_row *more = realloc(p->rows, (p->count + count + 1) * sizeof *more);
  if (more)
    p->rows = more;
  else
    st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a profile of %u ops", count);
  for (uint32_t i = 0; i < count && more; i++)
    p->rows[p->count++] = (struct profile_row){.op = ops[i].op,
                                               .label = ops[i].label ? ops[i].label : "",
                                               .flops = ops[i].flops,
                                               .bytes = ops[i].bytes,
                                               .ns = ops[i].ns,
                                               .dispatches = ops[i].dispatches,
                                               .repeats = part->repeats,
                                               .dtype = ops[i].dtype,
                                               .shape = ops[i].shape,
                                               .in = {ops[i].in[0], ops[i].in[1]}};
  free(ops);
  struct profile_memory *m = &p->memory;
  m->activations += part->plan.temporaries;
  m->activations_raw += part->plan.temporaries_raw;
  m->inputs += part->plan.inputs;
  m->outputs += part->plan.outputs;
  m->constants += part->plan.constants;
  m->staging += part->plan.staging;
  return st;
}

static enum vkd_status profile_step(struct profile *p, const struct profile_params *params, struct vkd_error *err) {
  struct step_part parts[STEP_PARTS];
  int count = 0;
  struct profile_graphs *g = p->graphs;
  double from = clock_seconds();
  enum vkd_status st = params->runs > 0 ? step_create(&g->step, &g->config, g->params, params->comm, err)
                                        : step_create_plan(&g->step, &g->config, g->params, params->comm, err);
  st = comm_meet(params->comm, st, NULL, 0, err);
  end_phase(p, "graph, plan and pipelines", &from);
  if (st == VKD_OK && params->runs > 0) st = run_step(p, params->comm, err);
  end_phase(p, "first step", &from);
  if (st == VKD_OK) st = step_parts(g->step, parts, &count, err);
  for (int i = 0; i < count && st == VKD_OK; i++) st = add_rows(p, &parts[i], params->runs, err);
  st = comm_meet(params->comm, st, NULL, 0, err);
  return st == VKD_OK && params->comm && params->runs > 0 ? time_exchange(p, params->comm, params->runs, err) : st;
}

static enum vkd_status profile_forward(struct profile *p, const struct profile_params *params, struct vkd_error *err) {
  struct profile_graphs *g = p->graphs;
  double from = clock_seconds();
  enum vkd_status st = vkd_graph_create(&g->forward, err);
  if (st != VKD_OK) return st;
  vkd_tensor *weights = calloc((size_t)g->params->count, sizeof *weights);
  if (!weights) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a forward pass");
  dit_make_inputs(g->forward, &p->model, p->batch, true, &g->in);
  params_tensors(g->params, g->forward, PARAMS_WEIGHT, weights);
  vkd_output(g->forward, dit_forward(g->forward, &p->model, weights, &g->in));
  free(weights);
  struct vkd_program_params wanted = {.device = params->device, .graph = g->forward};
  struct step_part part = {.graph = g->forward, .repeats = 1};
  st = vkd_plan_query(&wanted, &part.plan, err);
  if (st == VKD_OK && params->runs > 0) {
    st = vkd_program_create(&g->program, &wanted, err);
    if (st == VKD_OK) write_forward(p);
    part.program = g->program;
  }
  end_phase(p, "graph, plan and pipelines", &from);
  return st == VKD_OK ? add_rows(p, &part, params->runs, err) : st;
}

// ---- shares --------------------------------------------------------------------------------------------------------
static enum profile_share_id share_of(const struct profile_row *row) {
  bool matmul = strcmp(row->op, "matmul") == 0, attention = strncmp(row->op, "attention", 9) == 0;
  if (strncmp(row->label, "optim", 5) == 0 || strcmp(row->op, "accumulate") == 0 || strcmp(row->op, "zero") == 0)
    return PROFILE_OPTIMISER;
  if (strncmp(row->label, "recompute/", 10) == 0) return PROFILE_RECOMPUTED;
  if (!matmul && !attention) return PROFILE_ELEMENTWISE;
  if (strstr(row->label, "/self_attn")) return matmul ? PROFILE_SELF_PROJ : PROFILE_SELF_ATTENTION;
  if (strstr(row->label, "/cross_attn")) return matmul ? PROFILE_CROSS_PROJ : PROFILE_CROSS_ATTENTION;
  if (strstr(row->label, "/ffn")) return PROFILE_FFN;
  return strstr(row->label, "block") ? PROFILE_MODULATION : PROFILE_EMBEDDINGS;
}

static void fill_shares(struct profile *p, bool sample) {
  static const struct profile_share texts[PROFILE_SHARES] = {
#define X(name, text, reason) {.title = text, .why = reason},
      PROFILE_SHARE_MAP(X)
#undef X
  };
  memcpy(p->shares, texts, sizeof texts);
  const struct dit_config *m = &p->model;
  // Terms of dit_token_flops(), whose passes are one forward and a backward of twice that.
  double passes = sample ? 1 : 3, d = m->dim, n = (double)dit_tokens(m), each = passes * m->depth * n * p->batch;
  p->shares[PROFILE_SELF_PROJ].formula = each * 8 * d * d;
  p->shares[PROFILE_SELF_ATTENTION].formula = each * 4 * n * d;
  p->shares[PROFILE_CROSS_PROJ].formula = m->family == DIT_CROSS ? each * 4 * d * d : 0;
  p->shares[PROFILE_FFN].formula = each * 4 * d * m->ffn;
  p->formula = dit_token_flops(m) / 3 * passes * n * p->batch;
  for (uint32_t i = 0; i < p->count; i++) {
    struct profile_share *s = &p->shares[share_of(&p->rows[i])];
    s->counted += p->rows[i].flops * p->rows[i].repeats;
    s->ns += p->rows[i].ns * p->rows[i].repeats;
  }
}

static uint64_t arena_bytes(const struct params *p, enum params_kind kind) {
  uint64_t bytes = 0;
  for (uint32_t s = 0; p->buffers[kind] && s < p->segments; s++)
    if (p->buffers[kind][s]) bytes += vkd_buffer_bytes(p->buffers[kind][s]);
  return bytes;
}

static void fill_arenas(struct profile *p) {
  const struct params *params = p->graphs->params;
  p->memory.weights = arena_bytes(params, PARAMS_WEIGHT) + arena_bytes(params, PARAMS_COPY);
  p->memory.gradients = arena_bytes(params, PARAMS_GRAD);
  p->memory.gradient_sums = arena_bytes(params, PARAMS_GRAD_SUM);
  p->memory.moments = arena_bytes(params, PARAMS_M) + arena_bytes(params, PARAMS_V);
  p->memory.ema = arena_bytes(params, PARAMS_EMA);
}

// The part of the batch that is this rank's, and its arenas.
static enum vkd_status open_params(struct profile *p, const struct profile_params *params, struct vkd_error *err) {
  struct profile_graphs *g = p->graphs;
  g->config = *params->config;
  p->batch = config_micro_batch(params->config);
  p->ranks = 1;
  if (params->sample) return params_create(&g->params, params->device, &p->model, PARAMS_FOR_INFERENCE, err);
  p->ranks = comm_size(params->comm);
  p->parts = params->config->train.shard_optimizer;
  enum vkd_status st = step_share_batch(&g->config, p->ranks, err);
  if (st == VKD_OK) st = step_settle_micro(&g->config, params->device, &p->model, params->comm, err);
  if (st == VKD_OK) st = step_params_create(&g->params, params->device, &g->config, &p->model, params->comm, err);
  p->batch = g->config.train.batch;
  return st;
}

enum vkd_status profile_peaks(struct profile *p, struct vkd_device *dev, struct vkd_error *err) {
  int size;
  double from = clock_seconds();
  enum vkd_status st = peak_products(dev, p->model.compute, &p->peak_flops, &size, err);
  if (st == VKD_OK) st = peak_copy(dev, &p->peak_bytes, err);
  end_phase(p, "the device's peaks", &from);
  return st;
}

double profile_floor_ns(const struct profile *p, double flops, double bytes) {
  if (!(p->peak_flops > 0 && p->peak_bytes > 0)) return 0;
  return 1e9 * fmax(flops / p->peak_flops, bytes / p->peak_bytes);
}

enum vkd_status profile_create(struct profile **out, const struct profile_params *params, struct vkd_error *err) {
  struct profile *p = *out = calloc(1, sizeof *p);
  if (p) p->graphs = calloc(1, sizeof *p->graphs);
  enum vkd_status st = p && p->graphs ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a profile");
  if (st == VKD_OK && params->model) p->model = *params->model;
  if (st == VKD_OK && !params->model) st = train_model_config(params->config, params->data, &p->model, err);
  if (st != VKD_OK) goto fail;
  double from = p->begin = clock_seconds();
  if ((st = open_params(p, params, err)) != VKD_OK) goto fail;
  struct params whole = params_whole(p->graphs->params);
  p->params = whole.numel;
  fill_arenas(p);
  if (params->runs > 0 && (st = params_init(&whole, SEED, err)) != VKD_OK) goto fail;
  end_phase(p, "weights", &from);
  st = params->sample ? profile_forward(p, params, err) : profile_step(p, params, err);
  if (st != VKD_OK) goto fail;
  fill_shares(p, params->sample);
  return VKD_OK;
fail:
  profile_destroy(out);
  return st;
}

void profile_destroy(struct profile **pp) {
  struct profile *p = *pp;
  if (!p) return;
  if (p->graphs) {
    vkd_program_destroy(&p->graphs->program);
    vkd_graph_destroy(&p->graphs->forward);
    step_destroy(&p->graphs->step);
    params_destroy(&p->graphs->params);
  }
  for (int i = 0; i < p->timed_count; i++) free(p->timed[i].ns);
  free(p->timed);
  free(p->graphs);
  free(p->rows);
  free(p);
  *pp = NULL;
}
