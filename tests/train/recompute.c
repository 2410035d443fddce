// Blocks that are computed again for the gradient: losses and gradients as without to the bit, planned or not, and as
// the float64 interpreter has them; the plan takes less storage.
#include <math.h>
#include <string.h>

#include "device.h"
#include "models.h"
#include "normal.h"
#include "trial.h"
#include "vkdm/objective.h"

enum { BATCH = 2, DEPTH = 3 };

// Of all gradients, off the interpreter's.  fp32: a rounding errs by 6e-8, and some hundreds are in a row.  bf16: what
// fp32 puts on the other side of a tie is a step of 2^-7 away; adapters of low rank hang on few such numbers.
static double bound_of(enum vkd_dtype dtype) { return dtype == VKD_BF16 ? 0x1p-8 : 1e-5; }

static uint32_t draws; // every run draws the same
static float draw(void) { return (float)normal_at(91, 9, draws++, 0); }
static float any(const struct trial *t, int64_t i) { return (void)t, (void)i, draw(); }
static float noise(int row, int64_t i) { return (void)row, (void)i, draw(); }

struct run {
  struct trial t;
  struct objective_inputs in;
};

static void fill(struct run *r, enum config_objective objective) {
  struct trial *t = &r->t;
  struct config c;
  config_default(&c);
  c.train.objective = objective;
  trial_put(t, r->in.x0, any);
  for (int i = 0; i < BATCH; i++) {
    struct objective_draw level;
    objective_draw(&c, (i + 0.5) / BATCH, &level);
    objective_write(t->program, 0, &r->in, i, &t->model, &level);
    ((int32_t *)vkd_program_input(t->program, 0, r->in.sample))[i] = i;
    if (t->model.class_rows) ((int32_t *)vkd_program_input(t->program, 0, r->in.model.labels))[i] = i;
  }
  memcpy(vkd_program_input(t->program, 0, r->in.key), (int32_t[]){5, 0, 1, STREAM_NOISE}, 4 * sizeof(int32_t));
  if (r->in.model.text.id) trial_put(t, r->in.model.text, any);
}

static enum vkd_status start(struct run *r, struct vkd_device *dev, const struct dit_config *model,
                             enum config_objective objective, bool no_reuse, struct vkd_error *err) {
  struct trial *t = &r->t;
  *r = (struct run){.t.model = *model};
  enum vkd_status st = trial_open(t, dev, PARAMS_FOR_INFERENCE, err);
  if (st != VKD_OK) return st;
  objective_make_inputs(t->graph, objective, &t->model, BATCH, &r->in);
  t->loss = objective_loss(t->graph, objective, &t->model, t->weights, &r->in, NULL);
  vkd_output(t->graph, t->loss);
  trial_gradients(t, (vkd_tensor){0});
  struct vkd_program_params wanted = {.device = dev, .graph = t->graph, .no_reuse = no_reuse};
  draws = 0;
  st = vkd_program_create(&t->program, &wanted, err);
  if (st == VKD_OK) st = trial_weights(t, t->params->count, noise, err);
  if (st != VKD_OK) return st;
  fill(r, objective);
  const vkd_tensor inputs[] = {r->in.x0,           r->in.mix,        r->in.hybrid, r->in.model.s,
                               r->in.model.labels, r->in.model.text, r->in.key,    r->in.sample};
  st = trial_values(t, inputs, sizeof inputs / sizeof inputs[0], err);
  if (st == VKD_OK) st = vkd_graph_ref_run(t->graph, t->values, err);
  return st == VKD_OK ? vkd_program_run(t->program, err) : st;
}

static const float *output(const struct run *r, vkd_tensor x) { return vkd_program_output(r->t.program, 0, x); }

