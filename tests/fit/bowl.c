// Bowls: every refusal, what the intervals cover, and published grids.
#include <string.h>
#include <unistd.h>

#include "bowls.h"
#include "check.h"

#define STEPLAW "../shared/runs/steplaw_dense.csv"
#define STEPLAW_BOWLS "../shared/runs/reference_bowls_steplaw_dense.csv"
#define HEATMAP "../shared/runs/vdit_fig4_heatmap.csv"

#define STEP 0.34657359 // ln sqrt(2)

static const struct bowl_truth truth = {1e9, 2e10, 3e5, 1e-3, 2.3, {0.012, -0.005, 0.014}};

// Fits all rows of a table of one cell and frees it.
static struct fit_bowl fit_all(struct fit_runs *runs, double window) {
  struct fit_cells cells;
  struct fit_bowl bowl = {.refusal = FIT_REFUSAL_COUNT};
  struct fit_error err;
  CHECK(fit_cells_make(runs, &cells, &err) == FIT_OK && cells.count == 1, "cells");
  CHECK(fit_bowl_fit(runs, cells.row, cells.cell[0].count, NULL, window, cells.one_batch, &bowl), "memory");
  fit_cells_free(&cells);
  fit_runs_free(runs);
  return bowl;
}

static void test_exact(void) {
  struct prng prng = {1};
  struct fit_runs runs = {0};
  bowl_runs(&runs, &truth, 1e5, 8, 3e-4, 8, STEP, 0, &prng);
  struct fit_bowl b = fit_all(&runs, 0.02);
  // exact but for rounding, 1e-16 of a loss over the curvature that it is told by
  CHECK(b.refusal == FIT_ACCEPTED && b.used > 20, "%s", fit_refusal_text(b.refusal));
  CHECK_NEAR(b.batch / truth.batch, 1, 1e-9);
  CHECK_NEAR(b.lr / truth.lr, 1, 1e-9);
  CHECK_NEAR(b.loss / truth.loss, 1, 1e-12);
  for (int j = 0; j < 3; j++) CHECK_NEAR(b.hessian[j], truth.h[j], 1e-10);
}

// Grid of the exact bowl with its vertex at (batch, lr) times the grid's corner, sizes as told.
static struct fit_bowl shifted(double batch, double lr, int batches, int rates) {
  struct prng prng = {1};
  struct fit_runs runs = {0};
  bowl_runs(&runs, &truth, truth.batch / batch, batches, truth.lr / lr, rates, STEP, 0, &prng);
  return fit_all(&runs, 0.05);
}

static void expect(enum fit_refusal want, struct fit_bowl got) {
  CHECK(got.refusal == want, "%s, not %s", fit_refusal_text(got.refusal), fit_refusal_text(want));
}

// A surface on a grid of 6 x 6 that is no bowl; keep: rows of it.
static struct fit_bowl surface(double (*height)(int i, int j), bool (*keep)(int i, int j)) {
  struct prng prng = {1};
  struct fit_runs runs = {0};
  size_t count = 0;
  bowl_runs(&runs, &truth, 1e5, 6, 1e-3, 6, STEP, 0, &prng);
  for (int i = 0; i < 6; i++)
    for (int j = 0; j < 6; j++) {
      struct fit_run r = runs.row[i * 6 + j];
      r.loss = 2 * exp(height(i, j));
      if (!keep || keep(i, j)) runs.row[count++] = r;
    }
  runs.count = count;
  return fit_all(&runs, 0.2);
}

static double saddle(int i, int j) { // lowest in the middle by one run alone
  return 0.01 * (i - 2.5) * (i - 2.5) - 0.001 * (j - 2.5) * (j - 2.5) - (i == 2 && j == 2 ? 0.01 : 0);
}
static double noisy(int i, int j) { // far less curved than rough, and rough in a way that no quadratic follows
  static const double p[6] = {1, -3, 2, 2, -3, 1};
  return 1e-5 * ((i - 2.5) * (i - 2.5) + (j - 2.5) * (j - 2.5)) + 1e-3 * p[i] * p[j];
}
static double level(int i, int j) { return 0 * (i + j); }
static double corner(int i, int j) { return 0.003 * ((i - 4) * (i - 4) + (j - 4) * (j - 4)); }
static bool triangle(int i, int j) { return i + j <= 6; }
static double round_bowl(int i, int j) { return 0.003 * ((i - 2.4) * (i - 2.4) + (j - 2.6) * (j - 2.6)); }
static bool diagonal(int i, int j) { return i == j; }

