// Hyperparameter laws: known laws recovered, what their intervals cover, refusals, and a published table.
#include <string.h>
#include <unistd.h>

#include "bowls.h"
#include "check.h"
#include "fit/compare.h"

#define STEPLAW "../shared/runs/steplaw_dense.csv"

static const double batch_law[FIT_HYPER_COUNT] = {30, 0.6, -0.3}, lr_law[FIT_HYPER_COUNT] = {60, 0.2, -0.75};

static struct fit_hyper fit_of(const struct fit_runs *runs, const struct fit_hyper_options *options) {
  struct fit_hyper h;
  struct fit_error err;
  CHECK(fit_hyper_fit(runs, options, &h, &err) == FIT_OK, "%s", err.what);
  return h;
}

static void test_exact(void) {
  struct prng prng = {3};
  struct fit_runs runs = bowl_table(batch_law, lr_law, 4, 4, 0, 0, &prng);
  struct fit_hyper h = fit_of(&runs, NULL);
  CHECK(h.accepted == 16 && !h.law[0].refusal && !h.law[1].refusal, "%d cells", h.accepted);
  for (int j = 0; j < FIT_HYPER_COUNT; j++) { // vertices are exact to 1e-9 or so, k from 20 units of ln away
    CHECK_NEAR(h.law[FIT_HYPER_BATCH].param[j] / batch_law[j], 1, 1e-6);
    CHECK_NEAR(h.law[FIT_HYPER_LR].param[j] / lr_law[j], 1, 1e-6);
  }
  CHECK_NEAR(fit_hyper_at(&h.law[FIT_HYPER_BATCH], 1e8, 1e10) / (30 * pow(1e10, 0.6) * pow(1e8, -0.3)), 1, 1e-6);
  // a run is at most half a step of ln sqrt(2) away in each direction: 1/2 x'Hx there
  CHECK(h.worst_regret >= 0 && h.worst_regret < 0.02 * 0.35 * 0.35 / 4 && h.mean_regret <= h.worst_regret, "regret %g",
        h.worst_regret);
  CHECK_NEAR(h.worst_regret_out, h.worst_regret, 1e-9); // any three sizes give the same law
  for (int w = 0; w < FIT_HYPER_WINDOWS; w++)
    if (!h.at[w].law[FIT_HYPER_LR].refusal) CHECK_NEAR(h.at[w].law[FIT_HYPER_LR].param[FIT_HYPER_TOKENS], 0.2, 1e-6);
  fit_hyper_free(&h);
  fit_runs_free(&runs);
}

static void test_outlier(void) {
  struct prng prng = {9};
  struct fit_runs runs = bowl_table(batch_law, lr_law, 4, 4, 5e-4, 0, &prng);
  struct fit_hyper clean = fit_of(&runs, NULL);
  for (size_t i = 0; i < 100; i++) runs.row[i].batch_tokens *= 8; // the first cell
  struct fit_hyper h = fit_of(&runs, NULL);
  double moved = h.law[0].param[FIT_HYPER_TOKENS] - clean.law[0].param[FIT_HYPER_TOKENS];
  // plain least squares moves by 0.198: ln 8 times the corner cell's share in the slope
  CHECK(fabs(moved) < 0.05, "one cell of 16 moved the exponent by %g", moved);
  CHECK(h.law[0].scatter > clean.law[0].scatter, "scatter %g", h.law[0].scatter);
  fit_hyper_free(&h);
  fit_hyper_free(&clean);
  fit_runs_free(&runs);
}

