// What a fit rests on: condition and correlations against their definition, the profile of E, runs held out whole,
// diverged runs by rule, large tables.
#include "fit/diagnosis.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "fit/sizes.h"
#include "synthetic.h"

#define CHINCHILLA "../shared/runs/epoch_chinchilla.csv"
#define STEPLAW "../shared/runs/steplaw_dense.csv"

static bool says(const struct fit_solution *s, const struct fit_diagnosis *d, const char *words) {
  struct fit_finding found[FIT_MAX_FINDINGS];
  int count = fit_findings(s, d, found);
  for (int i = 0; i < count; i++)
    if (strstr(found[i].text, words)) return true;
  return false;
}

static void test_profile(void) {
  double si[FIT_JOINT_PARAMS];
  paper_law(si);
  struct fit_runs runs = synthetic_grid(si, 8, 8, 1e-3, 3);
  struct fit_options options = {0}, held = {.held = {[FIT_E] = true}};
  struct fit_solution s, at;
  struct fit_diagnosis d;
  struct fit_error err;
  CHECK(fit_solve(&runs, &options, &s, &err) == FIT_OK, "%s", err.what);
  CHECK(fit_diagnose(&runs, &options, &s, &d, &err) == FIT_OK, "%s", err.what);
  CHECK(d.points == FIT_PROFILE_POINTS, "%d points", d.points);
  CHECK(d.e_low < s.params[FIT_E] && s.params[FIT_E] < d.e_high, "E within 2 %%: %g .. %g", d.e_low, d.e_high);
  for (int i = 0; i < d.points; i++) {
    CHECK(d.objective[i] >= s.objective * (1 - 1e-9), "point %d under the minimum", i);
    if (i) CHECK(d.e[i] > d.e[i - 1], "E falls at point %d", i);
  }
  for (int i = 0; i < d.points; i += 8) { // each point is a fit with E held, from its own starts
    held.value[FIT_E] = d.e[i];
    CHECK(fit_solve(&runs, &held, &at, &err) == FIT_OK, "%s", err.what);
    CHECK_NEAR(d.objective[i] / at.objective, 1, 1e-6);
  }
  held.value[FIT_E] = d.e_high;
  CHECK(fit_solve(&runs, &held, &at, &err) == FIT_OK, "%s", err.what);
  CHECK_NEAR(at.objective / s.objective, 1.02, 2e-3); // linear between points that are 1/40 of the plot apart
  for (int j = 0; j < FIT_JOINT_PARAMS; j++)
    for (int k = 0; k < FIT_JOINT_PARAMS; k++) {
      double r = d.correlation[j * FIT_JOINT_PARAMS + k];
      CHECK(fabs(r) <= 1 && (j != k || r == 1), "correlation %d %d: %g", j, k, r);
      CHECK_NEAR(r, d.correlation[k * FIT_JOINT_PARAMS + j], 1e-9);
    }
  CHECK(d.condition > 1 && d.condition < d.condition_si, "condition %g, SI %g", d.condition, d.condition_si);
  // with E held there is no profile, and its correlations are not numbers
  CHECK(fit_diagnose(&runs, &held, &at, &d, &err) == FIT_OK, "%s", err.what);
  CHECK(d.points == 0 && isnan(d.correlation[FIT_E]) && !isnan(d.correlation[1 * FIT_JOINT_PARAMS + 2]), "E held");
  fit_runs_free(&runs);
}

