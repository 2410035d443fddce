#include "fit/plan.h"

#include <math.h>
#include <stdbool.h>

#define MIN_PARAMS 1.0
#define MAX_PARAMS 1e18
#define POWER_POINTS 33
#define SMALLEST_MODEL 1024.0 // one layer, 8 wide
#define WIDEST 65536
#define DEEPEST 1000
#define MIN_HEAD 8
#define MAX_HEAD 64

static bool positive(double x) { return x > 0 && x < INFINITY; }

double fit_family_depth(const struct fit_family *f, double params) {
  return f->depth > 0 ? f->depth : fit_family_width(f, params) / (f->aspect > 0 ? f->aspect : FIT_DEFAULT_ASPECT);
}

double fit_family_width(const struct fit_family *f, double params) {
  if (f->depth > 0) return sqrt(params / (16 * f->depth));
  return cbrt(params * (f->aspect > 0 ? f->aspect : FIT_DEFAULT_ASPECT) / 16);
}

double fit_flops_per_token(const struct fit_family *f, double params) {
  if (f->n_ctx > 0) return 0.75 * params * (7 + f->n_ctx / fit_family_width(f, params));
  return (f->flops_per_param > 0 ? f->flops_per_param : FIT_DEFAULT_FLOPS_PER_PARAM) * params;
}

// d ln C_token / d ln N: the attention term grows as N/d only.
static double flops_slope(const struct fit_family *f, double params) {
  if (!(f->n_ctx > 0)) return 1;
  double ratio = f->n_ctx / fit_family_width(f, params), width_slope = f->depth > 0 ? 1.0 / 2 : 1.0 / 3;
  return (7 + (1 - width_slope) * ratio) / (7 + ratio);
}

enum fit_status fit_joint_check(const double si[FIT_JOINT_PARAMS], struct fit_error *err) {
  const struct fit_law *law = fit_law_find("joint");
  for (int j = 0; j < FIT_JOINT_PARAMS; j++)
    if (!positive(si[j]) && !(j == FIT_E && si[j] == 0))
      return fit_fail(err, FIT_ERR_INPUT, "law parameter %s is %g; a joint law has E >= 0 and A, alpha, B, beta > 0",
                      law->param[j], si[j]);
  return FIT_OK;
}

enum fit_status fit_family_check(const struct fit_family *f, struct fit_error *err) {
  const double value[] = {f->n_ctx, f->aspect, f->depth, f->flops_per_param};
  static const char *const name[] = {"n_ctx", "aspect", "depth", "flops_per_param"};
  for (int i = 0; i < 4; i++)
    if (!(value[i] >= 0 && value[i] < INFINITY))
      return fit_fail(err, FIT_ERR_INPUT, "%s is %g; it must be a number above 0", name[i], value[i]);
  return FIT_OK;
}

static enum fit_status check(const double *si, const struct fit_family *f, double value, const char *what,
                             struct fit_error *err) {
  enum fit_status status = fit_joint_check(si, err);
  if (!status) status = fit_family_check(f, err);
  if (!status && !positive(value))
    status = fit_fail(err, FIT_ERR_INPUT, "%s is %g; it must be a number above 0", what, value);
  return status;
}

// ln of the ratio of what a larger N loses in tokens to what it gains in size, at equal compute; rises with N, 0 at the
// optimum.
static double imbalance(const double *si, const struct fit_family *f, double log_compute, double n) {
  double params = exp(n);
  return log(si[FIT_BETA] * si[FIT_B] * flops_slope(f, params)) +
         si[FIT_BETA] * (log(fit_flops_per_token(f, params)) - log_compute) + si[FIT_ALPHA] * n -
         log(si[FIT_ALPHA] * si[FIT_A]);
}

static void settle(const double *si, const struct fit_family *f, struct fit_optimum *out) {
  out->tokens = out->compute / fit_flops_per_token(f, out->params);
  out->loss = fit_joint_loss(si, out->params, out->tokens);
}

enum fit_status fit_optimum_at(const double si[FIT_JOINT_PARAMS], const struct fit_family *f, double compute,
                               struct fit_optimum *out, struct fit_error *err) {
  enum fit_status status = check(si, f, compute, "compute", err);
  if (status) return status;
  double low = log(MIN_PARAMS), high = log(MAX_PARAMS), c = log(compute);
  if (!(imbalance(si, f, c, low) < 0 && imbalance(si, f, c, high) > 0))
    return fit_fail(err, FIT_ERR_INPUT, "the optimal size at %g FLOPs is outside %g .. %g parameters", compute,
                    MIN_PARAMS, MAX_PARAMS);
  for (int i = 0; i < 100; i++) { // to the last bit
    double middle = 0.5 * (low + high);
    if (imbalance(si, f, c, middle) < 0)
      low = middle;
    else
      high = middle;
  }
  *out = (struct fit_optimum){.compute = compute, .params = exp(0.5 * (low + high))};
  settle(si, f, out);
  return FIT_OK;
}