static void expect(enum fit_hyper_refusal want, const double *params, const double *tokens, int cells,
                   const struct fit_hyper_options *options) {
  struct prng prng = {4};
  struct fit_runs runs = {0};
  for (int i = 0; i < cells; i++) {
    double n = params[i], t = tokens[i];
    struct bowl_truth b = {n, t, 30 * pow(t, 0.6) * pow(n, -0.3), 60 * pow(t, 0.2) * pow(n, -0.75), 2, {0.01, 0, 0.01}};
    bowl_runs(&runs, &b, b.batch / 4, 9, b.lr / 4, 9, 0.34, 0, &prng);
  }
  struct fit_hyper h = fit_of(&runs, options);
  CHECK(h.accepted == cells, "%d cells", h.accepted);
  for (int t = 0; t < FIT_HYPER_TARGETS; t++)
    CHECK(h.law[t].refusal == want, "%s, not %s", fit_hyper_refusal_text(h.law[t].refusal),
          fit_hyper_refusal_text(want));
  if (want) {
    struct fit_hyper_bootstrap b;
    struct fit_error err;
    CHECK(isnan(h.mean_regret) && isnan(h.cell[0].regret), "a regret without a law");
    CHECK(fit_hyper_resample(&runs, options, &h, 10, 0, 1, &b, &err) == FIT_ERR_INPUT, "resampled");
  } else {
    CHECK_NEAR(h.law[FIT_HYPER_BATCH].param[FIT_HYPER_TOKENS], 0.6, 1e-6);
    CHECK_NEAR(h.law[FIT_HYPER_LR].param[FIT_HYPER_PARAMS], -0.75, 1e-6);
  }
  fit_hyper_free(&h);
  fit_runs_free(&runs);
}

static void test_refusals(void) {
  const double n[5] = {1e8, 1e8, 2e8, 2e8, 4e8}, t[5] = {1e10, 2e10, 1e10, 2e10, 4e10};
  const double one[5] = {1e8, 1e8, 1e8, 1e8, 1e8}, rising[5] = {1e10, 2e10, 4e10, 8e10, 16e10};
  const double ratio[5] = {1e8, 2e8, 4e8, 8e8, 16e8};
  const struct fit_hyper_options hold_n = {.hold_params = {true, true}, .params_exp = {-0.3, -0.75}},
                                 hold_t = {.hold_tokens = {true, true}, .tokens_exp = {0.6, 0.2}};
  expect(FIT_HYPER_FITTED, n, t, 5, NULL);
  expect(FIT_HYPER_REFUSED_FEW_CELLS, n, t, 3, NULL);
  expect(FIT_HYPER_REFUSED_ONE_SIZE, one, rising, 5, NULL);
  expect(FIT_HYPER_REFUSED_ONE_BUDGET, ratio, one, 5, NULL);
  expect(FIT_HYPER_REFUSED_TIED, ratio, rising, 5, NULL);
  expect(FIT_HYPER_FITTED, one, rising, 5, &hold_n);
  expect(FIT_HYPER_FITTED, ratio, rising, 5, &hold_t);
  struct fit_hyper h;
  struct fit_error err;
  struct prng prng = {4};
  struct fit_runs runs = bowl_table(batch_law, lr_law, 2, 2, 0, 0, &prng);
  const struct fit_hyper_options wide = {.window = 2}, none = {.window = NAN},
                                 nan = {.hold_params = {true}, .params_exp = {NAN}};
  CHECK(fit_hyper_fit(&runs, &wide, &h, &err) == FIT_ERR_INPUT && strstr(err.what, "window 2"), "%s", err.what);
  CHECK(fit_hyper_fit(&runs, &none, &h, &err) == FIT_ERR_INPUT, "a window that is no number");
  CHECK(fit_hyper_fit(&runs, &nan, &h, &err) == FIT_ERR_INPUT, "an exponent that is no number");
  fit_runs_free(&runs);
}

// 90 % intervals of 100 tables, whose cells scatter by 10 % beyond the errors of their vertices.
static void test_coverage(void) {
  struct prng prng = {2024};
  const int tables = 100;
  int in[FIT_HYPER_TARGETS][FIT_HYPER_COUNT] = {{0}};
  for (int k = 0; k < tables; k++) {
    struct fit_runs runs = bowl_table(batch_law, lr_law, 4, 4, 1e-3, 0.1, &prng);
    struct fit_hyper h = fit_of(&runs, NULL);
    struct fit_hyper_bootstrap b;
    struct fit_error err;
    CHECK(fit_hyper_resample(&runs, NULL, &h, 120, 0.9, (unsigned)k, &b, &err) == FIT_OK, "%s", err.what);
    for (int t = 0; t < FIT_HYPER_TARGETS; t++)
      for (int j = 0; j < FIT_HYPER_COUNT; j++) {
        double truth = (t == FIT_HYPER_BATCH ? batch_law : lr_law)[j];
        in[t][j] += truth >= b.param[t][j].low && truth <= b.param[t][j].high;
      }
    fit_hyper_bootstrap_free(&b);
    fit_hyper_free(&h);
    fit_runs_free(&runs);
  }
  int all = 0;
  for (int t = 0; t < FIT_HYPER_TARGETS; t++)
    for (int j = 0; j < FIT_HYPER_COUNT; j++) {
      all += in[t][j];
      // 100 tables know a coverage of 0.9 to 0.03 (one sd): three of them
      CHECK_NEAR(in[t][j] / (double)tables, 0.9, 0.09);
    }
  printf("laws: 90 %% intervals cover %.3f\n", all / (6.0 * tables));
  CHECK_NEAR(all / (6.0 * tables), 0.9, 0.06);
}

