// The first step from the trainer's initial weights, whose output layer is zero: the loss is mean(target^2) of the
// noise that the generator gives, only the output layer has a gradient, and several passes make the same update as one.
#include <stdlib.h>
#include <string.h>

#include "../../model/step.h"
#include "check.h"
#include "vkd/random.h"

enum { BATCH = 4, SEED = 12, STEP = 1 };

static const struct dit_config model = {.dim = 24,
                                        .depth = 2,
                                        .heads = 2,
                                        .ffn = 40,
                                        .freq_dim = 16,
                                        .text_dim = 9,
                                        .text_len = 3,
                                        .in_channels = 2,
                                        .out_channels = 2,
                                        .patch = {1, 2, 2},
                                        .latent = {2, 6, 4},
                                        .eps = 1e-6f};
enum { NUMEL = 2 * 2 * 6 * 4, TEXT = 3 * 9 };

static float latents[BATCH * NUMEL], text[BATCH * TEXT];

static struct config settings(int micro) {
  struct config c;
  config_default(&c);
  c.train.batch = BATCH;
  c.train.micro_batch = micro;
  c.train.seed = SEED;
  c.train.cond_drop = 0;
  c.train.clip = 0;
  return c;
}

static double target_square(void) {
  double sum = 0, z[4];
  for (uint32_t b = 0; b < BATCH; b++)
    for (uint32_t i = 0; i < NUMEL; i += 4) {
      vkd_normal4(SEED, STEP, STREAM_NOISE, b, i / 4, z);
      for (uint32_t k = 0; k < 4; k++) {
        double d = z[k] - (double)latents[b * NUMEL + i + k];
        sum += d * d;
      }
    }
  return sum / (BATCH * NUMEL);
}

// One update; head: the gradient of the output layer is all there is.
static enum vkd_status one_step(struct vkd_device *dev, int micro, struct params **params, struct step_result *result,
                                struct vkd_error *err) {
  struct config c = settings(micro);
  struct step *step = NULL;
  struct step_result results[2];
  int count = 0;
  unsigned kinds = PARAMS_FOR_TRAINING | 1u << PARAMS_GRAD_SUM;
  struct data_batch batch = {.step = STEP, .size = BATCH, .latents = latents, .text = text};
  enum vkd_status st = params_create(params, dev, &model, kinds, err);
  if (st == VKD_OK) st = params_init(*params, 3, err);
  if (st == VKD_OK) st = step_create(&step, &c, *params, err);
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

static void check_gradients(const struct params *p) {
  for (int i = 0; i < p->count; i++) {
    const char *name = p->rows[i].name[DIT_NAMING_WAN];
    bool output_layer = strncmp(name, "head.head.", 10) == 0;
    float *g = values_of(p, PARAMS_GRAD, i);
    int64_t zeros = 0;
    for (int64_t k = 0; k < p->rows[i].numel; k++) zeros += g[k] == 0; // exactly
    if (output_layer)
      CHECK(zeros == 0, "%s: %lld gradients are zero", name, (long long)zeros);
    else
      CHECK(zeros == p->rows[i].numel, "%s has a gradient", name);
    free(g);
  }
}

static void check_same_update(const struct params *a, const struct params *b) {
  for (int i = 0; i < a->count; i++) {
    float *x = values_of(a, PARAMS_WEIGHT, i), *y = values_of(b, PARAMS_WEIGHT, i);
    double worst = 0;
    for (int64_t k = 0; k < a->rows[i].numel; k++) worst = fmax(worst, fabs((double)x[k] - (double)y[k]));
    // the update is lr = 1e-3 in size; sums in another order move it by rounding
    CHECK(worst <= 1e-6, "%s: two passes move it elsewhere, by %g", a->rows[i].name[DIT_NAMING_WAN], worst);
    free(x);
    free(y);
  }
}

static void run(struct vkd_device *dev) {
  struct vkd_error err = {0};
  struct params *whole = NULL, *split = NULL;
  struct step_result a = {0}, b = {0};
  for (uint32_t i = 0; i < sizeof latents / sizeof latents[0]; i += 4) {
    double z[4];
    vkd_normal4(1, 0, 20, 0, i / 4, z);
    for (uint32_t k = 0; k < 4; k++) latents[i + k] = (float)z[k];
  }
  for (uint32_t i = 0; i < sizeof text / sizeof text[0]; i += 4) {
    double z[4];
    vkd_normal4(1, 0, 21, 0, i / 4, z);
    for (uint32_t k = 0; k < 4; k++) text[i + k] = (float)z[k];
  }
  enum vkd_status st = one_step(dev, 0, &whole, &a, &err);
  if (st == VKD_OK) {
    CHECK_NEAR(a.loss, target_square(), 1e-6 * target_square()); // a mean in fp32
    check_gradients(whole);
    st = one_step(dev, 2, &split, &b, &err);
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
  struct vkd_error err = {0};
  struct vkd_device *dev;
  enum vkd_status st = vkd_device_create(&dev, NULL, &err);
  if (st == VKD_ERR_NO_DEVICE) {
    printf("skipped: %s\n", err.what);
    return 77;
  }
  CHECK(st == VKD_OK, "%s", err.what);
  if (dev) {
    run(dev);
    CHECK(vkd_device_validation(dev, NULL, 0) == 0, "the validation layer complained");
  }
  vkd_device_destroy(&dev);
  return check_done();
}
