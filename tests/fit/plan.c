// Planning: the paper's printed numbers, numeric against closed form, trade-offs, inference budgets.
#include "fit/plan.h"

#include <string.h>

#include "check.h"
#include "synthetic.h"

static void test_paper_numbers(void) {
  double si[FIT_JOINT_PARAMS], billions[FIT_JOINT_PARAMS];
  paper_law(si);
  // printed to four digits
  CHECK_NEAR(fit_joint_loss(si, 1.07e9, 4e9), 0.5185, 5e-5);
  CHECK_NEAR(fit_joint_loss(si, 1.07e9, 10e9), 0.5127, 5e-5);
  CHECK_NEAR(fit_joint_loss(si, 0.72e9, 140e9), 0.5035, 5e-5);
  fit_joint_billions(si, billions);
  CHECK_NEAR(billions[FIT_A], 0.0082, 1e-15);
  CHECK_NEAR(billions[FIT_B], 0.0373, 1e-15);
  struct fit_family f = {0};
  struct fit_power power;
  struct fit_error err;
  CHECK(fit_optimum_power(si, &f, 1e18, 1e24, &power, &err) == FIT_OK, "%s", err.what);
  CHECK_NEAR(power.a, 0.4778, 5e-5); // the exponent that the printed law implies at constant FLOPs per token
  CHECK(power.worst < 1e-9, "not a power: %g", power.worst);
}

// C_token against its count by hand: width 1024, depth 12, n_ctx 4096.
static void test_flops(void) {
  double d = 1024, depth = 12, n_ctx = 4096, params = 16 * depth * d * d;
  double forward = 2 * (4 + 2 + 8) * d * d * depth + 4 * n_ctx * d * depth;
  struct fit_family by_depth = {.n_ctx = n_ctx, .depth = depth}, by_aspect = {.n_ctx = n_ctx, .aspect = d / depth};
  CHECK_NEAR(fit_flops_per_token(&by_depth, params) / (3 * forward), 1, 1e-14);
  CHECK_NEAR(fit_flops_per_token(&by_aspect, params) / (3 * forward), 1, 1e-14);
  CHECK_NEAR(fit_family_depth(&by_aspect, params), depth, 1e-12);
  struct fit_family constant = {.flops_per_param = 5.25};
  CHECK(fit_flops_per_token(&constant, 1e9) == 5.25e9, "constant FLOPs per parameter");
}

static void test_optimum(void) {
  struct prng prng = {17};
  for (int trial = 0; trial < 50; trial++) {
    double si[FIT_JOINT_PARAMS] = {2 * prng_uniform(&prng), 0, 0.2 + 0.4 * prng_uniform(&prng), 0,
                                   0.2 + 0.4 * prng_uniform(&prng)};
    si[FIT_A] = 0.3 * pow(1e9, si[FIT_ALPHA]) * exp(prng_normal(&prng));
    si[FIT_B] = 0.3 * pow(1e10, si[FIT_BETA]) * exp(prng_normal(&prng));
    double compute = exp(log(1e20) + 5 * prng_normal(&prng));
    struct fit_family constant = {.flops_per_param = 3 + 5 * prng_uniform(&prng)},
                      real = {.n_ctx = 32768 * prng_uniform(&prng), .depth = trial % 2 ? 24 : 0};
    struct fit_optimum numeric, closed, back;
    struct fit_error err;
    CHECK(fit_optimum_at(si, &constant, compute, &numeric, &err) == FIT_OK, "%s", err.what);
    CHECK(fit_optimum_analytic(si, constant.flops_per_param, compute, &closed, &err) == FIT_OK, "%s", err.what);
    CHECK_NEAR(numeric.params / closed.params, 1, 1e-12); // bisection ends at the last bits of ln N (about 25)
    CHECK_NEAR(numeric.tokens / closed.tokens, 1, 1e-12);
    CHECK(fit_optimum_at(si, &real, compute, &numeric, &err) == FIT_OK, "%s", err.what);
    CHECK_NEAR(numeric.tokens * fit_flops_per_token(&real, numeric.params) / compute, 1, 1e-14);
    for (double by = -0.02; by < 0.03; by += 0.04) { // a lower loss on neither side
      struct fit_tradeoff side;
      fit_tradeoff_at(si, &real, &numeric, numeric.params * exp(by), &side);
      CHECK(side.extra_loss > 0, "%g less at exp(%g) of the optimum", -side.extra_loss, by);
    }
    CHECK(fit_optimum_of_params(si, &real, numeric.params, &back, &err) == FIT_OK, "%s", err.what);
    CHECK_NEAR(back.compute / compute, 1, 1e-11);
  }
}