// The correlations against those of the estimates over many tables.
static void test_correlation(void) {
  enum { TABLES = 200 };
  double si[FIT_JOINT_PARAMS], alpha[TABLES], e[TABLES], ma = 0, me = 0, aa = 0, ee = 0, ae = 0, said = 0;
  paper_law(si);
  struct fit_options options = {.loss = FIT_LOSS_MSE};
  struct fit_runs exact = synthetic_grid(si, 8, 8, 0, 5), runs = synthetic_grid(si, 8, 8, 0, 5);
  struct prng prng = {31};
  for (int t = 0; t < TABLES; t++) {
    struct fit_solution s;
    struct fit_diagnosis d;
    struct fit_error err;
    for (size_t i = 0; i < runs.count; i++) runs.row[i].loss = exact.row[i].loss * exp(1e-4 * prng_normal(&prng));
    CHECK(fit_solve(&runs, &options, &s, &err) == FIT_OK, "%s", err.what);
    if (!t) {
      CHECK(fit_diagnose(&runs, &options, &s, &d, &err) == FIT_OK, "%s", err.what);
      said = d.correlation[FIT_E * FIT_JOINT_PARAMS + FIT_ALPHA];
    }
    ma += (alpha[t] = s.params[FIT_ALPHA]) / TABLES;
    me += (e[t] = log(s.params[FIT_E])) / TABLES;
  }
  fit_runs_free(&exact);
  fit_runs_free(&runs);
  for (int t = 0; t < TABLES; t++) {
    aa += (alpha[t] - ma) * (alpha[t] - ma);
    ee += (e[t] - me) * (e[t] - me);
    ae += (alpha[t] - ma) * (e[t] - me);
  }
  // 200 tables know a correlation r to (1 - r^2)/sqrt(200), 0.07 at most; two of them
  CHECK_NEAR(ae / sqrt(aa * ee), said, 0.14);
}

static void test_holdout(void) {
  double si[FIT_JOINT_PARAMS];
  paper_law(si);
  struct fit_runs runs = synthetic_runs(si, 10, 8, 1e-3, 12);
  struct fit_options options = {0};
  struct fit_holdout before, after;
  struct fit_error err;
  double flops = fit_compute_quantile(&runs, 0.2);
  CHECK(fit_holdout(&runs, &options, flops, &before, &err) == FIT_OK, "%s", err.what);
  CHECK(before.runs == 2 && before.fitted == 64, "%d runs held out, %zu rows fitted", before.runs, before.fitted);
  CHECK(before.held_out + before.set_aside == 16 && before.set_aside > 0, "%zu and %zu rows", before.held_out,
        before.set_aside);
  CHECK(before.mean <= before.worst && fabs(before.bias) <= before.mean, "%g %g %g", before.bias, before.mean,
        before.worst);
  // nothing of a run that is held out reaches the fit: not its earlier rows either
  double most[10] = {0};
  for (size_t i = 0; i < runs.count; i++)
    most[runs.row[i].run] = fmax(most[runs.row[i].run], fit_run_flops(&runs.row[i]));
  for (size_t i = 0; i < runs.count; i++)
    if (most[runs.row[i].run] > flops) runs.row[i].loss *= 1.5;
  CHECK(fit_holdout(&runs, &options, flops, &after, &err) == FIT_OK, "%s", err.what);
  CHECK(!memcmp(before.solution.params, after.solution.params, sizeof before.solution.params), "the rows leaked");
  CHECK_NEAR(after.mean, 1 / 3., 0.02);
  CHECK(fit_holdout(&runs, &options, 1e40, &after, &err) == FIT_ERR_INPUT, "nothing to hold out");
  fit_runs_free(&runs);
}

static void test_diverged(void) {
  double si[FIT_JOINT_PARAMS];
  paper_law(si);
  struct fit_runs runs = synthetic_grid(si, 6, 6, 1e-3, 2);
  struct fit_error err;
  for (size_t i = 0; i < runs.count; i++) runs.row[i].params = 1e7 * pow(3, (double)(i / 6)); // rows of one N share it
  CHECK(fit_runs_drop_diverged(&runs, FIT_DIVERGED_FACTOR, &err) == FIT_OK && runs.count == 36, "sound rows dropped");
  double largest = 0;
  for (size_t i = 0; i < runs.count; i++) largest = fmax(largest, runs.row[i].loss);
  runs.row[20].loss = 2 * largest;
  runs.row[0].loss *= 3; // the smallest model with the fewest tokens: nothing lies under it but itself
  size_t slowest = 0;
  for (size_t i = 0; i < 6; i++)
    if (runs.row[i].tokens < runs.row[slowest].tokens) slowest = i;
  CHECK(slowest == 0, "rows in order of tokens");
  CHECK(fit_runs_drop_diverged(&runs, FIT_DIVERGED_FACTOR, &err) == FIT_OK, "%s", err.what);
  CHECK(runs.count == 35 && runs.clusters == 35 && runs.dropped[FIT_DROP_TOO_HIGH] == 1, "%zu rows left", runs.count);
  for (size_t i = 0; i < runs.count; i++) CHECK(runs.row[i].loss != 2 * largest, "the diverged row stayed");
  CHECK(fit_runs_drop_diverged(&runs, 1, &err) == FIT_ERR_INPUT && fit_runs_drop_diverged(&runs, NAN, &err), "factor");
  fit_runs_free(&runs);
}

