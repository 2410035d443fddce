// The joint law: known laws recovered, real numbers reproduced, what the table cannot show said, bad tables refused.
#include "fit/solve.h"

#include <string.h>
#include <unistd.h>

#include "check.h"
#include "synthetic.h"

static void test_residual_derivatives(void) {
  const struct fit_law *law = fit_law_find("joint");
  struct prng prng = {7};
  for (int trial = 0; trial < 20; trial++) {
    struct fit_obs o = {3 * prng_normal(&prng), 3 * prng_normal(&prng), prng_normal(&prng)};
    double x[FIT_MAX_PARAMS], jac[FIT_MAX_PARAMS], hess[FIT_MAX_HESSIAN];
    for (int j = 0; j < law->params; j++) x[j] = prng_normal(&prng);
    law->residual(x, &o, jac, hess);
    for (int j = 0; j < law->params; j++) {
      double step = 1e-5, keep = x[j], up[FIT_MAX_PARAMS], down[FIT_MAX_PARAMS];
      x[j] = keep + step;
      double high = law->residual(x, &o, up, NULL);
      x[j] = keep - step;
      double low = law->residual(x, &o, down, NULL);
      x[j] = keep;
      // central differences: step^2 times the third derivative (|n|^3, up to a few hundred) plus rounding / step
      CHECK_NEAR((high - low) / (2 * step), jac[j], 1e-7);
      for (int k = 0; k < law->params; k++) CHECK_NEAR((up[k] - down[k]) / (2 * step), hess[k * law->params + j], 1e-7);
    }
  }
}

static void test_exact_recovery(void) {
  static const double laws[][FIT_JOINT_PARAMS] = {
      {1.8172, 477.83, 0.34731, 2143.4, 0.36717}, {0.2, 30, 0.2, 5e4, 0.55}, {2.5, 9000, 0.6, 60, 0.15}};
  static const enum fit_loss losses[] = {FIT_LOSS_HUBER, FIT_LOSS_MSE, FIT_LOSS_MAD};
  for (int l = 0; l < 4; l++) {
    double si[FIT_JOINT_PARAMS];
    if (l < 3)
      memcpy(si, laws[l], sizeof si);
    else
      paper_law(si);
    struct fit_runs runs = synthetic_runs(si, 6, 8, 0, 5 + (uint64_t)l);
    struct fit_options options = {.loss = losses[l % 3]};
    struct fit_solution s;
    struct fit_error err;
    CHECK(fit_solve(&runs, &options, &s, &err) == FIT_OK, "%s", err.what);
    // the losses carry 1e-16 of rounding; the condition of the problem (A against alpha) multiplies it by some 1e6 at
    // most
    for (int j = 0; j < FIT_JOINT_PARAMS; j++) CHECK_NEAR(s.params[j] / si[j], 1, 1e-8);
    CHECK(s.e_identified, "E = 0 costs %g of %g", s.objective_without_e, s.objective);
    fit_runs_free(&runs);
  }
}

static void test_noisy_recovery(void) {
  double si[FIT_JOINT_PARAMS];
  paper_law(si);
  for (uint64_t seed = 1; seed <= 5; seed++) {
    struct fit_runs runs = synthetic_runs(si, 12, 20, 1e-3, seed);
    struct fit_options options = {0};
    struct fit_solution s;
    struct fit_error err;
    CHECK(fit_solve(&runs, &options, &s, &err) == FIT_OK, "%s", err.what);
    // below some sqrt(2e-16) of gradient the sum itself no longer falls; a few of them
    CHECK(s.gradient <= 1e-7, "gradient %g", s.gradient);
    CHECK(s.agreeing >= 2, "only %d of %d starts agree", s.agreeing, s.starts);
    // 1e-3 of noise on 12 runs: the sd of a prediction inside the table's range is about 1e-3/sqrt(12) = 3e-4; four of
    // them
    for (size_t i = 0; i < runs.count; i += 17) {
      double want = fit_joint_loss(si, runs.row[i].params, runs.row[i].tokens);
      CHECK_NEAR(fit_joint_loss(s.params, runs.row[i].params, runs.row[i].tokens) / want, 1, 1.2e-3);
    }
    fit_runs_free(&runs);
  }
}

