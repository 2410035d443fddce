// The samplers' coefficients, on the flow of Gaussian data, whose velocity and path are known exactly.
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "sampler.h"
#include "vkdm/ddpm.h"

// x0 ~ N(MEAN, SPREAD^2); x_t = a x0 + b noise then is N(a MEAN, a^2 SPREAD^2 + b^2).
#define MEAN 0.7
#define SPREAD 0.4

static double variance(double a, double b) { return a * a * SPREAD * SPREAD + b * b; }

// The path of the probability flow through x at (a, b) keeps (x - a MEAN) / deviation.
static double transport(double x, double a, double b, double a2, double b2) {
  return a2 * MEAN + (x - a * MEAN) * sqrt(variance(a2, b2) / variance(a, b));
}

// What a model that has learned these data gives for x.
static double model(enum prediction prediction, double x, double b) {
  double a = prediction == PREDICT_VELOCITY ? 1 - b : sqrt(1 - b * b), rest = (x - a * MEAN) / variance(a, b);
  double noise = b * rest, x0 = MEAN + a * SPREAD * SPREAD * rest;
  if (prediction == PREDICT_EPS) return noise;
  return prediction == PREDICT_V ? a * noise - b * x0 : noise - x0;
}

static const struct sampler *find(const char *name, enum prediction prediction) {
  struct vkd_error err = {0};
  const struct sampler *s;
  CHECK(sampler_find(name, prediction, &s, &err) == VKD_OK, "%s", err.what);
  return s;
}

static struct sampler_step *plan(const char *name, struct sampler_plan p) {
  struct vkd_error err = {0};
  struct sampler_step *steps;
  CHECK(sampler_steps(find(name, p.prediction), &p, &steps, &err) == VKD_OK, "%s", err.what);
  return steps;
}

// What the first `count` steps make of x, without their noise.
static double sample(const char *name, struct sampler_plan p, int count, double x) {
  struct sampler_step *s = plan(name, p);
  double before = 0, m1 = 0, m2 = 0;
  bool corrects = find(name, p.prediction)->corrects;
  for (int i = 0; i < count; i++) {
    double m = s[i].m[0] * x + s[i].m[1] * model(p.prediction, x, s[i].level);
    const double *c = s[i].corrected;
    if (corrects) x = c[0] * x + c[1] * before + c[2] * m + c[3] * m1 + c[4] * m2;
    before = x;
    x = s[i].next[0] * x + s[i].next[1] * m + s[i].next[2] * m1;
    m2 = m1;
    m1 = m;
  }
  free(s);
  return x;
}

// After `count` of the steps.
static double flow_error(const char *name, int steps, int count, double shift) {
  struct sampler_plan p = {.prediction = PREDICT_VELOCITY, .steps = steps, .shift = shift};
  struct sampler_step *s = plan(name, p);
  double start = s[0].level, end = count < steps ? s[count].level : 0, x = 1.3;
  free(s);
  return fabs(sample(name, p, count, x) - transport(x, 1 - start, start, 1 - end, end));
}

// The error falls as steps^-order.  Three quarters of the way, since at the end the steps of lambda do not shrink.
static void check_order(const char *name, double order, double tolerance, double shift) {
  double e[3];
  for (int i = 0; i < 3; i++) e[i] = flow_error(name, 100 << i, 75 << i, shift);
  double first = log2(e[0] / e[1]), second = log2(e[1] / e[2]);
  printf("%s, shift %g: errors %.2e %.2e %.2e, orders %.2f %.2f\n", name, shift, e[0], e[1], e[2], first, second);
  CHECK(fabs(second - order) <= tolerance, "%s converges with order %.2f, %.2f", name, first, second);
  if (order > 1) {
    double whole = flow_error(name, 200, 200, shift), euler = flow_error("euler", 200, 200, shift);
    CHECK(whole <= euler / 4, "%s: %g at the end, euler %g", name, whole, euler);
  }
}

