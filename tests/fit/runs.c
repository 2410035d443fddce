// The runs table's reader: what it accepts, what it drops and counts, and what each broken table is told.
#include "fit/runs.h"

#include <string.h>

#include "check.h"

static enum fit_status parse(const char *text, struct fit_runs *runs, struct fit_error *err) {
  err->what[0] = 0;
  return fit_runs_parse(text, strlen(text), "t.csv", runs, err);
}

static void check_refused(const char *text, const char *message) {
  struct fit_runs runs;
  struct fit_error err;
  enum fit_status status = parse(text, &runs, &err);
  CHECK(status == FIT_ERR_INPUT && !strcmp(err.what, message), "status %d, said: %s\nwanted: %s", status, err.what,
        message);
  CHECK(!runs.row, "rows left behind by a failure");
  fit_runs_free(&runs);
}

static void test_accepts(void) {
  struct fit_runs runs;
  struct fit_error err;
  // any order, unknown columns, quotes, CRLF, a byte order mark, blank lines, no line break at the end
  enum fit_status status = parse("\xef\xbb\xbfloss,note,run,tokens,\"params\",flops\r\n"
                                 "2.5,\"a, \"\"b\"\"\nc\",r1, 1e9 ,1000000,6e15\r\n\r\n"
                                 "2.4,,r2,2e9,\"2000000\",\r\n"
                                 "2.3,,r1,3e9,1000000,-7",
                                 &runs, &err);
  CHECK(status == FIT_OK, "%s", err.what);
  CHECK(runs.count == 3 && runs.rows == 3 && runs.clusters == 2, "%zu rows, %d runs", runs.count, runs.clusters);
  if (runs.count == 3) {
    CHECK(runs.row[0].params == 1e6 && runs.row[0].tokens == 1e9 && runs.row[0].loss == 2.5, "first row");
    CHECK(runs.row[0].run == runs.row[2].run && runs.row[0].run != runs.row[1].run, "runs");
    CHECK(runs.row[0].line == 2 && runs.row[1].line == 5 && runs.row[2].line == 6, "lines %ld %ld %ld",
          runs.row[0].line, runs.row[1].line, runs.row[2].line);
    CHECK(fit_run_flops(&runs.row[0]) == 6e15 && isnan(runs.row[1].flops), "flops");
    CHECK(isnan(runs.row[0].lr) && fit_run_flops(&runs.row[1]) == 6 * 2e6 * 2e9, "absent columns");
    CHECK(isnan(runs.row[2].flops) && runs.flops_not_positive == 1, "overflown flops");
  }
  fit_runs_free(&runs);
}

static void test_drops(void) {
  struct fit_runs runs;
  struct fit_error err;
  enum fit_status status = parse("params,tokens,loss,diverged,excluded\n"
                                 "1e6,1e9,2,0,0\n"
                                 "1e6,1e9,2,0,1\n"
                                 "1e6,1e9,nan,1,0\n"
                                 "1e6,1e9,-inf,0,\n"
                                 "1e6,1e9,,0,0\n"
                                 "1e6,0,2,0,0\n"
                                 "1e6,1e9,1.5,,0\n"
                                 "1e6,2e9,1.4,false,0\n",
                                 &runs, &err);
  CHECK(status == FIT_OK, "%s", err.what);
  CHECK(runs.rows == 8 && runs.count == 3 && runs.clusters == 3, "%zu of %zu", runs.count, runs.rows);
  CHECK(runs.dropped[FIT_DROP_EXCLUDED] == 1 && runs.dropped[FIT_DROP_DIVERGED] == 1 &&
            runs.dropped[FIT_DROP_NO_LOSS] == 2 && runs.dropped[FIT_DROP_UNTRAINED] == 1,
        "counts");
  CHECK(fit_runs_keep_best(&runs, &err) == FIT_OK && runs.count == 2 && runs.clusters == 2 &&
            runs.dropped[FIT_DROP_NOT_BEST] == 1,
        "%zu best rows", runs.count);
  if (runs.count == 2) CHECK(runs.row[0].loss == 1.5 && runs.row[1].loss == 1.4, "the best rows");
  fit_runs_free(&runs);
  // whole steps of another batch are the same budget, counted from the least
  status = parse("params,tokens,loss\n1e6,1e9,2\n1e6,1.006e9,1.9\n1e6,1.012e9,1.8\n1000001,1e9,2\n", &runs, &err);
  CHECK(status == FIT_OK && fit_runs_keep_best(&runs, &err) == FIT_OK && runs.count == 3, "%zu cells", runs.count);
  if (runs.count == 3) CHECK(runs.row[0].loss == 1.9 && runs.row[1].loss == 1.8, "budgets");
  fit_runs_free(&runs);
}

static void test_refuses(void) {
  check_refused("", "t.csv: empty; a runs table starts with a header: params,tokens,loss");
  check_refused("params,tokens,loss\n", "t.csv: a header and no rows");
  check_refused("params,loss\n1,2\n", "t.csv:1: no column tokens; needed are params, tokens, loss");
  check_refused("params,tokens,loss,loss\n1,2,3,3\n", "t.csv:1: column loss stands twice in the header");
  check_refused("params,tokens,loss\n1e6,1e9\n", "t.csv:2: 2 fields, but the header has 3");
  check_refused("params,tokens,loss\n1e6,1e9,2,\n", "t.csv:2: 4 fields, but the header has 3");
  check_refused("params,tokens,loss\n1e6,1e9,2\n1e6,abc,2\n", "t.csv:3: column tokens: \"abc\" is not a number");
  check_refused("params,tokens,loss\n1e6,1e9,2x\n", "t.csv:2: column loss: \"2x\" is not a number");
  check_refused("params,tokens,loss\n1e6,0x10,2\n", "t.csv:2: column tokens: \"0x10\" is not a number");
  check_refused("params,tokens,loss\n-1,1e9,2\n",
                "t.csv:2: column params: \"-1\" is not a number of parameters above 0");
  check_refused("params,tokens,loss\nnan,1e9,2\n",
                "t.csv:2: column params: \"nan\" is not a number of parameters above 0");
  check_refused("params,tokens,loss\n1e6,inf,2\n",
                "t.csv:2: column tokens: \"inf\" is not a number of tokens, 0 or more");
  check_refused("params,tokens,loss\n1e6,1e9,-2\n",
                "t.csv:2: column loss: \"-2\" is not a loss above 0 (the laws take its logarithm)");
  check_refused("params,tokens,loss,excluded\n1e6,1e9,2,maybe\n", "t.csv:2: column excluded: \"maybe\" is not 0 or 1");
  check_refused("params,tokens,loss\n1e6,1e9,\"2\n", "t.csv:2: field 3: a quote opens and never closes");
  check_refused("params,tokens,loss\n1e6,\"1e9\"x,2\n", "t.csv:2: field 2: text after the closing quote");
  check_refused("params,tokens,loss\n1e6,1e9,2\r3\n", "t.csv:2: a carriage return inside the line");
  struct fit_runs runs;
  struct fit_error err;
  CHECK(fit_runs_read("/nonexistent/runs.csv", &runs, &err) == FIT_ERR_INPUT &&
            !strcmp(err.what, "/nonexistent/runs.csv: cannot open: No such file or directory"),
        "%s", err.what);
  CHECK(fit_runs_read("/", &runs, &err) == FIT_ERR_INPUT, "%s", err.what);
}

int main(void) {
  test_accepts();
  test_drops();
  test_refuses();
  return check_done();
}
