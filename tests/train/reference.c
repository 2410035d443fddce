// The whole training graph of small random models, loss and every gradient, on the device against the float64
// interpreter. Odd sizes, two samples of different noise levels, ragged text; conditioned by text and by classes, and
// of the image family.
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "vkd/exec.h"
#include "vkd/random.h"
#include "vkdm/objective.h"
#include "vkdm/params.h"

enum { BATCH = 2 };

// fp32 against float64: sums of up to some hundred terms over about 60 ops; a wrong term of any op is at 1e-3 or more.
static const double tolerance = 2e-5;

static const struct dit_config text_model = {.dim = 42,
                                             .depth = 2,
                                             .heads = 3,
                                             .ffn = 53,
                                             .freq_dim = 10,
                                             .text_dim = 7,
                                             .text_len = 5,
                                             .in_channels = 3,
                                             .out_channels = 3,
                                             .patch = {1, 2, 3},
                                             .latent = {3, 4, 9},
                                             .eps = 1e-6f};
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
static const struct dit_config image_model = {.family = DIT_CLASS,
                                              .dim = 36,
                                              .depth = 2,
                                              .heads = 3,
                                              .ffn = 53,
                                              .freq_dim = 10,
                                              .class_rows = 4,
                                              .in_channels = 3,
                                              .out_channels = 3,
                                              .patch = {1, 2, 3},
                                              .latent = {1, 6, 9},
                                              .eps = 1e-6f};

static uint32_t draws;
static double draw(void) { // standard normal
  double z[4];
  vkd_normal4(77, 0, 9, draws++, 0, z);
  return z[0];
}

struct trial {
  struct config config; // the objective alone
  const struct dit_config *model;
  struct params *params;
  struct vkd_graph *graph;
  struct vkd_program *program;
  struct objective_inputs in;
  vkd_tensor loss, zero, *weights, *grads;
  double **values;
};

// The same number for the device and, as the device sees it, for the interpreter.
static void put(struct trial *t, vkd_tensor x, float (*value)(struct trial *t, int64_t i)) {
  struct vkd_shape shape = vkd_tensor_shape(t->graph, x);
  float *dst = vkd_program_input(t->program, 0, x);
  for (int64_t i = 0; i < vkd_shape_numel(&shape); i++) t->values[x.id][i] = (double)(dst[i] = value(t, i));
}
// What the device was given.
static void take_over(struct trial *t, vkd_tensor x) {
  if (!x.id) return;
  struct vkd_shape shape = vkd_tensor_shape(t->graph, x);
  const float *src = vkd_program_input(t->program, 0, x);
  for (int64_t i = 0; i < vkd_shape_numel(&shape); i++) t->values[x.id][i] = (double)src[i];
}
static void put_int(struct trial *t, vkd_tensor x, const int32_t *values, int n) {
  int32_t *dst = vkd_program_input(t->program, 0, x);
  for (int i = 0; i < n; i++) t->values[x.id][i] = dst[i] = values[i];
}

static float any(struct trial *t, int64_t i) { return (void)t, (void)i, (float)draw(); }
static float ragged(struct trial *t, int64_t i) { // the second sample has two rows of text
  int64_t size = (int64_t)t->model->text_len * t->model->text_dim;
  return i / size == 1 && i % size >= 2 * t->model->text_dim ? 0 : (float)draw();
}

static enum vkd_status build(struct trial *t, struct vkd_device *dev, struct vkd_error *err) {
  enum vkd_status st = params_create(&t->params, dev, t->model, PARAMS_FOR_INFERENCE, err);
  if (st == VKD_OK) st = vkd_graph_create(&t->graph, err);
  if (st != VKD_OK) return st;
  int n = t->params->count;
  t->weights = calloc(2 * (size_t)n, sizeof *t->weights);
  t->grads = t->weights + n;
  objective_make_inputs(t->graph, t->config.train.objective, t->model, BATCH, &t->in);
  params_tensors(t->params, t->graph, PARAMS_WEIGHT, t->weights);
  t->loss = objective_loss(t->graph, t->config.train.objective, t->model, t->weights, &t->in, &t->zero);
  vkd_output(t->graph, t->loss);
  vkd_output(t->graph, t->zero);
  int frozen = 0; // the position table, which comes first
  while (t->params->rows[frozen].frozen) frozen++;
  vkd_grad(t->graph, t->loss, t->weights + frozen, n - frozen, t->grads + frozen);
  for (int i = frozen; i < n; i++) vkd_output(t->graph, t->grads[i]);
  st = vkd_program_create(&t->program, &(struct vkd_program_params){.device = dev, .graph = t->graph}, err);
  return st == VKD_OK ? vkd_graph_ref_alloc(t->graph, &t->values, err) : st;
}

