// Choosing runs: against every choice there is, against the linear theory, and on a published table whose measured
// losses are revealed only for the runs that were chosen.
#include "fit/design.h"

#include <stdio.h>
#include <string.h>

#include "check.h"
#include "synthetic.h"

#define LAWS 200

// Laws about the paper's, spread as a fit's would be.
static void laws_make(double *law, uint64_t seed) {
  struct prng prng = {seed};
  double centre[FIT_JOINT_PARAMS];
  paper_law(centre);
  for (int i = 0; i < LAWS; i++) {
    double *to = law + i * FIT_JOINT_PARAMS, a = 0.03 * prng_normal(&prng), b = 0.03 * prng_normal(&prng);
    to[FIT_E] = centre[FIT_E] * exp(0.01 * prng_normal(&prng));
    to[FIT_ALPHA] = centre[FIT_ALPHA] + a;
    to[FIT_BETA] = centre[FIT_BETA] + b;
    to[FIT_A] = centre[FIT_A] * pow(1e8, a) * exp(0.05 * prng_normal(&prng));
    to[FIT_B] = centre[FIT_B] * pow(1e10, b) * exp(0.05 * prng_normal(&prng));
  }
}

static void candidates_make(struct fit_candidate *c, int count, int rows, uint64_t seed) {
  struct prng prng = {seed};
  for (int i = 0; i < count; i++) {
    double params = 1e7 * pow(100, prng_uniform(&prng)), tokens = 1e9 * pow(30, prng_uniform(&prng));
    c[i] = (struct fit_candidate){params, tokens, 6 * params * tokens, rows, 0.2};
  }
}

static struct fit_design_problem problem(const double *law, double *target, const struct fit_candidate *c, int count) {
  for (int i = 0; i < LAWS; i++) target[i] = log(fit_joint_loss(law + i * FIT_JOINT_PARAMS, 1e10, 2e11));
  return (struct fit_design_problem){.sample = {law, LAWS, 0.9},
                                     .target = target,
                                     .targets = 1,
                                     .candidate = c,
                                     .candidates = count,
                                     .noise = {0.001, 0.002, true},
                                     .budget = 2e19,
                                     .max_runs = 3,
                                     .misfit = 0.5,
                                     .params = 1e10,
                                     .tokens = 2e11};
}

// The covariance of the target given measurements of some candidates, by elimination in the space of the points:
// another road to what the module computes in directions of the sample.
static double conditioned(const struct fit_design_problem *p, const int *pick, int count) {
  enum { MOST = 24 };
  double value[MOST + 1][LAWS], cov[MOST + 1][MOST + 1], slope[MOST][2];
  int rows = 0;
  for (int k = 0; k < count; k++) {
    const struct fit_candidate *c = &p->candidate[pick[k]];
    for (int r = 0; r < c->rows; r++, rows++) {
      double tokens = c->rows > 1 ? c->tokens * pow(c->from, 1 - r / (c->rows - 1.0)) : c->tokens;
      for (int i = 0; i < LAWS; i++)
        value[rows][i] = log(fit_joint_loss(p->sample.law + i * FIT_JOINT_PARAMS, c->params, tokens));
      slope[rows][0] = log(c->params / p->params);
      slope[rows][1] = log(tokens / p->tokens);
    }
  }
  memcpy(value[rows], p->target, sizeof value[rows]);
  for (int i = 0; i <= rows; i++) {
    double mean = 0;
    for (int l = 0; l < LAWS; l++) mean += value[i][l] / LAWS;
    for (int l = 0; l < LAWS; l++) value[i][l] -= mean;
  }
  for (int i = 0; i <= rows; i++)
    for (int j = 0; j <= rows; j++) {
      cov[i][j] = 0;
      for (int l = 0; l < LAWS; l++) cov[i][j] += value[i][l] * value[j][l] / (LAWS - 1);
    }
  double total = p->noise.row * p->noise.row + p->noise.run * p->noise.run, half = 0.5 * p->misfit * p->misfit * total;
  for (int k = 0, i = 0; k < count; k++) {
    const struct fit_candidate *c = &p->candidate[pick[k]];
    double own = half * (pow(log(c->params / p->params), 2) + pow(log(c->tokens / p->tokens), 2));
    for (int r = 0; r < c->rows; r++, i++)
      for (int s = 0; s < c->rows; s++)
        cov[i][i - r + s] += p->noise.run * p->noise.run + own + (r == s ? p->noise.row * p->noise.row : 0);
  }
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < rows; j++) cov[i][j] += half * (slope[i][0] * slope[j][0] + slope[i][1] * slope[j][1]);
  for (int k = 0; k < rows; k++)
    for (int i = k + 1; i <= rows; i++)
      for (int j = rows; j >= k; j--) cov[i][j] -= cov[i][k] / cov[k][k] * cov[k][j];
  return sqrt(cov[rows][rows]);
}

static void test_theory(void) {
  static double law[LAWS * FIT_JOINT_PARAMS], target[LAWS];
  struct fit_candidate c[12];
  struct fit_error err;
  laws_make(law, 3);
  for (int rows = 1; rows <= 4; rows += 3) {
    candidates_make(c, 12, rows, 5);
    struct fit_design_problem p = problem(law, target, c, 12);
    for (int trial = 0; trial < 4; trial++) {
      int pick[5] = {trial, 2 * trial + 1, 11 - trial, 5, 5}, count = 2 + trial; // with a repeat
      struct fit_design d;
      if (count > 5) count = 5;
      CHECK(fit_design_judge(&p, pick, count, &d, &err) == FIT_OK, "%s", err.what);
      // the directions kept leave a thousandth of a row's noise, which with several rows is a few per mille of the rest
      CHECK_NEAR(d.after / conditioned(&p, pick, count), 1, 5e-3);
      CHECK(d.count == count && d.step[count - 1] == d.after, "steps");
      for (int i = 1; i < count; i++) CHECK(d.step[i] <= d.step[i - 1] * (1 + 1e-12), "a run that adds doubt");
    }
  }
}

