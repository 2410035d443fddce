// Compute-optimal sizes without a law of the loss: known truth recovered, every refusal with its reason, intervals that
// hold, real rows.
#include "fit/sizes.h"

#include <string.h>
#include <unistd.h>

#include "check.h"
#include "synthetic.h"

#define CHINCHILLA "../shared/runs/epoch_chinchilla.csv"

static const double truth[FIT_JOINT_PARAMS] = {1.8172, 477.83, 0.34731, 2143.4, 0.36717};

static double optimal_size(const double *si, double compute) {
  struct fit_family f = {0};
  struct fit_optimum best;
  struct fit_error err;
  CHECK(fit_optimum_at(si, &f, compute, &best, &err) == FIT_OK, "%s", err.what);
  return best.params;
}

// `sizes` sizes at each of `budgets` computes, half a decade apart, spread by a factor of exp(+-span) about the
// optimum.
static struct fit_runs equal_compute(const double *si, int budgets, int sizes, double span, double noise,
                                     uint64_t seed) {
  struct fit_runs runs = synthetic_runs(si, sizes, budgets, 0, seed);
  struct prng prng = {seed * 2654435761u + 99};
  runs.count = 0;
  for (int b = 0; b < budgets; b++) {
    double compute = 1e18 * pow(10, 0.5 * b), middle = optimal_size(si, compute);
    for (int s = 0; s < sizes; s++) {
      struct fit_run *row = &runs.row[runs.count];
      row->params = middle * exp(span * (2.0 * s / (sizes - 1) - 1 + 0.1 * (prng_uniform(&prng) - 0.5)));
      row->tokens = compute / 6 / row->params;
      row->loss = fit_joint_loss(si, row->params, row->tokens) * exp(noise * prng_normal(&prng));
      row->run = (int)runs.count++;
    }
  }
  runs.clusters = (int)runs.count;
  runs.has_run = false;
  return runs;
}

// Without noise a narrow parabola is the loss's own: its vertex is the optimum, its law the closed form's.
static void test_exact(void) {
  struct fit_runs runs = equal_compute(truth, 5, 7, 0.3, 0, 3);
  struct fit_isoflop i;
  struct fit_error err;
  CHECK(fit_isoflop(&runs, NULL, &i, &err) == FIT_OK, "%s", err.what);
  CHECK(i.source == FIT_BUDGETS_BY_ROWS && i.budgets == 5 && i.accepted == 5 && i.rows_used == 35, "%d of %d, %zu rows",
        i.accepted, i.budgets, i.rows_used);
  for (int b = 0; b < i.budgets; b++) {
    CHECK_NEAR(i.budget[b].compute / (1e18 * pow(10, 0.5 * b)), 1, 1e-12);
    // the fourth order of the loss over a width of 0.3, and the third times 0.09/10: under 1e-3
    CHECK_NEAR(i.budget[b].params / optimal_size(truth, i.budget[b].compute), 1, 2e-3);
    CHECK_NEAR(i.budget[b].tokens * i.budget[b].params * 6 / i.budget[b].compute, 1, 1e-3);
  }
  CHECK_NEAR(i.law.a, truth[FIT_BETA] / (truth[FIT_ALPHA] + truth[FIT_BETA]), 1e-3);
  fit_isoflop_free(&i);
  fit_runs_free(&runs);
}

static enum fit_budget_status status_of(struct fit_runs *runs, struct fit_isoflop *i) {
  struct fit_error err;
  double budget = 1e18;
  struct fit_isoflop_options o = {.budget = &budget, .budgets = 1, .replicates = -1};
  CHECK(fit_isoflop(runs, &o, i, &err) == FIT_OK, "%s", err.what);
  CHECK(i->budgets == 1 && !i->has_law, "a law from one budget");
  if (i->budget[0].status) CHECK(isnan(i->budget[0].params), "a refused budget has an optimum");
  enum fit_budget_status status = i->budget[0].status;
  fit_isoflop_free(i);
  return status;
}