static void test_resample(void) {
  struct prng prng = {6};
  struct fit_runs runs = bowl_table(batch_law, lr_law, 3, 4, 1e-3, 0.1, &prng);
  struct fit_hyper h = fit_of(&runs, NULL);
  struct fit_hyper_bootstrap a, b;
  struct fit_error err;
  CHECK(fit_hyper_resample(&runs, NULL, &h, 50, 0, 7, &a, &err) == FIT_OK, "%s", err.what);
  CHECK(fit_hyper_resample(&runs, NULL, &h, 50, 0, 7, &b, &err) == FIT_OK, "%s", err.what);
  CHECK(a.groups == 12 && !a.rows_only && a.level == 0.9 && a.param[0][0].low < a.param[0][0].high, "%d groups",
        a.groups);
  CHECK(a.failed == b.failed && !memcmp(a.sample, b.sample, (size_t)(50 - a.failed) * 6 * sizeof *a.sample),
        "the same seed, other laws");
  fit_hyper_bootstrap_free(&b);
  // checkpoints: the runs of a size serve all its budgets, so that only three groups are left
  for (size_t i = 0; i < runs.count; i++) runs.row[i].run = (int)(i / 400 * 100 + i % 100);
  runs.clusters = 300;
  CHECK(fit_hyper_resample(&runs, NULL, &h, 50, 0, 7, &b, &err) == FIT_OK, "%s", err.what);
  CHECK(b.groups == 3 && b.rows_only, "%d groups", b.groups);
  CHECK(b.param[1][2].sd > 0 && b.param[1][2].sd < 0.2, "sd %g", b.param[1][2].sd);
  fit_hyper_bootstrap_free(&b);
  CHECK(fit_hyper_resample(&runs, NULL, &h, 1, 0, 7, &b, &err) == FIT_ERR_INPUT, "one replicate");
  CHECK(fit_hyper_resample(&runs, NULL, &h, 9, 1.5, 7, &b, &err) == FIT_ERR_INPUT, "level 1.5");
  fit_hyper_bootstrap_free(&a);
  fit_hyper_free(&h);
  fit_runs_free(&runs);
}