static void check_grid(const char *name, int steps, double shift, const double *levels, const double *timesteps,
                       int first) {
  struct vkd_error err = {0};
  const struct sampler *s = NULL;
  for (size_t i = 0; sampler_at(i); i++)
    if (strcmp(sampler_name(sampler_at(i)), name) == 0) s = sampler_at(i);
  double got[2][1001];
  CHECK(sampler_grid(s, steps, shift, got[0], got[1], &err) == VKD_OK, "%s", err.what);
  for (int i = 0; i < first; i++) {
    if (levels) CHECK_NEAR(got[0][i], levels[i], 1e-15);
    CHECK_NEAR(got[1][i], timesteps[i], 1e-12);
  }
  CHECK(got[0][steps] == 0, "%s ends at %g", name, got[0][steps]);
}

static void test_grids(void) {
  check_grid("euler", 4, 3, (double[]){1, 0.9, 0.75, 0.5}, (double[]){1000, 900, 750, 500}, 4);
  check_grid("dpm++", 8, 5, (double[]){1, 35.0 / 36}, (double[]){1000, 972, 937, 892, 833, 750, 625, 416}, 2);
  check_grid("unipc", 8, 5, (double[]){4.995 / 4.996}, (double[]){999, 972, 937, 892, 833, 749, 624, 416}, 1);
  check_grid("ddim", 10, 1, NULL, (double[]){900, 800, 700, 600, 500, 400, 300, 200, 100, 0}, 10);
  check_grid("ddpm", 5, 1, NULL, (double[]){999, 749, 500, 250, 0}, 5);
}

// One step, two steps, no shift, a steep one: no coefficient is lost at the infinite ends of lambda.
static void test_ends(void) {
  static const char *const names[] = {"euler", "dpm++", "unipc"};
  for (int i = 0; i < 3; i++)
    for (int steps = 1; steps <= 3; steps++)
      for (int k = 0; k < 3; k++) {
        double e = flow_error(names[i], steps, steps, ((double[]){1, 12, 1000})[k]);
        CHECK(e <= 1, "%s, %d steps: off by %g", names[i], steps, e);
      }
  struct sampler_step *s = plan("dpm++", (struct sampler_plan){.steps = 3, .shift = 1});
  CHECK(s[1].next[2] == 0, "after a step from pure noise the next one is of first order");
  CHECK(s[2].next[0] == 0 && s[2].next[1] == 1 && s[2].next[2] == 0, "the last step takes x0");
  free(s);
}

// eps and v of one model are the same samples; DDIM follows the path with order 1.
static void test_ddim(void) {
  double e[3], x = 1.3;
  for (int i = 0; i < 3; i++) {
    struct sampler_plan p = {.prediction = PREDICT_EPS, .steps = (int[]){125, 250, 500}[i], .shift = 1};
    struct sampler_step *s = plan("ddim", p);
    double b = s[0].level, a = sqrt(1 - b * b), got = sample("ddim", p, p.steps, x);
    free(s);
    e[i] = fabs(got - transport(x, a, b, 1, 0));
    p.prediction = PREDICT_V;
    CHECK_NEAR(sample("ddim", p, p.steps, x), got, 1e-10);
  }
  printf("ddim: errors %.2e %.2e %.2e\n", e[0], e[1], e[2]);
  CHECK(fabs(log2(e[1] / e[2]) - 1) <= 0.15, "ddim converges with order %.2f", log2(e[1] / e[2]));
}

