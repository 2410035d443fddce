// The hybrid loss as the papers write it - posterior means and variances, from x_t - against what the host draws for a
// step and the device computes from that; and on the numbers of the public code.
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "normal.h"
#include "vkd/exec.h"
#include "vkdm/ddpm.h"
#include "vkdm/objective.h"
#include "vkdm/safetensors.h"

enum { MAX_BATCH = 6, C = 4, HEIGHT = 16, WIDTH = 16, INNER = C * HEIGHT * WIDTH };

// Means of a thousand terms in fp32, of operands rounded to fp32 once; a wrong term is at 1e-3 or more.
static const double tolerance = 3e-6;

struct batch {
  int count;
  int32_t t[MAX_BATCH];
  float x0[MAX_BATCH * INNER], noise[MAX_BATCH * INNER], y[MAX_BATCH * 2 * INNER];
  float xt[MAX_BATCH * INNER], parts[MAX_BATCH][2], loss; // what the device makes of it
};

static void set(struct vkd_program *program, vkd_tensor x, const float *values, int count) {
  memcpy(vkd_program_input(program, 0, x), values, (size_t)count * sizeof *values);
}

static enum vkd_status run(struct vkd_device *dev, struct batch *b, struct vkd_error *err) {
  struct vkd_graph *g = NULL;
  struct vkd_program *program = NULL;
  struct config c;
  config_default(&c);
  c.train.objective = CONFIG_HYBRID;
  enum vkd_status st = vkd_graph_create(&g, err);
  if (st != VKD_OK) return st;
  struct vkd_shape latent = VKD_SHAPE(b->count, C, 1, HEIGHT, WIDTH);
  vkd_tensor x0 = vkd_input(g, "x0", VKD_F32, latent), noise = vkd_input(g, "noise", VKD_F32, latent);
  vkd_tensor y = vkd_input(g, "y", VKD_F32, VKD_SHAPE(b->count, 2 * C, 1, HEIGHT, WIDTH));
  vkd_tensor mix = vkd_input(g, "mix", VKD_F32, VKD_SHAPE(b->count, 4));
  vkd_tensor coef = vkd_input(g, "coef", VKD_F32, VKD_SHAPE(b->count, VKD_HYBRID_COUNT));
  vkd_tensor xt, target, parts, loss = vkd_hybrid(g, y, noise, x0, coef, &parts);
  vkd_diffuse(g, x0, noise, mix, &xt, &target);
  vkd_output(g, xt);
  vkd_output(g, parts);
  vkd_output(g, loss);
  st = vkd_program_create(&program, &(struct vkd_program_params){.device = dev, .graph = g}, err);
  if (st == VKD_OK) {
    set(program, x0, b->x0, b->count * INNER);
    set(program, noise, b->noise, b->count * INNER);
    set(program, y, b->y, b->count * 2 * INNER);
    for (int i = 0; i < b->count; i++) {
      struct objective_draw draw;
      objective_draw(&c, (b->t[i] + 0.5) / DDPM_STEPS, &draw);
      CHECK(draw.timestep == b->t[i], "step %d was drawn as %g", b->t[i], draw.timestep);
      memcpy((float *)vkd_program_input(program, 0, mix) + 4 * i, draw.mix, sizeof draw.mix);
      memcpy((float *)vkd_program_input(program, 0, coef) + VKD_HYBRID_COUNT * i, draw.hybrid, sizeof draw.hybrid);
    }
    st = vkd_program_run(program, err);
  }
  if (st == VKD_OK) {
    memcpy(b->xt, vkd_program_output(program, 0, xt), (size_t)(b->count * INNER) * sizeof(float));
    memcpy(b->parts, vkd_program_output(program, 0, parts), (size_t)b->count * sizeof b->parts[0]);
    b->loss = *(const float *)vkd_program_output(program, 0, loss);
  }
  vkd_program_destroy(&program);
  vkd_graph_destroy(&g);
  return st;
}

static double cdf(double x) { return 0.5 * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x))); }

// Nats of one element, from x_t.
static double vb_nats(const struct ddpm_schedule *s, int t, double x0, double xt, double eps, double v) {
  double bar = s->alpha_bar[t], f = (v + 1) / 2;
  double log_var = f * s->log_beta[t] + (1 - f) * s->log_posterior_variance[t];
  double estimate = sqrt(1 / bar) * xt - sqrt(1 / bar - 1) * eps;
  double mean = s->mean_x0[t] * estimate + s->mean_xt[t] * xt, want = s->mean_x0[t] * x0 + s->mean_xt[t] * xt;
  if (t > 0)
    return 0.5 * (log_var - s->log_posterior_variance[t] - 1 + exp(s->log_posterior_variance[t] - log_var) +
                  (want - mean) * (want - mean) * exp(-log_var));
  double upper = cdf((x0 - mean + 1.0 / 255) * exp(-log_var / 2)),
         lower = cdf((x0 - mean - 1.0 / 255) * exp(-log_var / 2));
  if (x0 < -0.999) lower = 0;
  if (x0 > 0.999) upper = 1;
  return -log(fmax(upper - lower, 1e-12));
}

static double normal(uint32_t i) { return normal_at(31, 9, i, 0); }