// One grid for all cells, whose optima move over it: what one pair costs is known.
static void test_compare(void) {
  const double truth[FIT_JOINT_PARAMS] = {1.5, 400, 0.35, 2000, 0.37};
  struct prng prng = {8};
  struct fit_runs runs = {0};
  struct fit_error err;
  for (int i = 0; i < 5; i++)
    for (int j = 0; j < 5; j++) {
      double n = 1e8 * pow(2, i), t = 1e10 * pow(2, j);
      struct bowl_truth b = {
          n, t, 2e5 * pow(t / 4e10, 0.3), 1e-3 * pow(n / 4e8, -0.3), fit_joint_loss(truth, n, t), {0.01, 0.002, 0.01}};
      bowl_runs(&runs, &b, 2e5 * exp(-7 * 0.35), 15, 1e-3 * exp(-7 * 0.35), 15, 0.35, 0, &prng);
    }
  struct fit_hyper h = fit_of(&runs, NULL);
  struct fit_compare_options o = {.compute = {1e20, 1e21}, .budgets = 2, .replicates = 40, .seed = 1};
  struct fit_compare c;
  CHECK(h.accepted == 25, "%d cells", h.accepted);
  CHECK(fit_compare_fixed(&runs, &h, &o, &c, &err) == FIT_OK, "%s", err.what);
  CHECK(c.chosen && c.cells == 25 && c.far == 0 && c.groups == 25, "%d cells, %d far", c.cells, c.far);
  CHECK_NEAR(c.batch / 2e5, 1, 1e-9); // every cell has every pair: the middle of the grid
  CHECK_NEAR(c.lr / 1e-3, 1, 1e-9);
  // an exact law; the vertices are exact to rounding
  for (int j = 0; j < FIT_JOINT_PARAMS; j++) CHECK_NEAR(c.optimal.params[j] / truth[j], 1, 1e-4);
  // the corner cells are ln 4 * 0.3 off in each direction
  double off = 0.3 * log(4), most = expm1(0.005 * off * off * 2 + 0.002 * off * off);
  CHECK_NEAR(c.worst_excess, most, 1e-6);
  CHECK(c.mean_excess > 0 && c.mean_excess < most, "mean excess %g", c.mean_excess);
  CHECK(c.has_intervals, "no intervals");
  for (int b = 0; b < 2; b++) {
    const struct fit_compare_budget *x = &c.budget[b];
    struct fit_optimum best, fixed;
    CHECK(fit_optimum_at(truth, &o.family, o.compute[b], &best, &err) == FIT_OK, "%s", err.what);
    CHECK(fit_optimum_at(c.fixed.params, &o.family, o.compute[b], &fixed, &err) == FIT_OK, "%s", err.what);
    CHECK_NEAR(x->optimal.params / best.params, 1, 1e-3);
    CHECK_NEAR(x->saved, 1 - best.params / fixed.params, 1e-3); // FLOPs per token are 6 N here
    CHECK_NEAR(x->equal.loss, fixed.loss, 1e-8);
    CHECK_NEAR(x->saved_at_equal_loss, 1 - x->equal.params / fixed.params, 1e-9);
    CHECK_NEAR(x->compute_saved, 1 - x->equal.compute / o.compute[b], 1e-9);
    CHECK(x->laws >= 36 && x->fixed_params.low <= fixed.params * 1.001 && x->fixed_params.high >= fixed.params * 0.999,
          "%d laws", x->laws);
  }
  o.batch = 5e7; // 16 steps past the grid
  o.lr = 1e-3;
  CHECK(fit_compare_fixed(&runs, &h, &o, &c, &err) == FIT_ERR_INPUT && c.far == 25, "%s", err.what);
  o.lr = 0;
  CHECK(fit_compare_fixed(&runs, &h, &o, &c, &err) == FIT_ERR_INPUT && strstr(err.what, "two numbers"), "%s", err.what);
  o.batch = 0;
  o.compute[1] = NAN;
  CHECK(fit_compare_fixed(&runs, &h, &o, &c, &err) == FIT_ERR_INPUT && strstr(err.what, "FLOPs"), "%s", err.what);
  fit_hyper_free(&h);
  fit_runs_free(&runs);
}

// Two tables of exact laws, whose optima have a closed form: N = (A alpha / (B beta))^(1/(alpha+beta))
// (C/6)^(beta/(alpha+beta)).
static double optimum_of(const double *law, double compute) {
  double a = law[FIT_ALPHA], b = law[FIT_BETA];
  return pow(law[FIT_A] * a / (law[FIT_B] * b), 1 / (a + b)) * pow(compute / 6, b / (a + b));
}

// One batch throughout: the law of the rate, and that number.
static void test_one_batch(void) {
  const double law[FIT_HYPER_COUNT] = {0.05, -0.3, -0.1};
  struct prng prng = {9};
  struct fit_runs runs = {0};
  for (int i = 0; i < 9; i++) {
    double n = 1e4 * pow(4, i / 3), t = 1e5 * pow(2.5, i % 3), lr = law[0] * pow(t, law[1]) * pow(n, law[2]);
    struct bowl_truth b = {n, t, 512, lr, 0.4, {0.01, 0, 0.05}};
    bowl_runs(&runs, &b, 512, 1, lr * exp(-3.3 * 0.35), 7, 0.35, 0, &prng);
  }
  struct fit_hyper h = fit_of(&runs, &(struct fit_hyper_options){.window = 0.05});
  CHECK(h.one_batch && h.accepted == 9 && !h.law[FIT_HYPER_BATCH].refusal, "%d accepted", h.accepted);
  CHECK_NEAR(fit_hyper_at(&h.law[FIT_HYPER_BATCH], 7e5, 3e6), 512, 1e-3);
  for (int j = 0; j < FIT_HYPER_COUNT; j++) CHECK_NEAR(h.law[FIT_HYPER_LR].param[j] / law[j], 1, 1e-4);
  runs.row[3].batch_tokens = 1024; // two batches: bowls are asked for, and there are none
  fit_hyper_free(&h);
  h = fit_of(&runs, &(struct fit_hyper_options){.window = 0.05});
  CHECK(!h.one_batch && h.accepted == 0, "%d accepted", h.accepted);
  fit_hyper_free(&h);
  fit_runs_free(&runs);
}