static void test_refusals(void) {
  const double in = exp(2.5 * STEP), beyond = exp(7 * STEP);
  expect(FIT_ACCEPTED, shifted(in, in, 6, 6));
  expect(FIT_REFUSED_FEW_ROWS, shifted(in, in, 2, 4));
  expect(FIT_REFUSED_FEW_BATCHES, shifted(in, in, 2, 6));
  expect(FIT_REFUSED_FEW_RATES, shifted(in, in, 6, 2));
  expect(FIT_REFUSED_SMALLEST_BATCH, shifted(1 / in, in, 6, 6));
  expect(FIT_REFUSED_LARGEST_BATCH, shifted(beyond, in, 6, 6));
  expect(FIT_REFUSED_LOWEST_RATE, shifted(in, 1 / in, 6, 6));
  expect(FIT_REFUSED_HIGHEST_RATE, shifted(in, beyond, 6, 6));
  expect(FIT_ACCEPTED, surface(round_bowl, NULL));
  expect(FIT_REFUSED_NOT_MINIMUM, surface(saddle, NULL));
  expect(FIT_REFUSED_NOT_MINIMUM, surface(level, NULL));
  expect(FIT_REFUSED_UNCERTAIN, surface(noisy, NULL));
  expect(FIT_ACCEPTED, surface(corner, NULL));
  expect(FIT_REFUSED_OUTSIDE, surface(corner, triangle));
  struct prng prng = {1};
  struct fit_runs runs = {0};
  bowl_runs(&runs, &truth, 1e5, 12, 1e-3, 12, 0.1, 0, &prng);
  size_t count = 0;
  for (int k = 0; k < 144; k++)
    if (diagonal(k / 12, k % 12)) runs.row[count++] = runs.row[k];
  runs.count = count;
  expect(FIT_REFUSED_DEGENERATE, fit_all(&runs, 0.2));
  for (int r = 0; r < FIT_REFUSAL_COUNT; r++)
    CHECK(strlen(fit_refusal_text((enum fit_refusal)r)) > 7, "text of refusal %d", r);
}

// Weights are repetitions.
static void test_weights(void) {
  struct prng prng = {5};
  struct fit_runs runs = {0};
  struct fit_cells cells;
  struct fit_bowl weighted, repeated, twice;
  size_t row[128];
  double weight[64];
  bowl_runs(&runs, &truth, 1e5, 8, 4e-4, 8, STEP, 1e-3, &prng);
  CHECK(fit_cells_make(&runs, &cells, NULL) == FIT_OK, "cells");
  size_t count = 0;
  for (size_t i = 0; i < 64; i++) {
    weight[i] = (double)(i % 3);
    for (size_t k = 0; k < i % 3; k++) row[count++] = cells.row[i];
  }
  CHECK(fit_bowl_fit(&runs, cells.row, 64, weight, 0, false, &weighted) &&
            fit_bowl_fit(&runs, row, count, NULL, 0, false, &repeated),
        "memory");
  CHECK(weighted.refusal == repeated.refusal, "refusal");
  CHECK_NEAR(weighted.batch / repeated.batch, 1, 1e-9); // sums in another order
  CHECK_NEAR(weighted.sd_lr / repeated.sd_lr, 1, 1e-9);
  CHECK(fit_bowl_fit(&runs, cells.row, 64, NULL, 0, false, &twice) && fabs(twice.batch / weighted.batch - 1) > 1e-6,
        "same");
  fit_cells_free(&cells);
  fit_runs_free(&runs);
}