static void check_formula(struct vkd_device *dev, struct batch *b) {
  static const int steps[MAX_BATCH] = {0, 1, 2, 50, 417, 999};
  static struct ddpm_schedule s;
  struct vkd_error err = {0};
  b->count = MAX_BATCH;
  for (int i = 0; i < MAX_BATCH; i++) {
    b->t[i] = steps[i];
    for (int k = 0; k < INNER; k++) {
      uint32_t at = (uint32_t)(i * INNER + k);
      b->x0[at] = (float)fmin(1, fmax(-1, 0.7 * normal(4 * at))); // the ends are open bins
      b->noise[at] = (float)normal(4 * at + 1);
      b->y[i * 2 * INNER + k] = b->noise[at] + 0.3F * (float)normal(4 * at + 2);
      b->y[(i * 2 + 1) * INNER + k] = (float)normal(4 * at + 3); // beyond -1 .. 1 too
    }
  }
  enum vkd_status st = ddpm_schedule_make(&s, DDPM_EVEN, DDPM_STEPS, &err);
  if (st == VKD_OK) st = run(dev, b, &err);
  CHECK(st == VKD_OK, "%s", err.what);
  double loss = 0;
  for (int i = 0; i < MAX_BATCH && st == VKD_OK; i++) {
    double mse = 0, vb = 0, bar = s.alpha_bar[steps[i]];
    for (int k = 0; k < INNER; k++) {
      double x0 = (double)b->x0[i * INNER + k], noise = (double)b->noise[i * INNER + k];
      double eps = (double)b->y[i * 2 * INNER + k], v = (double)b->y[(i * 2 + 1) * INNER + k];
      double xt = sqrt(bar) * x0 + sqrt(1 - bar) * noise;
      mse += (noise - eps) * (noise - eps) / INNER;
      vb += vb_nats(&s, steps[i], x0, xt, eps, v) / log(2) / INNER;
    }
    printf("step %3d: mse %.7f, vb %.4e; on the device %.7f, %.4e\n", steps[i], mse, vb, (double)b->parts[i][0],
           (double)b->parts[i][1]);
    CHECK_NEAR(b->parts[i][0], mse, tolerance * mse);
    CHECK_NEAR(b->parts[i][1], vb, tolerance * vb);
    loss += (mse + vb) / MAX_BATCH;
  }
  CHECK_NEAR(b->loss, loss, tolerance * loss);
}

// ---- the public code's numbers -------------------------------------------------------------------------------------
#define FOLDER "../shared/oracle/dit_hybrid/"

static enum vkd_status read_f32(const struct st_file *file, const char *name, uint64_t channels, float *dst,
                                struct vkd_error *err) {
  const struct st_tensor *t;
  enum vkd_status st = st_require(file, name, 4, (const uint64_t[]){3, channels, HEIGHT, WIDTH}, &t, err);
  return st == VKD_OK ? st_read_f32(t, dst, err) : st;
}

// Three numbers after "name": [ in the text.
static bool numbers(const char *text, const char *name, double out[3]) {
  const char *at = strstr(text, name);
  if (!at || !(at = strchr(at, '['))) return false;
  for (int i = 0; i < 3; i++) {
    char *end;
    out[i] = strtod(++at, &end);
    if (end == at) return false;
    at = end + strspn(end, " \n");
  }
  return true;
}

static void check_oracle(struct vkd_device *dev, struct batch *b, FILE *json) {
  static char text[1 << 16];
  static float want_xt[3 * INNER];
  struct vkd_error err = {0};
  struct st_file *file = NULL;
  const struct st_tensor *t;
  double mse[3], vb[3];
  text[fread(text, 1, sizeof text - 1, json)] = 0;
  if (!numbers(text, "\"mse_per_sample\"", mse) || !numbers(text, "\"vb_per_sample\"", vb)) {
    CHECK(false, FOLDER "case.json: no terms of the loss per sample");
    return;
  }
  b->count = 3;
  enum vkd_status st = st_open(FOLDER "io.safetensors", &file, &err);
  if (st == VKD_OK) st = read_f32(file, "x0", C, b->x0, &err);
  if (st == VKD_OK) st = read_f32(file, "noise", C, b->noise, &err);
  if (st == VKD_OK) st = read_f32(file, "x_t", C, want_xt, &err);
  if (st == VKD_OK) st = read_f32(file, "out", 2 * C, b->y, &err);
  if (st == VKD_OK) st = st_require(file, "t", 1, (const uint64_t[]){3}, &t, &err);
  if (st == VKD_OK) st = st_read_i32(t, b->t, &err);
  if (st == VKD_OK) st = run(dev, b, &err);
  CHECK(st == VKD_OK, "%s", err.what);
  st_close(&file);
  if (st != VKD_OK) return;
  double worst = 0;
  for (int i = 0; i < 3 * INNER; i++) worst = fmax(worst, fabs((double)b->xt[i] - (double)want_xt[i]));
  CHECK(worst <= 1e-6, "x_t is off by %g", worst); // two products of numbers up to 5, in fp32
  for (int i = 0; i < 3; i++) {
    printf("public code, step %3d: mse %.9f, vb %.9f; on the device %.9f, %.9f\n", b->t[i], mse[i], vb[i],
           (double)b->parts[i][0], (double)b->parts[i][1]);
    CHECK_NEAR(b->parts[i][0], mse[i], tolerance * mse[i]);
    CHECK_NEAR(b->parts[i][1], vb[i], tolerance * vb[i]);
  }
}

int main(void) {
  static struct batch b;
  struct vkd_device *dev = device_or_skip(false);
  check_formula(dev, &b);
  FILE *json = fopen(FOLDER "case.json", "r");
  if (json) {
    check_oracle(dev, &b, json);
    fclose(json);
  } else {
    printf("no reference case in " FOLDER ": its numbers were not compared\n");
  }
  return device_done(&dev);
}