static void test_held(void) {
  double si[FIT_JOINT_PARAMS];
  paper_law(si);
  struct fit_runs runs = synthetic_runs(si, 6, 8, 0, 3);
  struct fit_options options = {.held = {[FIT_ALPHA] = true}, .value = {[FIT_ALPHA] = 0.4}};
  struct fit_solution s;
  struct fit_error err;
  CHECK(fit_solve(&runs, &options, &s, &err) == FIT_OK, "%s", err.what);
  CHECK(s.params[FIT_ALPHA] == 0.4 && s.objective > 1e-9, "alpha %g, objective %g", s.params[FIT_ALPHA], s.objective);
  options = (struct fit_options){.held = {[FIT_E] = true}, .value = {[FIT_E] = si[FIT_E]}};
  CHECK(fit_solve(&runs, &options, &s, &err) == FIT_OK, "%s", err.what);
  CHECK_NEAR(s.params[FIT_E], si[FIT_E], 1e-15); // exp(ln E)
  CHECK_NEAR(s.params[FIT_BETA], si[FIT_BETA], 1e-8);
  options = (struct fit_options){.held = {[FIT_A] = true}, .value = {[FIT_A] = 1}};
  CHECK(fit_solve(&runs, &options, &s, &err) == FIT_ERR_INPUT, "A was held");
  options = (struct fit_options){.delta = NAN};
  CHECK(fit_solve(&runs, &options, &s, &err) == FIT_ERR_INPUT, "delta NaN was taken");
  fit_runs_free(&runs);
}

static void test_outliers(void) {
  double si[FIT_JOINT_PARAMS];
  paper_law(si);
  struct fit_runs runs = synthetic_runs(si, 8, 10, 0, 11);
  for (size_t i = 3; i < runs.count; i += 16) runs.row[i].loss *= 1.2;
  struct fit_options options = {0};
  struct fit_solution s;
  struct fit_error err;
  CHECK(fit_solve(&runs, &options, &s, &err) == FIT_OK, "%s", err.what);
  // an outlier pulls with delta = 1e-3, shared by 75 exact rows: 5 of them shift the fit by some 1e-4
  CHECK_NEAR(fit_joint_loss(s.params, 1e9, 1e10) / fit_joint_loss(si, 1e9, 1e10), 1, 5e-4);
  fit_runs_free(&runs);
}

static void test_refused(void) {
  double si[FIT_JOINT_PARAMS];
  paper_law(si);
  struct fit_options options = {0};
  struct fit_solution s;
  struct fit_error err;
  struct fit_runs runs = synthetic_runs(si, 1, 10, 0, 1);
  CHECK(fit_solve(&runs, &options, &s, &err) == FIT_ERR_INPUT && strstr(err.what, "two model sizes"), "%s", err.what);
  runs.count = 3;
  CHECK(fit_solve(&runs, &options, &s, &err) == FIT_ERR_INPUT && strstr(err.what, "3 usable rows"), "%s", err.what);
  fit_runs_free(&runs);
  runs = synthetic_runs(si, 10, 1, 0, 1);
  for (size_t i = 0; i < runs.count; i++) runs.row[i].tokens = 1e9;
  CHECK(fit_solve(&runs, &options, &s, &err) == FIT_ERR_INPUT && strstr(err.what, "two token counts"), "%s", err.what);
  fit_runs_free(&runs);
  // two sizes cannot tell E from a flatter term of N
  runs = synthetic_runs(si, 2, 12, 1e-3, 4);
  CHECK(fit_solve(&runs, &options, &s, &err) == FIT_OK, "%s", err.what);
  CHECK(!s.e_identified, "E from two sizes: %g against %g", s.objective, s.objective_without_e);
  fit_runs_free(&runs);
}