// Random bowls with noise: bias and coverage of the vertex, 0.1 % of noise in a window of 1 %.
static void test_coverage(void) {
  struct prng prng = {77};
  const int tables = 600;
  int accepted = 0, in_batch = 0, in_lr = 0, in_loss = 0;
  double bias_batch = 0, bias_lr = 0;
  for (int k = 0; k < tables; k++) {
    struct bowl_truth b = truth;
    b.h[0] = 0.006 + 0.012 * prng_uniform(&prng);
    b.h[2] = 0.006 + 0.012 * prng_uniform(&prng);
    b.h[1] = 0.8 * (2 * prng_uniform(&prng) - 1) * sqrt(b.h[0] * b.h[2]);
    struct fit_runs runs = {0};
    bowl_runs(&runs, &b, b.batch * exp(-STEP * (3 + 3 * prng_uniform(&prng))), 10,
              b.lr * exp(-STEP * (3 + 3 * prng_uniform(&prng))), 10, STEP, 1e-3, &prng);
    struct fit_bowl got = fit_all(&runs, 0);
    if (got.refusal) continue;
    accepted++;
    double batch = log(got.batch / b.batch) / got.sd_batch, lr = log(got.lr / b.lr) / got.sd_lr;
    bias_batch += batch;
    bias_lr += lr;
    in_batch += fabs(batch) <= 1.645;
    in_lr += fabs(lr) <= 1.645;
    in_loss += fabs(log(got.loss / b.loss)) / got.sd_loss <= 1.645;
  }
  printf("random bowls: %d of %d accepted; 90 %% intervals cover batch %.3f, lr %.3f, loss %.3f; bias %.3f, %.3f sd\n",
         accepted, tables, 1.0 * in_batch / accepted, 1.0 * in_lr / accepted, 1.0 * in_loss / accepted,
         bias_batch / accepted, bias_lr / accepted);
  CHECK(accepted > 0.95 * tables, "%d accepted", accepted);
  // 600 tables know a coverage of 0.9 to 0.012 (one sd): three of them, and the delta method's own error
  CHECK_NEAR(1.0 * in_batch / accepted, 0.9, 0.05);
  CHECK_NEAR(1.0 * in_lr / accepted, 0.9, 0.05);
  // the window is counted from the lowest of noisy runs, which lifts the level by up to half its error
  CHECK_NEAR(1.0 * in_loss / accepted, 0.9, 0.1);
  CHECK_NEAR(bias_batch / accepted, 0, 0.15);
  CHECK_NEAR(bias_lr / accepted, 0, 0.15);
}

static struct fit_bowl one_batch(double first_rate, int rates, double noise, struct prng *prng) {
  struct fit_runs runs = {0};
  bowl_runs(&runs, &truth, truth.batch, 1, first_rate, rates, STEP, noise, prng);
  return fit_all(&runs, 0.05);
}

// All runs at one batch: a parabola of the rates.
static void test_one_batch(void) {
  struct prng prng = {5};
  struct fit_bowl b = one_batch(3e-4, 8, 0, &prng);
  CHECK(b.refusal == FIT_ACCEPTED && b.used == 8, "%s", fit_refusal_text(b.refusal));
  CHECK_NEAR(b.batch / truth.batch, 1, 1e-12);
  CHECK_NEAR(b.lr / truth.lr, 1, 1e-9);
  CHECK_NEAR(b.loss / truth.loss, 1, 1e-12);
  CHECK_NEAR(b.hessian[2], truth.h[2], 1e-10);
  CHECK(b.sd_batch == 0 && b.sd_lr < 1e-9, "errors of an exact parabola: %g", b.sd_lr);
  expect(FIT_REFUSED_LOWEST_RATE, one_batch(1.1e-3, 8, 0, &prng));
  expect(FIT_REFUSED_HIGHEST_RATE, one_batch(5e-5, 8, 0, &prng));
  expect(FIT_REFUSED_FEW_ROWS, one_batch(7e-4, 3, 0, &prng));
  int accepted = 0, in_lr = 0;
  for (int i = 0; i < 600; i++) {
    b = one_batch(3e-4, 8, 1e-3, &prng);
    if (b.refusal) continue;
    accepted++;
    in_lr += fabs(log(b.lr / truth.lr)) <= 2.015 * b.sd_lr; // Student, 5 degrees of freedom
  }
  CHECK(accepted > 500, "%d accepted", accepted);
  CHECK_NEAR(1.0 * in_lr / accepted, 0.9, 0.05);
  printf("one batch: 90 %% intervals cover %.3f\n", 1.0 * in_lr / accepted);
}

static void test_cells(void) {
  static const char text[] = "params,tokens,loss,batch_tokens,lr\n"
                             "1e9,1e10,2,1e5,1e-3\n1e9,1.005e10,2.1,1.5e5,1e-3\n1e9,2e10,1.9,1e5,1e-3\n"
                             "2e9,1e10,1.8,1e5,1e-3\n2e9,1e10,1.8,,1e-3\n2e9,1e10,1.8,1e5,0\n";
  struct fit_runs runs;
  struct fit_cells cells;
  struct fit_error err;
  int mixed;
  CHECK(fit_runs_parse(text, sizeof text - 1, "t", &runs, &err) == FIT_OK, "%s", err.what);
  CHECK(fit_cells_make(&runs, &cells, &err) == FIT_OK && cells.count == 3 && cells.without == 2, "%d cells",
        cells.count);
  CHECK(cells.cell[0].count == 2 && fabs(cells.cell[0].tokens / 1.0025e10 - 1) < 1e-12, "the first cell");
  CHECK(fit_cells_mixed(&runs, &mixed, &err) == FIT_OK && mixed == 1, "%d mixed", mixed);
  fit_cells_free(&cells);
  fit_runs_free(&runs);
  CHECK(fit_runs_parse("params,tokens,loss\n1,1,1\n", 25, "t", &runs, &err) == FIT_OK, "%s", err.what);
  CHECK(fit_cells_make(&runs, &cells, &err) == FIT_ERR_INPUT && strstr(err.what, "no row has a batch_tokens"), "%s",
        err.what);
  CHECK(fit_cells_mixed(&runs, &mixed, &err) == FIT_OK && mixed == 0, "%d mixed", mixed);
  fit_runs_free(&runs);
}

