// Training plus inference against brute force; the flat range; models that can be built.
#include "fit/serving.h"

#include <string.h>

#include "check.h"
#include "synthetic.h"

static void test_cheapest(void) {
  struct prng prng = {11};
  for (int trial = 0; trial < 30; trial++) {
    double si[FIT_JOINT_PARAMS], requests = pow(10, 4 + 6 * prng_uniform(&prng));
    struct fit_family f = {.n_ctx = trial % 3 ? 1000 * prng_uniform(&prng) : 0, .depth = trial % 2 ? 20 : 0};
    struct fit_service s = {{2048, 50, 2}, requests};
    struct fit_optimum at, back;
    struct fit_serving_plan plan;
    struct fit_serving row[FIT_SERVING_ROWS];
    struct fit_error err;
    paper_law(si);
    si[FIT_ALPHA] *= 0.8 + 0.4 * prng_uniform(&prng);
    CHECK(fit_optimum_at(si, &f, 1e21, &at, &err) == FIT_OK, "%s", err.what);
    CHECK(fit_optimum_for_loss(si, &f, at.loss, &back, &err) == FIT_OK, "%s", err.what);
    // the loss hardly depends on the compute, so ln C comes back to some 1e-13 over its slope of 0.01
    CHECK_NEAR(back.compute / 1e21, 1, 1e-9);
    CHECK(fit_serving_plan(si, &f, &s, at.loss, &plan, &err) == FIT_OK, "%s", err.what);
    double least = INFINITY, where = 0, low = log(plan.smallest), high = log(4 * at.params);
    for (int i = 1; i <= 4000; i++) {
      struct fit_serving one;
      fit_serving_at(si, &f, &s, at.loss, exp(low + (high - low) * i / 4000), &one);
      CHECK(isinf(one.total) || fabs(fit_joint_loss(si, one.params, one.tokens) / at.loss - 1) < 1e-12, "another loss");
      if (one.total < least) {
        least = one.total;
        where = one.params;
      }
    }
    CHECK(plan.cheapest.total <= least * (1 + 1e-12), "%g over the %g of N = %g", plan.cheapest.total, least, where);
    CHECK_NEAR(log(plan.cheapest.params / where), 0, 2 * (high - low) / 4000);
    CHECK_NEAR(plan.saved, 1 - plan.cheapest.total / plan.optimal.total, 1e-15);
    CHECK(plan.saved > 0 && plan.cheapest.params < plan.optimal.params, "saved %g", plan.saved);
    fit_serving_table(si, &f, &s, &plan, row);
    int found = 0;
    for (int i = 0; i < FIT_SERVING_ROWS; i++) {
      CHECK(i == 0 || row[i].params >= row[i - 1].params, "row %d out of order", i);
      found += row[i].params == plan.cheapest.params || row[i].params == plan.optimal.params;
    }
    CHECK(found == 2, "%d of the two sizes in the table", found);
    s.requests = 0;
    CHECK(fit_serving_plan(si, &f, &s, at.loss, &plan, &err) == FIT_OK, "%s", err.what);
    CHECK(plan.saved >= 0 && plan.saved < 1e-9, "no requests, yet %g saved", plan.saved);
  }
}

static void test_interval(void) {
  enum { LAWS = 40 };
  double si[FIT_JOINT_PARAMS], law[LAWS][FIT_JOINT_PARAMS];
  struct prng prng = {29};
  struct fit_family f = {.n_ctx = 2048};
  struct fit_service s = {{2048, 50, 2}, 1e7};
  struct fit_serving_interval out;
  struct fit_error err;
  paper_law(si);
  for (int i = 0; i < LAWS; i++) {
    memcpy(law[i], si, sizeof si);
    law[i][FIT_B] *= exp(0.05 * prng_normal(&prng));
  }
  struct fit_sample sample = {law[0], LAWS, 0.9};
  CHECK(fit_serving_interval(&sample, &f, &s, 1e21, 0, &out, &err) == FIT_OK, "%s", err.what);
  struct fit_optimum at;
  struct fit_serving_plan plan;
  CHECK(fit_optimum_at(si, &f, 1e21, &at, &err) == FIT_OK, "%s", err.what);
  CHECK(fit_serving_plan(si, &f, &s, at.loss, &plan, &err) == FIT_OK, "%s", err.what);
  CHECK(out.laws == LAWS && out.params.low < plan.cheapest.params && plan.cheapest.params < out.params.high &&
            out.saved.low < plan.saved && plan.saved < out.saved.high,
        "%d laws, N %g in [%g, %g]", out.laws, plan.cheapest.params, out.params.low, out.params.high);
  CHECK(fit_serving_interval(&sample, &f, &s, 0, 0.4, &out, &err) == FIT_ERR_INPUT, "a loss below E");
}