enum fit_status fit_optimum_analytic(const double si[FIT_JOINT_PARAMS], double flops_per_param, double compute,
                                     struct fit_optimum *out, struct fit_error *err) {
  struct fit_family f = {.flops_per_param = flops_per_param};
  enum fit_status status = check(si, &f, compute, "compute", err);
  if (status) return status;
  if (!(flops_per_param > 0)) f.flops_per_param = FIT_DEFAULT_FLOPS_PER_PARAM;
  double sum = si[FIT_ALPHA] + si[FIT_BETA];
  double g = pow(si[FIT_ALPHA] * si[FIT_A] / (si[FIT_BETA] * si[FIT_B]), 1 / sum);
  *out = (struct fit_optimum){.compute = compute, .params = g * pow(compute / f.flops_per_param, si[FIT_BETA] / sum)};
  settle(si, &f, out);
  return FIT_OK;
}

enum fit_status fit_optimum_of_params(const double si[FIT_JOINT_PARAMS], const struct fit_family *f, double params,
                                      struct fit_optimum *out, struct fit_error *err) {
  enum fit_status status = check(si, f, params, "params", err);
  if (status) return status;
  // ln C enters the imbalance with slope -beta
  *out = (struct fit_optimum){.compute = exp(imbalance(si, f, 0, log(params)) / si[FIT_BETA]), .params = params};
  if (!positive(out->compute))
    return fit_fail(err, FIT_ERR_INPUT, "%g parameters are optimal at no finite compute", params);
  settle(si, f, out);
  return FIT_OK;
}

enum fit_status fit_optimum_power(const double si[FIT_JOINT_PARAMS], const struct fit_family *f, double low,
                                  double high, struct fit_power *out, struct fit_error *err) {
  double x[POWER_POINTS], y[POWER_POINTS], mx = 0, my = 0, xx = 0, xy = 0;
  if (!(positive(low) && positive(high) && low < high))
    return fit_fail(err, FIT_ERR_INPUT, "compute range %g .. %g is not a range above 0", low, high);
  for (int i = 0; i < POWER_POINTS; i++) {
    struct fit_optimum at;
    double compute = low * pow(high / low, i / (POWER_POINTS - 1.0));
    enum fit_status status = fit_optimum_at(si, f, compute, &at, err);
    if (status) return status;
    mx += (x[i] = log(compute)) / POWER_POINTS;
    my += (y[i] = log(at.params)) / POWER_POINTS;
  }
  for (int i = 0; i < POWER_POINTS; i++) {
    xx += (x[i] - mx) * (x[i] - mx);
    xy += (x[i] - mx) * (y[i] - my);
  }
  *out = (struct fit_power){.a = xy / xx};
  double constant = my - out->a * mx;
  out->k = exp(constant);
  for (int i = 0; i < POWER_POINTS; i++) out->worst = fmax(out->worst, fabs(y[i] - constant - out->a * x[i]));
  return FIT_OK;
}

double fit_tokens_for_loss(const double si[FIT_JOINT_PARAMS], double params, double loss) {
  double left = loss - si[FIT_E] - si[FIT_A] * pow(params, -si[FIT_ALPHA]);
  return left > 0 ? pow(si[FIT_B] / left, 1 / si[FIT_BETA]) : INFINITY;
}

void fit_tradeoff_at(const double si[FIT_JOINT_PARAMS], const struct fit_family *f, const struct fit_optimum *optimum,
                     double params, struct fit_tradeoff *out) {
  double per_token = fit_flops_per_token(f, params);
  *out = (struct fit_tradeoff){.params = params, .tokens = optimum->compute / per_token};
  out->loss = fit_joint_loss(si, params, out->tokens);
  out->extra_loss = out->loss - optimum->loss;
  out->inference = per_token / fit_flops_per_token(f, optimum->params);
  out->compute_at_equal_loss = fit_tokens_for_loss(si, params, optimum->loss) * per_token / optimum->compute;
}

void fit_tradeoff_table(const double si[FIT_JOINT_PARAMS], const struct fit_family *f,
                        const struct fit_optimum *optimum, struct fit_tradeoff row[FIT_TRADEOFF_ROWS]) {
  for (int i = 0; i < FIT_TRADEOFF_ROWS; i++)
    fit_tradeoff_at(si, f, optimum, optimum->params * exp2((i - FIT_TRADEOFF_ROWS / 2) / 2.0), &row[i]);
}

static double loss_at_compute(const double *si, const struct fit_family *f, double compute, double n) {
  double params = exp(n);
  return fit_joint_loss(si, params, compute / fit_flops_per_token(f, params));
}

enum fit_status fit_flat_range(const double si[FIT_JOINT_PARAMS], const struct fit_family *f,
                               const struct fit_optimum *optimum, double tolerance, struct fit_flat *out,
                               struct fit_error *err) {
  double edge[2];
  if (!(tolerance > 0 && tolerance < 1))
    return fit_fail(err, FIT_ERR_INPUT, "tolerance %g is not between 0 and 1", tolerance);
  for (int side = 0; side < 2; side++) {
    double inside = log(optimum->params), outside = log(side ? MAX_PARAMS : MIN_PARAMS);
    for (int i = 0; i < 100; i++) {
      double middle = 0.5 * (inside + outside);
      if (loss_at_compute(si, f, optimum->compute, middle) <= optimum->loss * (1 + tolerance))
        inside = middle;
      else
        outside = middle;
    }
    edge[side] = exp(inside);
  }
  *out = (struct fit_flat){edge[0], edge[1]};
  return FIT_OK;
}