// A large table: every part answers, in seconds.
static void test_large(void) {
  double si[FIT_JOINT_PARAMS];
  paper_law(si);
  struct fit_runs runs = synthetic_runs(si, 100, 2000, 1e-3, 6);
  struct fit_options options = {0};
  struct fit_solution s;
  struct fit_diagnosis d;
  struct fit_isoflop i;
  struct fit_error err;
  clock_t begun = clock();
  CHECK(fit_runs_drop_diverged(&runs, FIT_DIVERGED_FACTOR, &err) == FIT_OK && runs.count == 200000, "%zu rows",
        runs.count);
  CHECK(fit_solve(&runs, &options, &s, &err) == FIT_OK, "%s", err.what);
  CHECK_NEAR(s.params[FIT_BETA] / si[FIT_BETA], 1, 0.05);
  CHECK(fit_diagnose(&runs, &options, &s, &d, &err) == FIT_OK && d.points == 0, "%s", err.what);
  CHECK(fit_isoflop(&runs, NULL, &i, &err) == FIT_OK && i.accepted > 5, "%d budgets", i.accepted);
  fit_isoflop_free(&i);
  struct fit_isoflop_options rows = {.from = FIT_BUDGETS_ROWS, .replicates = -1};
  CHECK(fit_isoflop(&runs, &rows, &i, &err) == FIT_OK, "%s", err.what);
  fit_isoflop_free(&i);
  printf("2e5 rows: %.1f s\n", (double)(clock() - begun) / CLOCKS_PER_SEC);
  fit_runs_free(&runs);
}

static void test_tables(void) {
  struct fit_runs runs;
  struct fit_options options = {0};
  struct fit_solution s;
  struct fit_diagnosis d;
  struct fit_error err;
  if (access(CHINCHILLA, R_OK) || access(STEPLAW, R_OK)) {
    puts("not checked: no run tables at " CHINCHILLA);
    return;
  }
  CHECK(fit_runs_read(CHINCHILLA, &runs, &err) == FIT_OK && fit_runs_drop_diverged(&runs, 1.5, &err) == FIT_OK &&
            runs.count == 240,
        "%s", err.what);
  CHECK(fit_solve(&runs, &options, &s, &err) == FIT_OK && fit_diagnose(&runs, &options, &s, &d, &err) == FIT_OK, "%s",
        err.what);
  CHECK_NEAR(d.condition / 3.8e3, 1, 0.02); // as measured independently, to two digits
  CHECK_NEAR(d.condition_si / 1.8e13, 1, 0.02);
  CHECK(!says(&s, &d, "not identified"), "every parameter of this table is");
  fit_runs_free(&runs);
  CHECK(fit_runs_read(STEPLAW, &runs, &err) == FIT_OK && fit_runs_drop_diverged(&runs, 1.5, &err) == FIT_OK, "%s",
        err.what);
  CHECK(runs.dropped[FIT_DROP_TOO_HIGH] == 181, "%zu diverged", runs.dropped[FIT_DROP_TOO_HIGH]); // 1.21 | 1.70
  CHECK(fit_runs_keep_best(&runs, &err) == FIT_OK && runs.count == 17, "%zu cells", runs.count);
  CHECK(fit_solve(&runs, &options, &s, &err) == FIT_OK && fit_diagnose(&runs, &options, &s, &d, &err) == FIT_OK, "%s",
        err.what);
  CHECK_NEAR(s.objective, 4.05325e-5, 1e-9);
  CHECK(says(&s, &d, "E is not identified") && says(&s, &d, "hardly told apart"), "nothing said of 17 cell minima");
  CHECK(d.e_low == 0, "E within 2 %% from %g", d.e_low);
  fit_runs_free(&runs);
}

int main(void) {
  test_profile();
  test_correlation();
  test_holdout();
  test_diverged();
  test_large();
  test_tables();
  return check_done();
}