static void test_flat(void) {
  double si[FIT_JOINT_PARAMS];
  struct fit_family f = {.n_ctx = 4096};
  struct fit_optimum at;
  struct fit_flat flat;
  struct fit_error err;
  paper_law(si);
  CHECK(fit_optimum_at(si, &f, 1e21, &at, &err) == FIT_OK, "%s", err.what);
  CHECK(fit_flat_range(si, &f, &at, 1e-3, &flat, &err) == FIT_OK, "%s", err.what);
  CHECK(flat.low < at.params && at.params < flat.high, "%g, %g", flat.low, flat.high);
  for (int side = 0; side < 2; side++) {
    double params = side ? flat.high : flat.low;
    CHECK_NEAR(fit_joint_loss(si, params, 1e21 / fit_flops_per_token(&f, params)) / at.loss, 1.001, 1e-12);
  }
  CHECK(fit_flat_range(si, &f, &at, 0, &flat, &err) == FIT_ERR_INPUT, "tolerance 0");
  CHECK(fit_flat_range(si, &f, &at, NAN, &flat, &err) == FIT_ERR_INPUT, "tolerance NaN");
}

static void test_shape(void) {
  struct fit_error err;
  struct fit_shape s;
  struct fit_family by_aspect = {0}, by_depth = {.depth = 24};
  for (double params = 2048; params < 1e12; params *= 1.7) {
    CHECK(fit_shape_near(&by_aspect, params, &s, &err) == FIT_OK, "%s", err.what);
    CHECK(s.depth >= 1 && s.heads >= 1 && s.width % s.heads == 0 && s.width / s.heads % 8 == 0, "%d wide, %d heads",
          s.width, s.heads);
    CHECK_NEAR(s.params, 16.0 * s.depth * s.width * s.width, 0);
    // in small models one layer or one head more is a large step
    if (params > 1e5) CHECK_NEAR(log(s.params / params), 0, params > 1e7 ? 0.05 : 0.12);
  }
  CHECK(fit_shape_near(&by_depth, 1e9, &s, &err) == FIT_OK && s.depth == 24, "%d deep", s.depth);
  CHECK_NEAR(log(s.params / 1e9), 0, 0.05); // a head of 64 in a width of 1614
  CHECK(fit_shape_near(&by_aspect, 100, &s, &err) == FIT_ERR_INPUT, "100 parameters");
  CHECK(fit_shape_near(&by_aspect, NAN, &s, &err) == FIT_ERR_INPUT, "NaN parameters");
  CHECK(fit_shape_near(&by_aspect, 1e18, &s, &err) == FIT_ERR_INPUT, "1e18 parameters");
}

static void test_refused(void) {
  double si[FIT_JOINT_PARAMS];
  struct fit_family f = {0};
  struct fit_service s = {{2048, 50, 2}, 1e6};
  struct fit_serving_plan plan;
  struct fit_error err;
  paper_law(si);
  CHECK(fit_serving_plan(si, &f, &s, 0.48, &plan, &err) == FIT_ERR_INPUT && strstr(err.what, "no training reaches"),
        "%s", err.what);
  s.requests = NAN;
  CHECK(fit_serving_plan(si, &f, &s, 0.5, &plan, &err) == FIT_ERR_INPUT, "NaN requests");
  s.requests = 1;
  s.request.steps = 0;
  CHECK(fit_serving_plan(si, &f, &s, 0.5, &plan, &err) == FIT_ERR_INPUT, "no steps");
}

int main(void) {
  test_cheapest();
  test_interval();
  test_flat();
  test_shape();
  test_refused();
  return check_done();
}
