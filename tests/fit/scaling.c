// How a step grows: known terms recovered, what cannot tell them apart refused, and the plots written.
#include "fit/scaling.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "temp.h"

static const struct fit_scaling truth = {
    .fixed = 2e-3, .per_token = 3e-5, .per_pair = 4e-9, .bytes_fixed = 5e6, .bytes_per_token = 7e4};

enum { TOKENS = 7, BATCHES = 5, ROWS = TOKENS + BATCHES };

// noise: relative, of alternating sign
static void make_rows(struct fit_scaling_row rows[ROWS], double noise) {
  for (int i = 0; i < ROWS; i++) {
    struct fit_scaling_row *r = &rows[i];
    r->tokens = i < TOKENS ? 64 << i : 256;
    r->batch = i < TOKENS ? 1 : 1 << (i - TOKENS);
    r->seconds = fit_scaling_seconds(&truth, r->tokens, r->batch) * (i % 2 ? 1 + noise : 1 - noise);
    r->bytes = fit_scaling_bytes(&truth, r->tokens, r->batch);
    r->attention = i < TOKENS ? 0.1 : NAN;
  }
}

static void test_recovered(void) {
  struct fit_scaling_row rows[ROWS];
  struct fit_scaling s;
  struct fit_error err;
  make_rows(rows, 0);
  CHECK(fit_scaling(rows, ROWS, &s, &err) == FIT_OK, "%s", err.what);
  // exact but for rounding, 1e-16 times the condition of the columns
  CHECK_NEAR(s.fixed / truth.fixed, 1, 1e-9);
  CHECK_NEAR(s.per_token / truth.per_token, 1, 1e-9);
  CHECK_NEAR(s.per_pair / truth.per_pair, 1, 1e-9);
  CHECK_NEAR(s.bytes_fixed / truth.bytes_fixed, 1, 1e-9);
  CHECK_NEAR(s.bytes_per_token / truth.bytes_per_token, 1, 1e-9);
  CHECK(s.worst < 1e-9 && s.bytes_worst < 1e-9, "deviations of %g and %g", s.worst, s.bytes_worst);
  make_rows(rows, 0.01);
  CHECK(fit_scaling(rows, ROWS, &s, &err) == FIT_OK, "%s", err.what);
  CHECK(s.worst > 5e-3 && s.worst < 0.02, "a deviation of %g", s.worst);
  CHECK_NEAR(s.per_token / truth.per_token, 1, 0.02);
}

static void test_refused(void) {
  struct fit_scaling_row rows[ROWS];
  struct fit_scaling s;
  struct fit_error err = {""};
  make_rows(rows, 0);
  CHECK(fit_scaling(rows, 2, &s, &err) == FIT_ERR_INPUT && strstr(err.what, "three sizes"), "%s", err.what);
  rows[3].seconds = NAN;
  CHECK(fit_scaling(rows, ROWS, &s, &err) == FIT_ERR_INPUT, "a NaN was taken");
}

static void test_plot(void) {
  struct fit_scaling_row rows[ROWS];
  struct fit_error err;
  char folder[TEMP_SIZE], path[TEMP_SIZE + 16], *text = calloc(1, 1 << 20);
  CHECK(text, "no memory");
  if (!text) return;
  temp_folder(folder);
  snprintf(path, sizeof path, "%s/plot.svg", folder);
  make_rows(rows, 0.01);
  CHECK(fit_scaling_plot(path, rows, ROWS, TOKENS, &truth, &err) == FIT_OK, "%s", err.what);
  FILE *f = fopen(path, "r");
  CHECK(f && fread(text, 1, (1 << 20) - 1, f) > 1000 && !strncmp(text, "<svg", 4), "no picture");
  if (f) fclose(f);
  int circles = 0, crosses = 0;
  for (const char *at = text; (at = strstr(at, "<circle class=\"p")); at++) circles++;
  for (const char *at = text; (at = strstr(at, "clip-scaling-")); at++) crosses++;
  CHECK(circles >= 2 * ROWS, "%d points", circles);
  CHECK(crosses == 8, "%d mentions of 4 frames", crosses);
  CHECK(!strstr(text, "nan"), "a coordinate is not a number");
  CHECK(remove(path) == 0 && remove(folder) == 0, "%s stays", folder);
  free(text);
}

int main(void) {
  test_recovered();
  test_refused();
  test_plot();
  return check_done();
}