// Sizes and budgets that hardly differ: a law, or one message, but never a failure for want of a fit without E.
static void test_narrow(void) {
  double si[FIT_JOINT_PARAMS];
  paper_law(si);
  for (int seed = 0; seed < 6; seed++) {
    struct fit_solution s;
    struct fit_error err;
    struct fit_runs runs = synthetic_runs(si, 6, 6, 1e-5, (uint64_t)seed);
    for (size_t i = 0; i < runs.count; i++) {
      struct fit_run *r = &runs.row[i];
      double old = fit_joint_loss(si, r->params, r->tokens);
      r->params = 1e9 * (1 + 0.02 * (double)(i / 6));
      r->tokens = 1e10 * (1 + 0.02 * (double)(i % 6));
      r->loss *= fit_joint_loss(si, r->params, r->tokens) / old;
    }
    enum fit_status st = fit_solve(&runs, NULL, &s, &err);
    CHECK(st == FIT_OK || strstr(err.what, "no start converged"), "%s", err.what);
    if (st == FIT_OK)
      CHECK(!s.e_identified, "E from a narrow table: %g against %g", s.objective, s.objective_without_e);
    fit_runs_free(&runs);
  }
}

static void test_bootstrap(void) {
  double si[FIT_JOINT_PARAMS];
  paper_law(si);
  struct fit_runs runs = synthetic_runs(si, 10, 6, 1e-3, 21);
  struct fit_options options = {0};
  struct fit_solution s;
  struct fit_error err;
  struct fit_bootstrap one, two;
  CHECK(fit_solve(&runs, &options, &s, &err) == FIT_OK, "%s", err.what);
  CHECK(fit_bootstrap(&runs, &options, &s, 60, 0, 9, 1, &one, &err) == FIT_OK, "%s", err.what);
  CHECK(fit_bootstrap(&runs, &options, &s, 60, 0, 9, 2, &two, &err) == FIT_OK, "%s", err.what);
  CHECK(!memcmp(one.param, two.param, sizeof one.param), "the number of threads changed the intervals");
  size_t laws = (size_t)(one.replicates - one.failed) * FIT_JOINT_PARAMS;
  CHECK(one.failed == two.failed && !memcmp(one.sample, two.sample, laws * sizeof *one.sample),
        "the number of threads changed a replicate");
  double clustered = one.param[FIT_E].sd;
  CHECK(one.param[FIT_E].low < one.param[FIT_E].high && clustered > 0, "E in %g .. %g", one.param[FIT_E].low,
        one.param[FIT_E].high);
  fit_bootstrap_free(&one);
  fit_bootstrap_free(&two);
  // half of the noise is common to a run: taking its rows for independent must make the intervals narrower
  for (size_t i = 0; i < runs.count; i++) runs.row[i].run = (int)i;
  runs.clusters = (int)runs.count;
  CHECK(fit_bootstrap(&runs, &options, &s, 60, 0, 9, 2, &one, &err) == FIT_OK, "%s", err.what);
  CHECK(one.size_exponent.sd > 0 && one.param[FIT_E].sd < clustered, "sd of E: rows %g, runs %g", one.param[FIT_E].sd,
        clustered);
  fit_bootstrap_free(&one);
  runs.clusters = 3;
  CHECK(fit_bootstrap(&runs, &options, &s, 60, 0, 9, 2, &one, &err) == FIT_ERR_INPUT, "3 runs were resampled");
  fit_runs_free(&runs);
}

int main(void) {
  test_residual_derivatives();
  test_exact_recovery();
  test_noisy_recovery();
  test_held();
  test_outliers();
  test_refused();
  test_narrow();
  test_bootstrap();
  return check_done();
}