// Every set of up to three of twelve.
static void test_exhaustive(void) {
  static double law[LAWS * FIT_JOINT_PARAMS], target[LAWS];
  struct fit_candidate c[12];
  struct fit_error err;
  laws_make(law, 7);
  for (uint64_t seed = 1; seed < 5; seed++) {
    candidates_make(c, 12, 1, seed * 977);
    struct fit_design_problem p = problem(law, target, c, 12);
    struct fit_design best = {.after = INFINITY}, d;
    p.once = true;
    for (int i = 0; i < 12; i++)
      for (int j = i; j < 12; j++)
        for (int k = j; k < 12; k++) {
          int pick[3] = {i, j, k}, count = 1 + (j > i) + (k > j && j > i);
          double cost = c[i].cost + (count > 1 ? c[j].cost : 0) + (count > 2 ? c[k].cost : 0);
          if (cost > p.budget || fit_design_judge(&p, pick, count, &d, &err)) continue;
          if (d.after < best.after) best = d;
        }
    CHECK(fit_design_find(&p, &d, &err) == FIT_OK, "%s", err.what);
    CHECK(d.cost <= p.budget * (1 + 1e-9) && d.count <= 3, "cost %g, %d runs", d.cost, d.count);
    for (int i = 0; i < d.count; i++)
      for (int j = 0; j < i; j++) CHECK(d.pick[i] != d.pick[j], "one run twice");
    // exchanges end where no single change helps: near the best of all, not always at it
    CHECK(d.after <= best.after * 1.03, "%g, the best set leaves %g of %g", d.after, best.after, d.before);
    CHECK(d.after >= best.after * (1 - 1e-9), "%g under the best set's %g", d.after, best.after);
  }
}

static void test_noise(void) {
  double si[FIT_JOINT_PARAMS];
  struct fit_noise noise;
  struct fit_error err;
  struct fit_solution s;
  paper_law(si);
  struct fit_runs runs = synthetic_runs(si, 60, 8, 0.004, 4); // half of the variance is common to a run
  CHECK(fit_solve(&runs, NULL, &s, &err) == FIT_OK, "%s", err.what);
  CHECK(fit_noise_estimate(&runs, &s, &noise, &err) == FIT_OK, "%s", err.what);
  // 60 runs tell a variance to 2/60: 18 %, its root to 9 %; three of those
  CHECK_NEAR(fit_noise_total(&noise) / 0.004, 1, 0.27);
  CHECK(noise.split && fabs(noise.row / noise.run - 1) < 0.5, "row %g, run %g", noise.row, noise.run);
  for (size_t i = 0; i < runs.count; i++) runs.row[i].run = (int)i;
  runs.clusters = (int)runs.count;
  CHECK(fit_noise_estimate(&runs, &s, &noise, &err) == FIT_OK, "%s", err.what);
  CHECK(!noise.split, "a split without runs of several rows");
  CHECK_NEAR(noise.run * noise.run / pow(fit_noise_total(&noise), 2), FIT_RUN_SHARE, 1e-12);
  fit_runs_free(&runs);
}

static void test_refused(void) {
  static double law[LAWS * FIT_JOINT_PARAMS], target[LAWS];
  struct fit_candidate c[4];
  struct fit_design d;
  struct fit_error err;
  laws_make(law, 3);
  candidates_make(c, 4, 1, 5);
  struct fit_design_problem good = problem(law, target, c, 4), p = good;
  CHECK(fit_design_find(&p, &d, &err) == FIT_OK, "%s", err.what);
  p.budget = 1;
  CHECK(fit_design_find(&p, &d, &err) == FIT_ERR_INPUT && strstr(err.what, "pays for no run"), "%s", err.what);
  p = good, p.sample.count = 5;
  CHECK(fit_design_find(&p, &d, &err) == FIT_ERR_INPUT && strstr(err.what, "5 resampled laws"), "%s", err.what);
  p = good, p.noise = (struct fit_noise){0};
  CHECK(fit_design_find(&p, &d, &err) == FIT_ERR_INPUT, "no noise");
  p = good, p.noise.row = NAN;
  CHECK(fit_design_find(&p, &d, &err) == FIT_ERR_INPUT, "NaN noise");
  p = good, p.misfit = NAN;
  CHECK(fit_design_find(&p, &d, &err) == FIT_ERR_INPUT, "NaN misfit");
  p = good, p.max_runs = FIT_DESIGN_MAX_RUNS + 1;
  CHECK(fit_design_find(&p, &d, &err) == FIT_ERR_INPUT, "too many runs");
  p = good, c[1].cost = 0;
  CHECK(fit_design_find(&p, &d, &err) == FIT_ERR_INPUT && strstr(err.what, "candidate 1"), "%s", err.what);
  c[1].cost = 1e18, target[0] = NAN;
  CHECK(fit_design_find(&good, &d, &err) == FIT_ERR_INPUT, "NaN target");
  int none = 4;
  target[0] = 0;
  CHECK(fit_design_judge(&good, &none, 1, &d, &err) == FIT_ERR_INPUT, "run 4 of 4");
}

int main(void) {
  test_theory();
  test_exhaustive();
  test_noise();
  test_refused();
  return check_done();
}
