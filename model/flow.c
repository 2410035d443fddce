#include "vkdm/flow.h"

#include <math.h>

#include "vkd/random.h"

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

double flow_sigma(const struct config *config, double u) {
  double sigma = u;
  if (config->train.sigma == CONFIG_LOGIT_NORMAL)
    sigma = 1 / (1 + exp(-(config->train.sigma_mean + config->train.sigma_std * normal_quantile(u))));
  return flow_shift(sigma, config->train.shift);
}

double flow_uniform(uint64_t seed, enum flow_stream stream, uint64_t step, uint32_t sample) {
  const uint32_t counter[4] = {(uint32_t)(step >> 32), sample, (uint32_t)step, (uint32_t)stream};
  const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
  uint32_t word[4];
  vkd_philox(counter, key, word);
  return vkd_uniform(word[0]);
}

void flow_make_inputs(struct vkd_graph *g, const struct dit_config *c, int64_t batch, struct flow_inputs *in) {
  *in = (struct flow_inputs){.batch = batch};
  in->x0 = vkd_input(g, "x0", VKD_F32, VKD_SHAPE(batch, c->in_channels, c->latent[0], c->latent[1], c->latent[2]));
  in->sigma = vkd_input(g, "sigma", VKD_F32, VKD_SHAPE(batch));
  dit_make_inputs(g, c, batch, false, &in->model);
  in->key = vkd_input(g, "key", VKD_I32, VKD_SHAPE(4));
  in->sample = vkd_input(g, "sample", VKD_I32, VKD_SHAPE(batch));
}

vkd_tensor flow_loss(struct vkd_graph *g, const struct dit_config *c, const vkd_tensor *params,
                     const struct flow_inputs *in, vkd_tensor *zero) {
  vkd_tensor xt, target;
  vkd_graph_label_push(g, "flow");
  vkd_tensor noise = vkd_randn(g, in->key, in->sample, vkd_tensor_shape(g, in->x0));
  vkd_flow_mix(g, in->x0, noise, in->sigma, &xt, &target);
  vkd_graph_label_pop(g);
  struct dit_inputs model = in->model;
  model.x = xt;
  vkd_tensor v = dit_forward(g, c, params, &model);
  vkd_graph_label_push(g, "loss");
  vkd_tensor loss = vkd_mse(g, v, target);
  if (zero) *zero = vkd_sum_squares(g, target);
  vkd_graph_label_pop(g);
  return loss;
}
