// The joint law on published run tables, against numbers of independent fits.
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "fit/solve.h"

#define CHINCHILLA "../shared/runs/epoch_chinchilla.csv"
#define STEPLAW "../shared/runs/steplaw_dense.csv"

static void test_chinchilla(void) {
  struct fit_runs runs;
  struct fit_options options = {0};
  struct fit_solution s;
  struct fit_holdout h;
  struct fit_bootstrap b;
  struct fit_error err;
  CHECK(fit_runs_read(CHINCHILLA, &runs, &err) == FIT_OK, "%s", err.what);
  CHECK(runs.count == 240 && runs.dropped[FIT_DROP_EXCLUDED] == 5, "%zu rows", runs.count);
  CHECK(fit_solve(&runs, &options, &s, &err) == FIT_OK, "%s", err.what);
  // the reference objective has 11 digits, the parameters as many as are printed
  CHECK_NEAR(s.objective, 0.0010182740177, 1e-12);
  CHECK_NEAR(s.params[FIT_E], 1.81722, 5e-6);
  CHECK_NEAR(s.params[FIT_A], 477.83, 5e-3);
  CHECK_NEAR(s.params[FIT_ALPHA], 0.34731, 5e-6);
  CHECK_NEAR(s.params[FIT_B], 2143.4, 5e-2);
  CHECK_NEAR(s.params[FIT_BETA], 0.36717, 5e-6);
  CHECK(s.e_identified, "E");
  CHECK(fit_holdout(&runs, &options, 1e21, &h, &err) == FIT_OK, "%s", err.what);
  CHECK(h.held_out == 23, "%zu rows held out", h.held_out);
  CHECK_NEAR(h.mean, 0.0105, 5e-5);
  CHECK_NEAR(h.worst, 0.0278, 5e-5);
  CHECK(fit_bootstrap(&runs, &options, &s, 400, 0, 1, 2, &b, &err) == FIT_OK, "%s", err.what);
  // 400 replicates know an sd to 3.5 % (one sd), the reference too; heavy tails double it: 15 %
  CHECK_NEAR(b.param[FIT_E].sd / 0.0257, 1, 0.15);
  CHECK_NEAR(b.param[FIT_ALPHA].sd / 0.0148, 1, 0.15);
  CHECK_NEAR(b.param[FIT_BETA].sd / 0.0205, 1, 0.15);
  CHECK_NEAR(b.size_exponent.sd / 0.0194, 1, 0.15);
  fit_bootstrap_free(&b);
  fit_runs_free(&runs);
}

// The five rows that the publication leaves out, taken in.
static void test_chinchilla_all(void) {
  char text[32768];
  FILE *file = fopen(CHINCHILLA, "rb");
  size_t size = file ? fread(text, 1, sizeof text, file) : 0;
  CHECK(size > 0 && size < sizeof text, "%zu bytes", size);
  if (file) fclose(file);
  if (!size) return;
  char *column = memchr(text, '\n', size);
  column -= 2; // "excluded" becomes "excludeX": an unknown column
  *(column[1] == '\r' ? column : column + 1) = 'X';
  struct fit_runs runs;
  struct fit_options options = {0};
  struct fit_solution s;
  struct fit_error err;
  CHECK(fit_runs_parse(text, size, CHINCHILLA, &runs, &err) == FIT_OK && runs.count == 245, "%s", err.what);
  CHECK(fit_solve(&runs, &options, &s, &err) == FIT_OK, "%s", err.what);
  CHECK_NEAR(s.objective, 0.00182601052, 1e-11);
  CHECK_NEAR(s.params[FIT_ALPHA], 0.3493, 5e-5);
  CHECK_NEAR(s.params[FIT_BETA], 0.4530, 5e-5);
  fit_runs_free(&runs);
}

static void test_steplaw(void) {
  struct fit_runs runs;
  struct fit_options options = {0};
  struct fit_solution s;
  struct fit_error err;
  CHECK(fit_runs_read(STEPLAW, &runs, &err) == FIT_OK && runs.count == 1911, "%s", err.what);
  CHECK(fit_runs_keep_best(&runs, &err) == FIT_OK && runs.count == 17, "%zu cells", runs.count);
  CHECK(fit_solve(&runs, &options, &s, &err) == FIT_OK, "%s", err.what);
  CHECK(!s.e_identified, "E of 17 cell minima: %g against %g", s.objective, s.objective_without_e);
  fit_runs_free(&runs);
}

int main(void) {
  if (access(CHINCHILLA, R_OK) || access(STEPLAW, R_OK)) {
    puts("skipped: no run tables at " CHINCHILLA);
    return 77;
  }
  test_chinchilla();
  test_chinchilla_all();
  test_steplaw();
  return check_done();
}