enum fit_status fit_shape_near(const struct fit_family *f, double params, struct fit_shape *out,
                               struct fit_error *err) {
  enum fit_status status = fit_family_check(f, err);
  if (status) return status;
  if (!(params >= SMALLEST_MODEL && fit_family_width(f, params) <= WIDEST))
    return fit_fail(err, FIT_ERR_INPUT,
                    "%g parameters by this depth rule are no model of %g parameters or more and at "
                    "most %d wide",
                    params, SMALLEST_MODEL, WIDEST);
  double width = fit_family_width(f, params), best = INFINITY;
  int head = MAX_HEAD;
  while (head > MIN_HEAD && width < 6 * head) head /= 2;
  for (int heads = 1; heads * head <= 2 * width + head; heads++) {
    double d = heads * head, exact = f->depth > 0 ? f->depth : params / (16 * d * d);
    for (int k = 0; k < 2; k++) {
      double depth = fmax(1, floor(exact) + k), got = 16 * depth * d * d;
      double rule = f->depth > 0 ? 0 : log(d / depth / (f->aspect > 0 ? f->aspect : FIT_DEFAULT_ASPECT));
      // a twentieth of the size is as bad as a factor 1.5 of the depth rule, beyond which models train unlike
      double cost = pow(log(got / params) / 0.05, 2) + pow(rule / 0.4, 2);
      if (depth > DEEPEST || !(cost < best)) continue;
      best = cost;
      *out = (struct fit_shape){(int)d, (int)depth, heads, got};
    }
  }
  return best < INFINITY
             ? FIT_OK
             : fit_fail(err, FIT_ERR_INPUT, "no model of %g parameters has a depth up to %d", params, DEEPEST);
}

enum fit_status fit_optimum_for_loss(const double si[FIT_JOINT_PARAMS], const struct fit_family *f, double loss,
                                     struct fit_optimum *out, struct fit_error *err) {
  enum fit_status status = check(si, f, loss, "loss", err);
  if (status) return status;
  if (!(loss > si[FIT_E]))
    return fit_fail(err, FIT_ERR_INPUT, "no training reaches loss %g: the law's E is %g", loss, si[FIT_E]);
  double low = 0, high = log(1e60); // ln FLOPs
  for (int i = 0; i < 100; i++) {
    double middle = 0.5 * (low + high);
    struct fit_optimum at;
    // budgets whose optimum is below one parameter count as too small, those above the largest as enough
    bool enough = !fit_optimum_at(si, f, exp(middle), &at, NULL) ? at.loss <= loss : middle > log(1e30);
    if (enough)
      high = middle;
    else
      low = middle;
  }
  if (fit_optimum_at(si, f, exp(high), out, NULL) || !(fabs(out->loss / loss - 1) < 1e-9))
    return fit_fail(err, FIT_ERR_INPUT, "loss %g is that of no optimal model of %g .. %g parameters", loss, MIN_PARAMS,
                    MAX_PARAMS);
  return FIT_OK;
}

double fit_request_flops(const struct fit_family *f, const struct fit_request *r, double params) {
  struct fit_family at = *f;
  if (at.n_ctx > 0) at.n_ctx = r->sample_tokens;
  return fit_flops_per_token(&at, params) / 3 * r->sample_tokens * r->steps * r->evaluations;
}

enum fit_status fit_params_for_request(const struct fit_family *f, const struct fit_request *r, double flops,
                                       double *params, struct fit_error *err) {
  enum fit_status status = fit_family_check(f, err);
  if (status) return status;
  if (!(positive(flops) && positive(r->sample_tokens) && positive(r->steps) && positive(r->evaluations)))
    return fit_fail(err, FIT_ERR_INPUT,
                    "inference FLOPs %g, sample tokens %g, steps %g, evaluations %g: all must be numbers above 0",
                    flops, r->sample_tokens, r->steps, r->evaluations);
  double low = log(MIN_PARAMS), high = log(MAX_PARAMS);
  if (!(fit_request_flops(f, r, MIN_PARAMS) <= flops && fit_request_flops(f, r, MAX_PARAMS) >= flops))
    return fit_fail(err, FIT_ERR_INPUT, "%g FLOPs per request fit no model of %g .. %g parameters", flops, MIN_PARAMS,
                    MAX_PARAMS);
  for (int i = 0; i < 100; i++) {
    double middle = 0.5 * (low + high);
    if (fit_request_flops(f, r, exp(middle)) <= flops)
      low = middle;
    else
      high = middle;
  }
  *params = exp(low);
  return FIT_OK;
}