static void test_tradeoff(void) {
  double si[FIT_JOINT_PARAMS];
  paper_law(si);
  struct fit_family f = {.n_ctx = 8192};
  struct fit_optimum best;
  struct fit_error err;
  struct fit_tradeoff row[FIT_TRADEOFF_ROWS];
  CHECK(fit_optimum_at(si, &f, 1e21, &best, &err) == FIT_OK, "%s", err.what);
  fit_tradeoff_table(si, &f, &best, row);
  CHECK_NEAR(row[0].params * 8 / best.params, 1, 1e-14);
  CHECK_NEAR(row[FIT_TRADEOFF_ROWS - 1].params / 8 / best.params, 1, 1e-14);
  for (int i = 0; i < FIT_TRADEOFF_ROWS; i++) {
    CHECK_NEAR(row[i].tokens * fit_flops_per_token(&f, row[i].params), 1e21, 1e7);
    CHECK(row[i].extra_loss >= (i == FIT_TRADEOFF_ROWS / 2 ? -1e-15 : 1e-6), "row %d: extra loss %g", i,
          row[i].extra_loss);
    CHECK(row[i].compute_at_equal_loss >= 1 - 1e-12, "row %d: %g", i, row[i].compute_at_equal_loss);
    if (isfinite(row[i].compute_at_equal_loss)) {
      double tokens = row[i].compute_at_equal_loss * 1e21 / fit_flops_per_token(&f, row[i].params);
      CHECK_NEAR(fit_joint_loss(si, row[i].params, tokens), best.loss, 1e-14);
    }
  }
  CHECK(isinf(fit_tokens_for_loss(si, 1e6, best.loss)), "a model that is too small reaches the loss");
}

static void test_requests(void) {
  struct fit_family f = {.n_ctx = 4096};
  struct fit_request r = {.sample_tokens = 4096, .steps = 50, .evaluations = 2};
  struct fit_error err;
  double params;
  double flops = fit_request_flops(&f, &r, 3e8);
  CHECK_NEAR(flops / (fit_flops_per_token(&f, 3e8) / 3 * 4096 * 100), 1, 1e-14);
  CHECK(fit_params_for_request(&f, &r, flops, &params, &err) == FIT_OK, "%s", err.what);
  CHECK_NEAR(params / 3e8, 1, 1e-13);
  CHECK(fit_params_for_request(&f, &r, 1, &params, &err) == FIT_ERR_INPUT, "a model for 1 FLOP");
  CHECK(fit_params_for_request(&f, &r, NAN, &params, &err) == FIT_ERR_INPUT, "a model for NaN FLOPs");
}

static void test_refused(void) {
  double si[FIT_JOINT_PARAMS];
  struct fit_family f = {0}, broken = {.n_ctx = NAN};
  struct fit_optimum out;
  struct fit_error err;
  paper_law(si);
  CHECK(fit_optimum_at(si, &f, -1, &out, &err) == FIT_ERR_INPUT, "negative compute");
  CHECK(fit_optimum_at(si, &f, NAN, &out, &err) == FIT_ERR_INPUT, "NaN compute");
  CHECK(fit_optimum_at(si, &broken, 1e20, &out, &err) == FIT_ERR_INPUT, "NaN n_ctx");
  CHECK(fit_optimum_at(si, &f, 1e200, &out, &err) == FIT_ERR_INPUT && strstr(err.what, "outside"), "%s", err.what);
  for (int j = 0; j < FIT_JOINT_PARAMS; j++) {
    double keep = si[j];
    si[j] = j == FIT_E ? -1 : 0;
    CHECK(fit_joint_check(si, &err) == FIT_ERR_INPUT, "parameter %d = %g", j, si[j]);
    si[j] = NAN;
    CHECK(fit_joint_check(si, &err) == FIT_ERR_INPUT, "parameter %d = NaN", j);
    si[j] = keep;
  }
  CHECK(fit_joint_check(si, &err) == FIT_OK, "the paper's law");
}

int main(void) {
  test_paper_numbers();
  test_flops();
  test_optimum();
  test_tradeoff();
  test_requests();
  test_refused();
  return check_done();
}
