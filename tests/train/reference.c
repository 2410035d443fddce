// The whole training graph of small random models, loss and every gradient, on the device against the float64
// interpreter. Odd sizes, two samples of different noise levels, ragged text; conditioned by text and by classes, and
// of the image family.
#include <string.h>

#include "device.h"
#include "models.h"
#include "normal.h"
#include "trial.h"
#include "vkdm/objective.h"

enum { BATCH = 2 };

// fp32 against float64: sums of up to some hundred terms over about 60 ops; a wrong term of any op is at 1e-3 or more.
static const double tolerance = 2e-5;

static const struct dit_config class_model = {.dim = 36,
                                              .depth = 1,
                                              .heads = 2,
                                              .ffn = 144,
                                              .freq_dim = 8,
                                              .text_dim = 11,
                                              .text_len = 1,
                                              .class_rows = 4,
                                              .in_channels = 5,
                                              .out_channels = 5,
                                              .patch = {1, 1, 1},
                                              .latent = {1, 5, 7},
                                              .eps = 1e-6f};
static uint32_t draws;
static float draw(void) { return (float)normal_at(77, 9, draws++, 0); }

struct objective_trial {
  struct trial t;
  struct config config; // the objective alone
  struct objective_inputs in;
  vkd_tensor zero;
};

static float any(const struct trial *t, int64_t i) { return (void)t, (void)i, draw(); }
static float noise(int row, int64_t i) { return (void)row, (void)i, draw(); }
static float ragged(const struct trial *t, int64_t i) { // the second sample has two rows of text
  int64_t size = (int64_t)t->model.text_len * t->model.text_dim;
  return i / size == 1 && i % size >= 2 * t->model.text_dim ? 0 : draw();
}

static enum vkd_status build(struct objective_trial *o, struct vkd_device *dev, struct vkd_error *err) {
  struct trial *t = &o->t;
  enum vkd_status st = trial_open(t, dev, PARAMS_FOR_INFERENCE, err);
  if (st != VKD_OK) return st;
  objective_make_inputs(t->graph, o->config.train.objective, &t->model, BATCH, &o->in);
  t->loss = objective_loss(t->graph, o->config.train.objective, &t->model, t->weights, &o->in, &o->zero);
  vkd_output(t->graph, t->loss);
  vkd_output(t->graph, o->zero);
  trial_gradients(t, (vkd_tensor){0});
  return trial_program(t, dev, err);
}

static enum vkd_status fill(struct objective_trial *o, struct vkd_error *err) {
  static const int32_t labels[BATCH] = {2, 3}, key[4] = {11, 0, 3, STREAM_NOISE}, sample[BATCH] = {6, 7};
  struct trial *t = &o->t;
  enum vkd_status st = trial_weights(t, t->params->count, noise, err);
  if (st != VKD_OK) return st;
  trial_put(t, o->in.x0, any);
  for (int i = 0; i < BATCH; i++) {
    const double levels[BATCH] = {0.0003, 0.87}; // of a discrete diffusion the last step and one in between
    struct objective_draw drawn;
    objective_draw(&o->config, levels[i], &drawn);
    objective_write(t->program, 0, &o->in, i, &t->model, &drawn);
  }
  if (t->model.class_rows)
    memcpy(vkd_program_input(t->program, 0, o->in.model.labels), labels, sizeof labels);
  else
    trial_put(t, o->in.model.text, ragged);
  memcpy(vkd_program_input(t->program, 0, o->in.key), key, sizeof key);
  memcpy(vkd_program_input(t->program, 0, o->in.sample), sample, sizeof sample);
  const vkd_tensor inputs[] = {o->in.x0,           o->in.mix,        o->in.hybrid, o->in.model.s,
                               o->in.model.labels, o->in.model.text, o->in.key,    o->in.sample};
  return trial_values(t, inputs, sizeof inputs / sizeof inputs[0], err);
}

// With one row of context softmax is 1, whatever queries and keys are: what only they depend on has no gradient.
static bool without_effect(const struct dit_config *model, const char *name) {
  static const char *const parts[] = {".norm3.", ".cross_attn.q.", ".cross_attn.k.", ".cross_attn.norm_"};
  for (size_t i = 0; model->text_len == 1 && i < sizeof parts / sizeof parts[0]; i++)
    if (strstr(name, parts[i])) return true;
  return false;
}

static double norm(const float *x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
  return sqrt(sum);
}

static void run_model(struct vkd_device *dev, const char *what, const struct dit_config *family,
                      enum config_objective objective) {
  struct vkd_error err = {0};
  struct objective_trial o = {.t.model = *family};
  struct trial *t = &o.t;
  const struct dit_config *model = &t->model;
  if (objective_learns_variance(objective)) t->model.out_channels *= 2;
  char name[64];
  snprintf(name, sizeof name, "%s, %s", what, objective_name(objective));
  config_default(&o.config);
  o.config.train.objective = objective;
  enum vkd_status st = build(&o, dev, &err);
  if (st == VKD_OK) st = fill(&o, &err);
  if (st == VKD_OK) st = vkd_program_run(t->program, &err);
  if (st == VKD_OK) st = vkd_graph_ref_run(t->graph, t->values, &err);
  CHECK(st == VKD_OK, "%s: %s", name, err.what);
  double worst = 0;
  if (st == VKD_OK) {
    double e = check_relative(vkd_program_output(t->program, 0, t->loss), t->values[t->loss.id], 1);
    CHECK(e <= 1e-6, "%s: loss is off by %g", name, e);
    e = check_relative(vkd_program_output(t->program, 0, o.zero), t->values[o.zero.id], 1);
    CHECK(e <= 1e-6, "%s: loss of zeros is off by %g", name, e);
    for (int i = 0; i < t->params->count; i++) {
      const struct dit_param *p = &t->params->rows[i];
      const char *tensor = p->name[dit_native_naming(model)];
      if (p->frozen) continue;
      const float *grad = vkd_program_output(t->program, 0, t->grads[i]);
      if (without_effect(model, tensor)) {
        // rounding of <dout, v> - <dout, o>, beside gradients of 0.1 and more
        CHECK(norm(grad, p->numel) <= 1e-6, "%s: gradient of %s is %g, not 0", name, tensor, norm(grad, p->numel));
        continue;
      }
      e = check_relative(grad, t->values[t->grads[i].id], p->numel);
      CHECK(e <= tolerance, "%s: gradient of %s is off by %g", name, tensor, e);
      worst = fmax(worst, e);
    }
    printf("%s: loss %.6f, %d gradients, worst %.2e\n", name, t->values[t->loss.id][0], t->params->count, worst);
  }
  trial_close(t);
}

int main(void) {
  struct vkd_device *dev = device_or_skip(false);
  run_model(dev, "text", &text_model, CONFIG_FLOW);
  run_model(dev, "text", &text_model, CONFIG_HYBRID);
  run_model(dev, "classes", &class_model, CONFIG_V);
  run_model(dev, "image", &image_model, CONFIG_FLOW);
  run_model(dev, "image", &image_model, CONFIG_DDPM);
  run_model(dev, "image", &image_model, CONFIG_HYBRID);
  return device_done(&dev);
}