static void test_pairs(void) {
  const double law[2][FIT_JOINT_PARAMS] = {{0.3, 40, 0.31, 90, 0.35}, {0.31, 40, 0.29, 70, 0.33}};
  struct fit_run row[2][20];
  struct fit_runs table[2] = {{.row = row[0], .count = 20}, {.row = row[1], .count = 20}};
  struct fit_compare_options o = {
      .batch = 512, .lr = 0.01, .compute = {1e15}, .budgets = 1, .replicates = 20, .seed = 3};
  struct fit_compare c;
  struct fit_error err;
  double sum = 0;
  for (int i = 0; i < 20; i++) {
    for (int k = 0; k < 2; k++) {
      double n = 1e5 * pow(3, i / 4), t = 1e7 * pow(3, i % 4) * (1 + 0.002 * k);
      row[k][i] = (struct fit_run){.params = n, .tokens = t, .loss = fit_joint_loss(law[k], n, t)};
    }
    sum += row[1][i].loss / row[0][i].loss - 1;
  }
  CHECK(fit_compare_pairs(&table[0], &table[1], &o, &c, &err) == FIT_OK, "%s", err.what);
  CHECK(c.by_law && c.cells == 20 && c.groups == 20 && !c.chosen && c.identified && c.has_intervals, "%d cells",
        c.cells);
  CHECK_NEAR(c.mean_excess, sum / 20, 1e-12);
  CHECK_NEAR(c.budget[0].optimal.params / optimum_of(law[0], 1e15), 1, 1e-3);
  CHECK_NEAR(c.budget[0].fixed.params / optimum_of(law[1], 1e15), 1, 1e-3);
  CHECK_NEAR(c.budget[0].saved, 1 - optimum_of(law[0], 1e15) / optimum_of(law[1], 1e15), 1e-3);
  row[1][7].params *= 2;
  CHECK(fit_compare_pairs(&table[0], &table[1], &o, &c, &err) == FIT_ERR_INPUT && strstr(err.what, "row 8"), "%s",
        err.what);
  table[1].count = 19;
  CHECK(fit_compare_pairs(&table[0], &table[1], &o, &c, &err) == FIT_ERR_INPUT && strstr(err.what, "19"), "%s",
        err.what);
  o.batch = o.lr = 0;
  table[1].count = 20;
  CHECK(fit_compare_pairs(&table[0], &table[1], &o, &c, &err) == FIT_ERR_INPUT && strstr(err.what, "named"), "%s",
        err.what);
}