// The trainer's initial weights with noise on top, so that none is zero or one.
static enum vkd_status fill(struct trial *t, struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  for (int i = 0; i < t->params->count && st == VKD_OK; i++) {
    const struct dit_param *p = &t->params->rows[i];
    float *w = malloc((size_t)p->numel * sizeof *w);
    dit_param_init(t->model, p, i, 5, w);
    for (int64_t k = 0; k < p->numel; k++) t->values[t->weights[i].id][k] = (double)(w[k] += 0.1f * (float)draw());
    st = params_write(t->params, PARAMS_WEIGHT, i, w, err);
    free(w);
  }
  put(t, t->in.x0, any);
  for (int i = 0; i < BATCH; i++) {
    const double levels[BATCH] = {0.0003, 0.87}; // of a discrete diffusion the last step and one in between
    struct objective_draw drawn;
    objective_draw(&t->config, levels[i], &drawn);
    objective_write(t->program, 0, &t->in, i, t->model, &drawn);
  }
  for (int i = 0; i < 3; i++) take_over(t, (const vkd_tensor[]){t->in.mix, t->in.hybrid, t->in.model.s}[i]);
  if (t->model->class_rows)
    put_int(t, t->in.model.labels, (const int32_t[]){2, 3}, BATCH);
  else
    put(t, t->in.model.text, ragged);
  put_int(t, t->in.key, (const int32_t[]){11, 0, 3, STREAM_NOISE}, 4);
  put_int(t, t->in.sample, (const int32_t[]){6, 7}, BATCH);
  return st;
}

static double relative(const float *x, const double *ref, int64_t n) {
  double d2 = 0, r2 = 0;
  for (int64_t i = 0; i < n; i++) {
    d2 += ((double)x[i] - ref[i]) * ((double)x[i] - ref[i]);
    r2 += ref[i] * ref[i];
  }
  return sqrt(d2 / r2);
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
  struct dit_config with = *family, *model = &with;
  if (objective_learns_variance(objective)) with.out_channels *= 2;
  struct trial t = {.model = model};
  char name[64];
  snprintf(name, sizeof name, "%s, %s", what, objective_name(objective));
  config_default(&t.config);
  t.config.train.objective = objective;
  enum vkd_status st = build(&t, dev, &err);
  if (st == VKD_OK) st = fill(&t, &err);
  if (st == VKD_OK) st = vkd_program_run(t.program, &err);
  if (st == VKD_OK) st = vkd_graph_ref_run(t.graph, t.values, &err);
  CHECK(st == VKD_OK, "%s: %s", name, err.what);
  double worst = 0;
  if (st == VKD_OK) {
    double e = relative(vkd_program_output(t.program, 0, t.loss), t.values[t.loss.id], 1);
    CHECK(e <= 1e-6, "%s: loss is off by %g", name, e);
    e = relative(vkd_program_output(t.program, 0, t.zero), t.values[t.zero.id], 1);
    CHECK(e <= 1e-6, "%s: loss of zeros is off by %g", name, e);
    for (int i = 0; i < t.params->count; i++) {
      const struct dit_param *p = &t.params->rows[i];
      const char *tensor = p->name[dit_native_naming(model)];
      if (p->frozen) continue;
      const float *grad = vkd_program_output(t.program, 0, t.grads[i]);
      if (without_effect(model, tensor)) {
        // rounding of <dout, v> - <dout, o>, beside gradients of 0.1 and more
        CHECK(norm(grad, p->numel) <= 1e-6, "%s: gradient of %s is %g, not 0", name, tensor, norm(grad, p->numel));
        continue;
      }
      e = relative(grad, t.values[t.grads[i].id], p->numel);
      CHECK(e <= tolerance, "%s: gradient of %s is off by %g", name, tensor, e);
      worst = fmax(worst, e);
    }
    printf("%s: loss %.6f, %d gradients, worst %.2e\n", name, t.values[t.loss.id][0], t.params->count, worst);
  }
  free(t.values);
  vkd_program_destroy(&t.program);
  vkd_graph_destroy(&t.graph);
  params_destroy(&t.params);
  free(t.weights);
}

int main(void) {
  struct vkd_error err = {0};
  struct vkd_device *dev;
  enum vkd_status st = vkd_device_create(&dev, NULL, &err);
  if (st == VKD_ERR_NO_DEVICE) {
    printf("skipped: %s\n", err.what);
    return 77;
  }
  CHECK(st == VKD_OK, "%s", err.what);
  if (dev) {
    run_model(dev, "text", &text_model, CONFIG_FLOW);
    run_model(dev, "text", &text_model, CONFIG_HYBRID);
    run_model(dev, "classes", &class_model, CONFIG_V);
    run_model(dev, "image", &image_model, CONFIG_FLOW);
    run_model(dev, "image", &image_model, CONFIG_DDPM);
    run_model(dev, "image", &image_model, CONFIG_HYBRID);
    CHECK(vkd_device_validation(dev, NULL, 0) == 0, "the validation layer complained");
  }
  vkd_device_destroy(&dev);
  return check_done();
}