// Mean and variance of the samples that DDPM makes of these data: the model is linear in x, so both are exact.
static void test_ddpm(void) {
  static const enum prediction predictions[] = {PREDICT_EPS, PREDICT_V};
  double deviation[2];
  for (int k = 0; k < 2; k++) {
    struct sampler_plan p = {.prediction = predictions[k], .steps = 1000, .shift = 1};
    struct sampler_step *s = plan("ddpm", p);
    double mean = 0, var = 1;
    for (int i = 0; i < p.steps; i++) {
      double at0 = model(p.prediction, 0, s[i].level), slope = model(p.prediction, 1, s[i].level) - at0;
      double gain = s[i].next[0] + s[i].next[1] * slope;
      mean = gain * mean + s[i].next[1] * at0;
      var = gain * gain * var + s[i].next[3] * s[i].next[3];
    }
    deviation[k] = sqrt(var);
    printf("ddpm: mean %.5f (%g), deviation %.5f (%g)\n", mean, MEAN, sqrt(var), SPREAD);
    CHECK_NEAR(mean, MEAN, 1e-3);
    CHECK_NEAR(deviation[k], SPREAD, 2e-2); // 1000 steps; beta is an upper bound of the variance
    CHECK(s[999].next[3] == 0, "the last step adds no noise");
    free(s);
  }
  CHECK_NEAR(deviation[0], deviation[1], 1e-9);
  struct vkd_error err = {0};
  struct ddpm_schedule *d = malloc(sizeof *d);
  CHECK(d && ddpm_schedule_make(d, DDPM_EVEN, 7, &err) == VKD_OK, "%s", err.what);
  struct sampler_plan p = {.prediction = PREDICT_EPS, .learned_variance = true, .steps = 7, .shift = 1};
  struct sampler_step *s = plan("ddpm", p), *fixed;
  p.learned_variance = false;
  fixed = plan("ddpm", p);
  for (int i = 0; d && i < 7; i++) {
    CHECK_NEAR(fixed[i].next[3], i < 6 ? sqrt(d->beta[6 - i]) : 0, 1e-14);
    CHECK(s[i].next[3] == (i < 6), "noise of step %d: %g", i, s[i].next[3]);
    CHECK_NEAR(exp(s[i].log_variance[1]), d->beta[6 - i], 1e-14);
    CHECK_NEAR(exp(s[i].log_variance[0]), d->posterior_variance[6 - i], 1e-14);
  }
  free(s);
  free(fixed);
  free(d);
}

static void refuse(enum vkd_status want, const char *name, enum prediction prediction, const char *text) {
  struct vkd_error err = {0};
  const struct sampler *s;
  CHECK(sampler_find(name, prediction, &s, &err) == want && strstr(err.what, text), "%s: %s", name, err.what);
}

static void test_names(void) {
  refuse(VKD_ERR_USAGE, "unipcc", PREDICT_VELOCITY, "nearest: unipc");
  refuse(VKD_ERR_USAGE, "heun", PREDICT_VELOCITY, "there are euler, dpm++, unipc, ddim, ddpm");
  refuse(VKD_ERR_USAGE, "ddim", PREDICT_VELOCITY, "these are: euler, dpm++, unipc");
  refuse(VKD_ERR_USAGE, "euler", PREDICT_V, "these are: ddim, ddpm");
  CHECK(strcmp(sampler_name(find(NULL, PREDICT_VELOCITY)), "euler") == 0, "the first one of a flow");
  CHECK(strcmp(sampler_name(find(NULL, PREDICT_EPS)), "ddim") == 0, "the first one of ddpm");
  struct vkd_error err = {0};
  struct sampler_step *s;
  struct sampler_plan p = {.prediction = PREDICT_EPS, .steps = 60, .shift = 1};
  CHECK(sampler_steps(find("ddim", PREDICT_EPS), &p, &s, &err) == VKD_ERR_INPUT && !s, "60 steps: %s", err.what);
  p.steps = 0;
  CHECK(sampler_steps(find("ddpm", PREDICT_EPS), &p, &s, &err) == VKD_ERR_INPUT && !s, "no steps: %s", err.what);
}

int main(void) {
  check_order("euler", 1, 0.05, 1);
  check_order("euler", 1, 0.05, 3);
  check_order("dpm++", 2, 0.1, 1);
  check_order("dpm++", 2, 0.1, 3);
  // The corrector adds an order.  Without a shift the first steps of lambda, from sigma = 0.999, still count at 400.
  check_order("unipc", 3, 0.25, 1);
  check_order("unipc", 3, 0.05, 3);
  test_grids();
  test_ends();
  test_ddim();
  test_ddpm();
  test_names();
  return check_done();
}
