// The first step from the trainer's initial weights, whose output layer is zero: the loss is that of zeros on the
// noise that the generator gives, only the output layer has a gradient, and several passes make the same update as one.
#include <stdlib.h>
#include <string.h>

#include "../../model/step.h"
#include "device.h"
#include "models.h"
#include "normal.h"

enum { BATCH = 4, SEED = 12, STEP = 1 };

static const struct dit_config image = {.family = DIT_CLASS,
                                        .dim = 24,
                                        .depth = 2,
                                        .heads = 2,
                                        .ffn = 40,
                                        .freq_dim = 16,
                                        .class_rows = 4,
                                        .in_channels = 4,
                                        .out_channels = 8,
                                        .patch = {1, 2, 2},
                                        .latent = {1, 6, 4},
                                        .eps = 1e-6f};
enum { NUMEL = 2 * 2 * 6 * 4, TEXT = 3 * 9 }; // NUMEL of both

static const struct trial {
  const char *name;
  const struct dit_config *model;
  enum config_objective objective;
  const char *output_layer;
} trials[] = {{"video, flow", &small_cross, CONFIG_FLOW, "head.head."},
              {"image, hybrid", &image, CONFIG_HYBRID, "final_layer.linear."}};

static float latents[BATCH * NUMEL], text[BATCH * TEXT];
static const int32_t labels[BATCH] = {0, 2, 1, -1};

static struct config settings(const struct trial *t, int micro) {
  struct config c;
  config_default(&c);
  c.train.objective = t->objective;
  c.train.batch = BATCH;
  c.train.micro_batch = micro;
  c.train.seed = SEED;
  c.train.cond_drop = 0;
  c.train.clip = 0;
  return c;
}

// What a model that gives zeros has to pay, by hand.
static double loss_of_zero(const struct trial *t) {
  struct config c = settings(t, 0);
  double sum = 0, z[4];
  for (uint32_t b = 0; b < BATCH; b++) {
    struct objective_draw draw;
    objective_draw(&c, noise_uniform(SEED, STREAM_LEVEL, STEP, b), &draw);
    CHECK(t->objective == CONFIG_FLOW || draw.timestep > 0, "%s: the last step is drawn, which has no Gaussian",
          t->name);
    double scale = (double)draw.hybrid[VKD_HYBRID_SCALE], d = (double)draw.hybrid[VKD_HYBRID_LOG_RATIO] / 2; // v = 0
    for (uint32_t i = 0; i < NUMEL; i += 4) {
      vkd_normal4(SEED, STEP, STREAM_NOISE, b, i / 4, z);
      for (uint32_t k = 0; k < 4; k++) {
        double flow = z[k] - (double)latents[b * NUMEL + i + k];
        double bits = (d + expm1(-d) + scale * z[k] * scale * z[k] * exp(-d)) / 2 / log(2);
        sum += t->objective == CONFIG_FLOW ? flow * flow : z[k] * z[k] + bits;
      }
    }
  }
  return sum / (BATCH * NUMEL);
}

// One update; head: the gradient of the output layer is all there is.
static enum vkd_status one_step(struct vkd_device *dev, const struct trial *t, int micro, struct params **params,
                                struct step_result *result, struct vkd_error *err) {
  struct config c = settings(t, micro);
  struct step *step = NULL;
  struct step_result results[2];
  int count = 0;
  unsigned kinds = PARAMS_FOR_TRAINING | 1u << PARAMS_GRAD_SUM;
  struct data_batch batch = {.step = STEP, .size = BATCH, .latents = latents, .text = text, .labels = labels};
  enum vkd_status st = params_create(params, dev, t->model, kinds, err);
  if (st == VKD_OK) st = params_init(*params, 3, err);
  if (st == VKD_OK) st = step_create(&step, &c, *params, NULL, err);
  if (st == VKD_OK) st = step_submit(step, STEP, 1e-3, &batch, results, &count, err);
  if (st == VKD_OK && !count) st = step_flush(step, results, &count, err);
  CHECK(st != VKD_OK || count == 1, "one step gave %d results", count);
  if (count) *result = results[0];
  step_destroy(&step);
  return st;
}

static float *values_of(const struct params *p, enum params_kind kind, int i) {
  float *x = malloc((size_t)p->rows[i].numel * sizeof *x);
  struct vkd_error err = {0};
  enum vkd_status st = params_read(p, kind, i, x, &err);
  CHECK(st == VKD_OK, "%s", err.what);
  return x;
}

static void check_gradients(const struct trial *t, const struct params *p) {
  for (int i = 0; i < p->count; i++) {
    const char *name = p->rows[i].name[dit_native_naming(t->model)];
    bool output_layer = strncmp(name, t->output_layer, strlen(t->output_layer)) == 0;
    if (p->rows[i].frozen) continue;
    float *g = values_of(p, PARAMS_GRAD, i);
    int64_t zeros = 0;
    for (int64_t k = 0; k < p->rows[i].numel; k++) zeros += g[k] == 0; // exactly
    if (output_layer)
      CHECK(zeros == 0, "%s: %s: %lld gradients are zero", t->name, name, (long long)zeros);
    else
      CHECK(zeros == p->rows[i].numel, "%s: %s has a gradient", t->name, name);
    free(g);
  }
}

static void check_same_update(const struct params *a, const struct params *b) {
  for (int i = 0; i < a->count; i++) {
    float *x = values_of(a, PARAMS_WEIGHT, i), *y = values_of(b, PARAMS_WEIGHT, i);
    double worst = 0;
    for (int64_t k = 0; k < a->rows[i].numel; k++) worst = fmax(worst, fabs((double)x[k] - (double)y[k]));
    // the update is lr = 1e-3 in size; sums in another order move it by rounding
    CHECK(worst <= 1e-6, "%s: two passes move it elsewhere, by %g", a->rows[i].name[dit_native_naming(&a->config)],
          worst);
    free(x);
    free(y);
  }
}

static void run(struct vkd_device *dev, const struct trial *t) {
  struct vkd_error err = {0};
  struct params *whole = NULL, *split = NULL;
  struct step_result a = {0}, b = {0};
  normal_fill(latents, sizeof latents / sizeof latents[0], 1, 20, 0);
  normal_fill(text, sizeof text / sizeof text[0], 1, 21, 0);
  enum vkd_status st = one_step(dev, t, 0, &whole, &a, &err);
  if (st == VKD_OK) {
    double want = loss_of_zero(t);
    printf("%s: loss %.6f, by hand %.6f\n", t->name, a.loss, want);
    CHECK_NEAR(a.loss, want, 1e-6 * want); // a mean in fp32
    check_gradients(t, whole);
    st = one_step(dev, t, 2, &split, &b, &err);
  }
  CHECK(st == VKD_OK, "%s", err.what);
  if (st == VKD_OK) {
    CHECK_NEAR(b.loss, a.loss, 1e-6 * a.loss);
    CHECK_NEAR(b.grad_norm, a.grad_norm, 1e-6 * a.grad_norm);
    check_same_update(whole, split);
  }
  params_destroy(&whole);
  params_destroy(&split);
}

int main(void) {
  struct vkd_device *dev = device_or_skip(false);
  for (size_t i = 0; i < sizeof trials / sizeof trials[0]; i++) run(dev, &trials[i]);
  return device_done(&dev);
}
