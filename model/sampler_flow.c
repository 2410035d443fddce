// Samplers of the rectified flow, dx/dsigma = v.  All but Euler work on m = x - sigma v, the x0 that v tells of, and on
// lambda = log((1 - sigma) / sigma).
#include <math.h>

#include "sampler.h"
#include "vkdm/objective.h"

// Noise level i of N from shift(top) down, 0 at i = N.
static double level(const struct sampler_plan *p, double top, int i) {
  return i < p->steps ? flow_shift(top * (1 - (double)i / p->steps), p->shift) : 0;
}

static double lambda(double sigma) { return log((1 - sigma) / sigma); } // infinite at 0 and 1

enum vkd_status sampler_plan_euler(const struct sampler_plan *p, struct sampler_step *out, struct vkd_error *err) {
  (void)err;
  for (int i = 0; i < p->steps; i++) {
    double sigma = level(p, 1, i);
    out[i] = (struct sampler_step){
        .timestep = 1000 * sigma, .level = sigma, .next = {1, level(p, 1, i + 1) - sigma}, .m = {0, 1}};
  }
  return VKD_OK;
}

// The part that DPM-Solver++(2M) and UniPC's predictor share, from sigma to next, with `before` the level of the step
// before (1: there is none):
//   x <- (next / sigma) x + (1 - next / sigma) (m + (h / h_before) (m - m1) / 2), h the rise of lambda.
// (1 - next) (1 - exp(-h)) is 1 - next / sigma.  Where h or h_before is infinite the last term is left out: with the
// step before at sigma = 1 it is 0, and the last step takes x = m.
static void predict(double before, double sigma, double next, double out[4]) {
  double keep = next / sigma, second = 0;
  if (before < 1 && next > 0) second = (lambda(next) - lambda(sigma)) / (lambda(sigma) - lambda(before)) / 2;
  out[0] = keep;
  out[1] = (1 - keep) * (1 + second);
  out[2] = -(1 - keep) * second;
}

// The levels from shift(top) down; the model is fed the whole part of 1000 sigma.  Source: Wan-Video/Wan2.1
static void multistep(const struct sampler_plan *p, double top, struct sampler_step *out) {
  for (int i = 0; i < p->steps; i++) {
    double sigma = level(p, top, i);
    out[i] = (struct sampler_step){.timestep = floor(1000 * sigma), .level = sigma, .m = {1, -sigma}, .corrected = {1}};
    predict(i ? level(p, top, i - 1) : 1, sigma, level(p, top, i + 1), out[i].next);
  }
}

// Source: Lu et al. 2022, arXiv:2211.01095
enum vkd_status sampler_plan_dpm(const struct sampler_plan *p, struct sampler_step *out, struct vkd_error *err) {
  (void)err;
  multistep(p, 1, out);
  return VKD_OK;
}

// UniPC's corrector (B2, data prediction): x at sigma again, from the corrected x and m of the step before and, with
// m - m1 known, of one order more.  The model is not asked again.  order: that of the prediction which gave x.
static void correct(double before2, double before, double sigma, int order, double out[5]) {
  double keep = sigma / before, change = 1 - keep; // (1 - sigma) (1 - exp(-h))
  double own = 0.5, other = 0, r = 1;              // weights of m - m1 and of (m2 - m1) / r
  if (order == 2) {
    double h = lambda(sigma) - lambda(before), e = expm1(-h);
    double phi1 = e / -h - 1, phi2 = phi1 / -h - 0.5, b1 = phi1 / e, b2 = 2 * phi2 / e;
    r = (lambda(before2) - lambda(before)) / h;
    other = (b1 - b2) / (1 - r);
    own = b1 - other;
  }
  out[0] = 0;
  out[1] = keep;
  out[2] = change * own;
  out[3] = change * (1 - own - other / r);
  out[4] = change * other / r;
}

// Source: Zhao et al. 2023, arXiv:2302.04867
enum vkd_status sampler_plan_unipc(const struct sampler_plan *p, struct sampler_step *out, struct vkd_error *err) {
  (void)err;
  multistep(p, 0.999, out);
  for (int i = 1; i < p->steps; i++)
    correct(i > 1 ? out[i - 2].level : 1, out[i - 1].level, out[i].level, i > 1 ? 2 : 1, out[i].corrected);
  return VKD_OK;
}