// Returns how far gradients are off the interpreter's.
static double compare(const struct run *plain, const struct run *again, const char *name) {
  CHECK(memcmp(output(plain, plain->t.loss), output(again, again->t.loss), sizeof(float)) == 0, "%s: the loss differs",
        name);
  double d2 = 0, r2 = 0;
  for (int i = 0; i < plain->t.params->count; i++) {
    vkd_tensor a = plain->t.grads[i], b = again->t.grads[i];
    const char *row = plain->t.params->rows[i].name[dit_native_naming(&plain->t.model)];
    int64_t n = trial_numel(&plain->t, a);
    CHECK((a.id == 0) == (b.id == 0), "%s: %s is trained in one of them", name, row);
    if (!a.id || !b.id) continue;
    CHECK(memcmp(output(plain, a), output(again, b), (size_t)n * sizeof(float)) == 0, "%s: gradient of %s differs",
          name, row);
    CHECK(memcmp(plain->t.values[a.id], again->t.values[b.id], (size_t)n * sizeof(double)) == 0,
          "%s: the interpreter's gradient of %s differs", name, row);
    for (int64_t k = 0; k < n; k++) {
      d2 += pow((double)output(again, b)[k] - again->t.values[b.id][k], 2);
      r2 += pow(again->t.values[b.id][k], 2);
    }
  }
  double off = sqrt(d2 / r2), bound = bound_of(plain->t.model.compute);
  CHECK(off <= bound, "%s: gradients are off the interpreter's by %g, at most %g", name, off, bound);
  return off;
}

static void check_model(struct vkd_device *dev, const struct dit_config *model, enum config_objective objective,
                        const char *name) {
  struct run plain, again, apart;
  struct vkd_error err = {0};
  struct dit_config marked = *model;
  marked.recompute = true;
  enum vkd_status st = start(&plain, dev, model, objective, false, &err);
  if (st == VKD_OK) st = start(&again, dev, &marked, objective, false, &err);
  CHECK(st == VKD_OK, "%s: %s", name, err.what);
  if (st == VKD_OK) {
    double off = compare(&plain, &again, name);
    const struct vkd_plan_info *a = vkd_program_plan(plain.t.program), *b = vkd_program_plan(again.t.program);
    CHECK(b->temporaries < a->temporaries && b->nodes > a->nodes,
          "%s: %llu bytes in %u nodes, without recomputation %llu in %u", name, (unsigned long long)b->temporaries,
          b->nodes, (unsigned long long)a->temporaries, a->nodes);
    printf("%s: %.1e off the interpreter (at most %.1e); activations %.2f MiB of %.2f, nodes %u of %u\n", name, off,
           bound_of(model->compute), (double)b->temporaries / 1048576, (double)a->temporaries / 1048576, b->nodes,
           a->nodes);
    trial_close(&again.t);
    st = start(&apart, dev, &marked, objective, true, &err);
    CHECK(st == VKD_OK, "%s: %s", name, err.what);
    if (st == VKD_OK) compare(&plain, &apart, name);
    trial_close(&apart.t);
  }
  trial_close(&plain.t);
}

int main(void) {
  struct vkd_device *dev = device_or_skip(false);
  static const enum config_objective objectives[] = {CONFIG_FLOW, CONFIG_HYBRID};
  bool half = vkd_device_get_caps(dev)->storage_16bit;
  if (!half) printf("bf16: skipped, the device lacks 16-bit storage\n");
  for (int i = 0; i < (half ? 16 : 8); i++) {
    struct dit_config model = i & 1 ? image_model : text_model;
    enum config_objective objective = objectives[i >> 1 & 1];
    char name[80];
    model.depth = DEPTH;
    if (i & 1) model.latent[1] = model.latent[2] = 18; // activations outweigh the gradients
    model.out_channels = model.in_channels * (objective_learns_variance(objective) ? 2 : 1);
    if (i & 4) {
      model.lora.rank = 2;
      model.lora.alpha = 3;
      model.lora.targets = DIT_LORA_ALL;
    }
    if (i & 8) model.compute = VKD_BF16;
    snprintf(name, sizeof name, "%s, %s%s, %s", i & 1 ? "image" : "text", objective_name(objective),
             i & 4 ? ", adapters" : "", vkd_dtype_name(model.compute));
    check_model(dev, &model, objective, name);
  }
  return device_done(&dev);
}