static void test_steplaw(void) {
  struct fit_runs runs;
  struct fit_hyper_bootstrap b;
  struct fit_error err;
  CHECK(fit_runs_read(STEPLAW, &runs, &err) == FIT_OK, "%s", err.what);
  struct fit_hyper h = fit_of(&runs, NULL);
  const struct fit_hyper_law *batch = &h.law[FIT_HYPER_BATCH], *lr = &h.law[FIT_HYPER_LR];
  // the simple method has one answer
  CHECK(h.near[0].points == 129, "%d runs", h.near[0].points);
  CHECK_NEAR(h.near[FIT_HYPER_LR].param[FIT_HYPER_K], 77.69, 0.005);
  CHECK_NEAR(h.near[FIT_HYPER_LR].param[FIT_HYPER_PARAMS], -0.7662, 1e-3);
  CHECK_NEAR(h.near[FIT_HYPER_LR].param[FIT_HYPER_TOKENS], 0.1970, 1e-3);
  CHECK_NEAR(h.near[FIT_HYPER_BATCH].param[FIT_HYPER_K], 31.28, 0.005);
  CHECK_NEAR(h.near[FIT_HYPER_BATCH].param[FIT_HYPER_PARAMS], -0.2664, 1e-3);
  CHECK_NEAR(h.near[FIT_HYPER_BATCH].param[FIT_HYPER_TOKENS], 0.6234, 1e-3);
  CHECK_NEAR(h.near[FIT_HYPER_LR].sd[FIT_HYPER_PARAMS], 0.0551, 1e-4);
  CHECK_NEAR(h.near[FIT_HYPER_BATCH].sd[FIT_HYPER_TOKENS], 0.0330, 1e-4);
  // what any sound method gives, at every window tried
  for (int w = 0; w < FIT_HYPER_WINDOWS; w++) {
    const double *p = h.at[w].law[FIT_HYPER_BATCH].param, *q = h.at[w].law[FIT_HYPER_LR].param;
    CHECK(p[FIT_HYPER_PARAMS] >= -0.45 && p[FIT_HYPER_PARAMS] <= 0, "batch N^%g at %g", p[2], h.at[w].window);
    CHECK(p[FIT_HYPER_TOKENS] >= 0.50 && p[FIT_HYPER_TOKENS] <= 0.70, "batch T^%g at %g", p[1], h.at[w].window);
    CHECK(q[FIT_HYPER_PARAMS] >= -0.95 && q[FIT_HYPER_PARAMS] <= -0.55, "lr N^%g at %g", q[2], h.at[w].window);
    CHECK(q[FIT_HYPER_TOKENS] >= 0.10 && q[FIT_HYPER_TOKENS] <= 0.33, "lr T^%g at %g", q[1], h.at[w].window);
    CHECK(h.at[w].mean_regret <= 0.0020 && h.at[w].worst_regret <= 0.0045, "regret at %g", h.at[w].window);
  }
  CHECK(h.mean_regret <= 0.0020 && h.worst_regret <= 0.0045, "regret %g, %g", h.mean_regret, h.worst_regret);
  CHECK(h.mean_regret_out <= 0.0020 && h.worst_regret_out <= 0.0045, "left out: %g", h.worst_regret_out);
  CHECK(fit_hyper_resample(&runs, NULL, &h, 200, 0, 1, &b, &err) == FIT_OK, "%s", err.what);
  // the two estimates of the errors agree in size: 17 cells know an error to a fifth, and tails differ
  CHECK(b.param[FIT_HYPER_LR][FIT_HYPER_PARAMS].sd < 2 * lr->sd[FIT_HYPER_PARAMS] &&
            b.param[FIT_HYPER_LR][FIT_HYPER_PARAMS].sd > lr->sd[FIT_HYPER_PARAMS] / 2,
        "sd %g, %g", b.param[FIT_HYPER_LR][FIT_HYPER_PARAMS].sd, lr->sd[FIT_HYPER_PARAMS]);
  fit_hyper_bootstrap_free(&b);
  // the sizes that the laws of 17 cells recommend are guesses, and said to be
  struct fit_compare_options o = {.compute = {1e21}, .budgets = 1, .replicates = 60, .seed = 1};
  struct fit_compare c;
  CHECK(fit_compare_fixed(&runs, &h, &o, &c, &err) == FIT_OK && c.cells == 17, "%s", err.what);
  CHECK(!c.identified && c.worst_excess < 0.01, "identified by 17 cells");
  printf("steplaw: batch T^%.4f N^%.4f, lr T^%.4f N^%.4f, regret %.4f %%, %.4f %%\n", batch->param[1], batch->param[2],
         lr->param[1], lr->param[2], 100 * h.mean_regret, 100 * h.worst_regret);
  fit_hyper_free(&h);
  fit_runs_free(&runs);
}

int main(void) {
  test_exact();
  test_outlier();
  test_refusals();
  test_coverage();
  test_resample();
  test_compare();
  test_one_batch();
  test_pairs();
  if (access(STEPLAW, R_OK))
    puts("no run table at " STEPLAW ": not looked at");
  else
    test_steplaw();
  return check_done();
}