static void test_refusals(void) {
  struct fit_runs runs = equal_compute(truth, 1, 8, 1, 1e-4, 5), part = runs;
  struct fit_isoflop i;
  CHECK(status_of(&runs, &i) == FIT_BUDGET_ACCEPTED, "a sound budget");
  part.count = 3;
  CHECK(status_of(&part, &i) == FIT_BUDGET_TOO_FEW_SIZES, "three sizes");
  part.count = 4; // the smallest four: the loss falls towards the largest
  CHECK(status_of(&part, &i) == FIT_BUDGET_MINIMUM_AT_LARGEST, "the lower half");
  part.row = runs.row + 4;
  CHECK(status_of(&part, &i) == FIT_BUDGET_MINIMUM_AT_SMALLEST, "the upper half");
  for (size_t k = 0; k < runs.count; k++) runs.row[k].loss = 4 / runs.row[k].loss;
  CHECK(status_of(&runs, &i) == FIT_BUDGET_NO_MINIMUM, "a hill");
  struct prng prng = {77};
  int flat = 0;
  for (int t = 0; t < 40; t++) { // noise alone: curvature by chance
    for (size_t k = 0; k < runs.count; k++) runs.row[k].loss = 2 * exp(1e-2 * prng_normal(&prng));
    enum fit_budget_status status = status_of(&runs, &i);
    flat += status == FIT_BUDGET_FLAT || status == FIT_BUDGET_NO_MINIMUM;
  }
  CHECK(flat >= 34, "%d of 40 tables of noise refused", flat); // two standard errors with 5 degrees of freedom: 5 %
  fit_runs_free(&runs);
  for (int s = 0; s < FIT_BUDGET_STATUS_COUNT; s++)
    CHECK(strlen(fit_budget_text((enum fit_budget_status)s)) > 3, "status %d", s);
}

// Intervals of the exponent over 200 tables: rows that are independent, and curves whose rows are not.
static void test_coverage(void) {
  double a = truth[FIT_BETA] / (truth[FIT_ALPHA] + truth[FIT_BETA]);
  for (int curves = 0; curves < 2; curves++) {
    int hit = 0, tables = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
      struct fit_runs runs =
          curves ? synthetic_runs(truth, 12, 20, 2e-3, seed) : equal_compute(truth, 5, 6, 1, 1e-3, seed);
      struct fit_isoflop_options o = {.seed = seed, .replicates = 100};
      struct fit_isoflop i;
      struct fit_error err;
      CHECK(fit_isoflop(&runs, &o, &i, &err) == FIT_OK, "%s", err.what);
      CHECK(i.source == (curves ? FIT_BUDGETS_BY_CURVES : FIT_BUDGETS_BY_ROWS), "source %d", (int)i.source);
      if (i.has_law) {
        tables++;
        hit += i.law.a_interval.low <= a && a <= i.law.a_interval.high;
      }
      fit_isoflop_free(&i);
      fit_runs_free(&runs);
    }
    printf("a by %s: %d of %d\n", curves ? "curves" : "rows", hit, tables);
    CHECK(tables >= 190, "%d laws", tables);
    CHECK(hit >= 0.82 * tables && hit <= 0.97 * tables, "%d of %d intervals hold the truth", hit, tables);
  }
}

static void test_envelope(void) {
  struct fit_runs runs = synthetic_runs(truth, 24, 40, 0, 9);
  struct fit_envelope e;
  struct fit_isoflop i;
  struct fit_error err;
  CHECK(fit_envelope(&runs, NULL, &e, &err) == FIT_OK, "%s", err.what);
  // 24 sizes over 1e7 .. 3e9 are steps of 0.24 in ln N, so a line through the stairs is good to a few hundredths
  CHECK_NEAR(e.law.a, truth[FIT_BETA] / (truth[FIT_ALPHA] + truth[FIT_BETA]), 0.03);
  CHECK(e.law.a_interval.low < e.law.a && e.law.a < e.law.a_interval.high, "a in %g .. %g", e.law.a_interval.low,
        e.law.a_interval.high);
  for (int k = 0; k < e.points; k++)
    CHECK_NEAR(log(e.params[k] / optimal_size(truth, e.compute[k])), 0, 0.5); // the loss is flat: a step and a half
  CHECK(fit_isoflop(&runs, NULL, &i, &err) == FIT_OK && i.source == FIT_BUDGETS_BY_CURVES, "%s", err.what);
  struct fit_size_row row;
  struct fit_size_sources all = {.joint = truth, .isoflop = &i, .envelope = &e};
  fit_size_row(&all, 1e19, &row);
  CHECK_NEAR(row.joint / row.closed, 1, 1e-10);
  CHECK_NEAR(log(row.isoflop / row.joint), 0, 0.3);
  CHECK_NEAR(log(row.envelope / row.joint), 0, 0.3);
  CHECK(row.isoflop_interval.low < row.isoflop_interval.high && isnan(row.joint_interval.low), "intervals");
  fit_isoflop_free(&i);
  fit_envelope_free(&e);
  for (size_t k = 0; k < runs.count; k++) runs.row[k].run = (int)k; // no curves
  runs.clusters = (int)runs.count;
  CHECK(fit_envelope(&runs, NULL, &e, &err) == FIT_ERR_INPUT && strstr(err.what, "column run"), "%s", err.what);
  fit_runs_free(&runs);
}

