#include "vkdm/objective.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "vkd/random.h"
#include "vkdm/ddpm.h"

// ---- noise levels --------------------------------------------------------------------------------------------------
double flow_shift(double sigma, double shift) { return shift * sigma / (1 + (shift - 1) * sigma); }

// Standard normal quantile.  Source: Acklam's rational approximation (relative error 1.15e-9) with one Halley step.
static double normal_quantile(double p) {
  static const double a[] = {-3.969683028665376e+01, 2.209460984245205e+02,  -2.759285104469687e+02,
                             1.383577518672690e+02,  -3.066479806614716e+01, 2.506628277459239e+00};
  static const double b[] = {-5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02,
                             6.680131188771972e+01, -1.328068155288572e+01};
  static const double c[] = {-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
                             -2.549732539343734e+00, 4.374664141464968e+00,  2.938163982698783e+00};
  static const double d[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                             3.754408661907416e+00};
  double x, low = 0.02425;
  if (p < low || p > 1 - low) {
    double q = sqrt(-2 * log(p < low ? p : 1 - p));
    x = (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
        ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
    if (p > low) x = -x;
  } else {
    double q = p - 0.5, r = q * q;
    x = (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q /
        (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
  }
  double e = 0.5 * erfc(-x / sqrt(2)) - p, u = e * sqrt(2 * 3.14159265358979323846) * exp(x * x / 2);
  return x - u / (1 + x * u / 2);
}

static double flow_sigma(const struct config *config, double u) {
  double sigma = u;
  if (config->train.sigma == CONFIG_LOGIT_NORMAL)
    sigma = 1 / (1 + exp(-(config->train.sigma_mean + config->train.sigma_std * normal_quantile(u))));
  return flow_shift(sigma, config->train.shift);
}

double noise_uniform(uint64_t seed, enum noise_stream stream, uint64_t step, uint32_t sample) {
  const uint32_t counter[4] = {(uint32_t)(step >> 32), sample, (uint32_t)step, (uint32_t)stream};
  const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
  uint32_t word[4];
  vkd_philox(counter, key, word);
  return vkd_uniform(word[0]);
}

// ---- draws ---------------------------------------------------------------------------------------------------------
static void set_mix(struct objective_draw *d, double c0, double c1, double c2, double c3) {
  const double c[] = {c0, c1, c2, c3};
  for (int i = 0; i < 4; i++) d->mix[i] = (float)c[i];
}

static void flow_draw(const struct config *config, double u, struct objective_draw *d) {
  double sigma = (double)(float)flow_sigma(config, u); // the model is told the level that is mixed
  d->timestep = 1000 * sigma;
  set_mix(d, 1 - sigma, sigma, -1, 1);
}

// The trained steps, made at the first draw.
static struct ddpm_schedule trained;
static pthread_once_t trained_once = PTHREAD_ONCE_INIT;
static void make_trained(void) { ddpm_schedule_make(&trained, DDPM_EVEN, DDPM_STEPS, NULL); }

static int draw_step(double u, struct objective_draw *d) {
  pthread_once(&trained_once, make_trained);
  int t = (int)(u * DDPM_STEPS);
  d->timestep = t;
  return t;
}

static void v_draw(const struct config *config, double u, struct objective_draw *d) {
  (void)config;
  double bar = trained.alpha_bar[draw_step(u, d)];
  set_mix(d, sqrt(bar), sqrt(1 - bar), -sqrt(1 - bar), sqrt(bar));
}

// x0 - its estimate is sqrt(1 / alpha_bar - 1) (eps - noise), and the posterior's means differ by mean_x0 times that.
static void eps_draw(const struct config *config, double u, struct objective_draw *d) {
  (void)config;
  int t = draw_step(u, d);
  double bar = trained.alpha_bar[t], deviation = sqrt(trained.posterior_variance[t]);
  set_mix(d, sqrt(bar), sqrt(1 - bar), 0, 1);
  d->hybrid[VKD_HYBRID_LOG_RATIO] = (float)(trained.log_beta[t] - trained.log_posterior_variance[t]);
  d->hybrid[VKD_HYBRID_SCALE] = (float)(trained.mean_x0[t] * sqrt(1 / bar - 1) / deviation);
  d->hybrid[VKD_HYBRID_BIN] = t ? 0 : (float)(1 / 255.0 / deviation); // half a step of 8-bit pixels in -1 .. 1
}

// ---- losses --------------------------------------------------------------------------------------------------------
// The loss of parts->y, which is empty for zeros.
typedef vkd_tensor loss_fn(struct vkd_graph *g, const struct objective_inputs *in, struct objective_parts *parts);

static vkd_tensor mse_loss(struct vkd_graph *g, const struct objective_inputs *in, struct objective_parts *parts) {
  (void)in;
  vkd_tensor target = parts->target;
  if (parts->y.id) return vkd_mse(g, parts->y, target);
  struct vkd_shape shape = vkd_tensor_shape(g, target);
  float k = (float)(1 / (double)vkd_shape_numel(&shape));
  vkd_tensor coef = vkd_constant(g, "1/n", VKD_F32, VKD_SHAPE(1), &k), sum = vkd_sum_squares(g, target);
  return vkd_lincomb(g, coef, &sum, 1);
}

static vkd_tensor hybrid_loss(struct vkd_graph *g, const struct objective_inputs *in, struct objective_parts *parts) {
  // the target is the noise
  return vkd_hybrid(g, parts->y, parts->target, in->x0, in->hybrid, &parts->terms);
}

// ---- the table -----------------------------------------------------------------------------------------------------
static const struct row {
  const char *name;
  void (*draw)(const struct config *config, double u, struct objective_draw *draw);
  loss_fn *loss;
  bool learned_variance;
} rows[] = {
#define OBJECTIVE(ID, name, draw, loss, learned_variance) {#name, draw##_draw, loss##_loss, learned_variance},
#include "vkdm/objective.def"
#undef OBJECTIVE
};

const char *objective_name(enum config_objective objective) { return rows[objective].name; }
bool objective_learns_variance(enum config_objective objective) { return rows[objective].learned_variance; }

void objective_draw(const struct config *config, double u, struct objective_draw *out) {
  *out = (struct objective_draw){0};
  rows[config->train.objective].draw(config, u, out);
}

void objective_make_inputs(struct vkd_graph *g, enum config_objective objective, const struct dit_config *c,
                           int64_t batch, struct objective_inputs *in) {
  *in = (struct objective_inputs){.batch = batch};
  in->x0 = vkd_input(g, "x0", VKD_F32, VKD_SHAPE(batch, c->in_channels, c->latent[0], c->latent[1], c->latent[2]));
  in->mix = vkd_input(g, "mix", VKD_F32, VKD_SHAPE(batch, 4));
  if (rows[objective].learned_variance)
    in->hybrid = vkd_input(g, "hybrid", VKD_F32, VKD_SHAPE(batch, VKD_HYBRID_COUNT));
  dit_make_inputs(g, c, batch, false, &in->model);
  in->key = vkd_input(g, "key", VKD_I32, VKD_SHAPE(4));
  in->sample = vkd_input(g, "sample", VKD_I32, VKD_SHAPE(batch));
}

void objective_write(struct vkd_program *program, int slot, const struct objective_inputs *in, int64_t i,
                     const struct dit_config *c, const struct objective_draw *draw) {
  memcpy((float *)vkd_program_input(program, slot, in->mix) + 4 * i, draw->mix, sizeof draw->mix);
  if (in->hybrid.id)
    memcpy((float *)vkd_program_input(program, slot, in->hybrid) + VKD_HYBRID_COUNT * i, draw->hybrid,
           sizeof draw->hybrid);
  dit_timestep_embedding(c->freq_dim, draw->timestep,
                         (float *)vkd_program_input(program, slot, in->model.s) + i * c->freq_dim);
}

vkd_tensor objective_loss_of(struct vkd_graph *g, enum config_objective objective, const struct dit_config *c,
                             const vkd_tensor *params, const struct objective_inputs *in, vkd_tensor noise,
                             struct objective_parts *parts) {
  *parts = (struct objective_parts){.xt = {0}};
  vkd_graph_label_push(g, "%s", rows[objective].name);
  if (!noise.id) noise = vkd_randn(g, in->key, in->sample, vkd_tensor_shape(g, in->x0));
  vkd_diffuse(g, in->x0, noise, in->mix, &parts->xt, &parts->target);
  vkd_graph_label_pop(g);
  struct dit_inputs model = in->model;
  model.x = parts->xt;
  parts->y = dit_forward(g, c, params, &model);
  vkd_graph_label_push(g, "loss");
  vkd_tensor loss = rows[objective].loss(g, in, parts);
  vkd_graph_label_pop(g);
  return loss;
}

vkd_tensor objective_loss(struct vkd_graph *g, enum config_objective objective, const struct dit_config *c,
                          const vkd_tensor *params, const struct objective_inputs *in, vkd_tensor *zero) {
  struct objective_parts parts;
  vkd_tensor loss = objective_loss_of(g, objective, c, params, in, (vkd_tensor){0}, &parts);
  if (zero) {
    parts.y = (vkd_tensor){0};
    vkd_graph_label_push(g, "loss");
    *zero = rows[objective].loss(g, in, &parts);
    vkd_graph_label_pop(g);
  }
  return loss;
}