static void test_heatmap(void) {
  struct fit_runs runs;
  struct fit_hyper h;
  struct fit_error err;
  CHECK(fit_runs_read(HEATMAP, &runs, &err) == FIT_OK, "%s", err.what);
  CHECK(fit_hyper_fit(&runs, NULL, &h, &err) == FIT_OK && h.count == 2, "%s", err.what);
  const struct fit_bowl *short_runs = &h.cell[0].bowl, *b = &h.cell[1].bowl;
  CHECK(short_runs->refusal == FIT_REFUSED_SMALLEST_BATCH, "T = 4e9: %s", fit_refusal_text(short_runs->refusal));
  CHECK(b->refusal == FIT_ACCEPTED, "T = 1e10: %s", fit_refusal_text(b->refusal));
  CHECK_NEAR(b->batch / 1.37e5, 1, 0.01); // the reference fits the loss, this its logarithm
  CHECK_NEAR(b->lr / 2.05e-4, 1, 0.01);
  CHECK_NEAR(b->loss, 0.5128, 1e-4);
  CHECK(h.law[0].refusal == FIT_HYPER_REFUSED_FEW_CELLS, "%s", fit_hyper_refusal_text(h.law[0].refusal));
  fit_hyper_free(&h);
  fit_runs_free(&runs);
}

// An independent fit of the same window, of the loss where ours takes its logarithm.
static void test_reference(void) {
  struct fit_runs runs;
  struct fit_hyper h;
  struct fit_error err;
  char line[256];
  int found = 0;
  double worst[4] = {0};
  FILE *file = fopen(STEPLAW_BOWLS, "r");
  CHECK(file && fgets(line, sizeof line, file), "no rows in " STEPLAW_BOWLS);
  CHECK(fit_runs_read(STEPLAW, &runs, &err) == FIT_OK, "%s", err.what);
  CHECK(fit_hyper_fit(&runs, NULL, &h, &err) == FIT_OK && h.count == 17 && h.accepted == 17, "%d cells", h.accepted);
  while (file && fgets(line, sizeof line, file)) {
    double n, t, batch, lr, loss, sd_batch, sd_lr;
    int used;
    if (sscanf(line, "%lf,%lf,%lf,%lf,%lf,%lf,%lf,%*f,%d", &n, &t, &batch, &lr, &loss, &sd_batch, &sd_lr, &used) != 8)
      continue;
    for (int i = 0; i < h.count; i++) {
      const struct fit_bowl *b = &h.cell[i].bowl;
      if (h.cell[i].cell.params != n || h.cell[i].cell.tokens != t) continue;
      found++;
      CHECK(b->used == (size_t)used, "%zu runs used, not %d", b->used, used);
      worst[0] = fmax(worst[0], fabs(b->batch / batch - 1));
      worst[1] = fmax(worst[1], fabs(b->lr / lr - 1));
      worst[2] = fmax(worst[2], fabs(b->loss / loss - 1));
      worst[3] = fmax(worst[3], fmax(fabs(b->sd_batch / sd_batch - 1), fabs(b->sd_lr / sd_lr - 1)));
    }
  }
  printf("reference bowls: %d cells, batch within %.2g, lr within %.2g, loss within %.2g, errors within %.2g\n", found,
         worst[0], worst[1], worst[2], worst[3]);
  CHECK(found == 17, "%d reference cells", found);
  CHECK(worst[0] < 2e-3 && worst[1] < 2e-3 && worst[2] < 1e-5 && worst[3] < 0.05, "vertices");
  if (file) fclose(file);
  fit_hyper_free(&h);
  fit_runs_free(&runs);
}

int main(void) {
  test_exact();
  test_refusals();
  test_weights();
  test_coverage();
  test_one_batch();
  test_cells();
  if (access(HEATMAP, R_OK) || access(STEPLAW, R_OK) || access(STEPLAW_BOWLS, R_OK)) {
    puts("no run tables at ../shared/runs: published grids not looked at");
  } else {
    test_heatmap();
    test_reference();
  }
  return check_done();
}
