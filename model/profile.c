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
static enum vkd_status run_step(const struct profile *p, struct vkd_error *err) {
  struct random_batch batch;
  struct step_result results[2];
  int count;
  enum vkd_status st = random_batch_create(&batch, &p->model, p->batch, err);
  if (st == VKD_OK) // step 2 is one of slot 0
    st = step_submit(p->graphs->step, 2, 1e-6, &batch.data, results, &count, err);
  if (st == VKD_OK) st = step_flush(p->graphs->step, results, &count, err);
  random_batch_free(&batch);
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
  enum vkd_status st = params->runs > 0 ? step_create(&g->step, &g->config, g->params, NULL, err)
                                        : step_create_plan(&g->step, &g->config, g->params, NULL, err);
  end_phase(p, "graph, plan and pipelines", &from);
  if (st == VKD_OK && params->runs > 0) st = run_step(p, err);
  end_phase(p, "first step", &from);
  if (st == VKD_OK) st = step_parts(g->step, parts, &count, err);
  for (int i = 0; i < count && st == VKD_OK; i++) st = add_rows(p, &parts[i], params->runs, err);
  return st;
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

static void fill_arenas(struct profile *p, unsigned kinds) {
  const struct params *params = p->graphs->params;
  uint64_t arena = 0;                                                                     // of what is trained
  uint64_t copy = kinds >> PARAMS_COPY & 1 ? vkd_dtype_bytes(params->config.compute) : 0; // of an element
  p->memory.weights = 0;
  for (uint32_t s = 0; s < params->segments; s++) {
    p->memory.weights += params->segment_bytes[s] / 4 * (4 + copy);
    if (s < params->trainable_segments) arena += params->segment_bytes[s];
  }
  p->memory.gradients = kinds >> PARAMS_GRAD & 1 ? arena : 0;
  p->memory.gradient_sums = kinds >> PARAMS_GRAD_SUM & 1 ? arena : 0;
  p->memory.moments = (kinds >> PARAMS_M & 1 ? arena : 0) + (kinds >> PARAMS_V & 1 ? arena : 0);
  p->memory.ema = kinds >> PARAMS_EMA & 1 ? arena : 0;
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
  unsigned kinds = PARAMS_FOR_INFERENCE;
  double from = p->begin = clock_seconds();
  p->graphs->config = *params->config;
  if (!params->sample) {
    if ((st = step_settle_micro(&p->graphs->config, params->device, &p->model, NULL, err)) != VKD_OK) goto fail;
    kinds = step_params_kinds(&p->graphs->config);
  }
  p->batch = params->sample ? config_micro_batch(params->config) : params->config->train.batch;
  if ((st = params_create(&p->graphs->params, params->device, &p->model, kinds, err)) != VKD_OK) goto fail;
  p->params = p->graphs->params->numel;
  fill_arenas(p, kinds);
  if (params->runs > 0 && (st = params_init(p->graphs->params, SEED, err)) != VKD_OK) goto fail;
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