static void test_options(void) {
  struct fit_runs runs = equal_compute(truth, 2, 5, 1, 0, 4);
  struct fit_isoflop i, again;
  struct fit_error err;
  double bad = -1, good[] = {3.16227766e18, 1e18};
  struct fit_isoflop_options o = {.budget = &bad, .budgets = 1};
  CHECK(fit_isoflop(&runs, &o, &i, &err) == FIT_ERR_INPUT && strstr(err.what, "budget 1"), "%s", err.what);
  o = (struct fit_isoflop_options){.level = 2};
  CHECK(fit_isoflop(&runs, &o, &i, &err) == FIT_ERR_INPUT, "level 2");
  o = (struct fit_isoflop_options){.width = NAN};
  CHECK(fit_isoflop(&runs, &o, &i, &err) == FIT_ERR_INPUT, "width NaN");
  o = (struct fit_isoflop_options){.from = FIT_BUDGETS_CURVES};
  CHECK(fit_isoflop(&runs, &o, &i, &err) == FIT_ERR_INPUT && strstr(err.what, "no curves"), "%s", err.what);
  o = (struct fit_isoflop_options){.budget = good, .budgets = 2, .linear_loss = true, .seed = 8};
  CHECK(fit_isoflop(&runs, &o, &i, &err) == FIT_OK && i.accepted == 2 && i.budget[0].compute == 1e18, "%s", err.what);
  CHECK(fit_isoflop(&runs, &o, &again, &err) == FIT_OK, "%s", err.what);
  CHECK(!memcmp(i.sample, again.sample, 2 * (size_t)(i.replicates - i.failed) * sizeof *i.sample), "same seed");
  CHECK(i.budget[0].loss > 2 && i.budget[0].loss < 4, "loss %g", i.budget[0].loss);
  fit_isoflop_free(&i);
  fit_isoflop_free(&again);
  runs.count = 2;
  CHECK(fit_isoflop(&runs, NULL, &i, &err) == FIT_ERR_INPUT && strstr(err.what, "no budget to try"), "%s", err.what);
  fit_runs_free(&runs);
}

// Digitised rows, not on exact budgets: the second of the published estimates is N_opt ~ C^0.49 (80 %: 0.462 .. 0.534).
static void test_chinchilla(void) {
  struct fit_runs runs;
  struct fit_isoflop i;
  struct fit_error err;
  if (access(CHINCHILLA, R_OK)) {
    puts("not checked: no run table at " CHINCHILLA);
    return;
  }
  CHECK(fit_runs_read(CHINCHILLA, &runs, &err) == FIT_OK, "%s", err.what);
  CHECK(fit_isoflop(&runs, NULL, &i, &err) == FIT_OK, "%s", err.what);
  CHECK(i.accepted >= 8, "%d of %d budgets", i.accepted, i.budgets);
  CHECK(i.law.a > 0.462 && i.law.a < 0.54, "a = %g", i.law.a);
  CHECK(i.law.a_interval.low < 0.5139 && i.law.a_interval.high > 0.5139, "the joint law's exponent is outside");
  fit_isoflop_free(&i);
  fit_runs_free(&runs);
}

int main(void) {
  test_exact();
  test_refusals();
  test_coverage();
  test_envelope();
  test_options();
  test_chinchilla();
  return check_done();
}
