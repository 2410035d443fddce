// The report and its plots: everything that was fitted is drawn and said, numbers are numbers, nothing points outside
// the page.
#include "fit/report.h"

#include <string.h>
#include <unistd.h>

#include "check.h"
#include "temp.h"
#include "bowls.h"

static char *read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  char *text = calloc(1, 1 << 22);
  if (!text) abort();
  size_t size = file ? fread(text, 1, (1 << 22) - 1, file) : 0;
  CHECK(size > 0, "%s is empty or absent", path);
  if (file) fclose(file);
  return text;
}

static size_t occurrences(const char *text, const char *word) {
  size_t count = 0;
  for (const char *at = text; (at = strstr(at, word)); at += strlen(word)) count++;
  return count;
}

// Tags open and close in order, attributes close their quotes, text holds no bare number that is none.
static void check_markup(const char *text, const char *name) {
  char stack[64][32];
  int depth = 0;
  CHECK(!strstr(text, "nan") && !strstr(text, "inf "), "%s: a number that is none", name);
  for (const char *at = text; (at = strchr(at, '<')); at++) {
    const char *end = at;
    for (bool quoted = false; *end && (quoted || *end != '>'); end++)
      if (*end == '"') quoted = !quoted;
    CHECK(*end, "%s: a tag that never ends", name);
    if (!*end) return;
    char tag[32];
    size_t length = strcspn(at + 1 + (at[1] == '/'), " />\n");
    snprintf(tag, sizeof tag, "%.*s", (int)(length < 31 ? length : 31), at + 1 + (at[1] == '/'));
    bool alone = end[-1] == '/' || *tag == '!' || !strcmp(tag, "meta") || !strcmp(tag, "img") || !strcmp(tag, "br");
    if (at[1] == '/') {
      bool same = depth > 0 && !strcmp(stack[depth - 1], tag);
      CHECK(same, "%s: </%s> closes %s", name, tag, depth ? stack[depth - 1] : "nothing");
      if (!same) return;
      depth--;
    } else if (!alone && depth < 64) {
      strcpy(stack[depth++], tag);
    }
    at = end;
  }
  CHECK(depth == 0, "%s: %d tags stay open", name, depth);
}

static void check_plots(const struct fit_report *r, const char *folder) {
  size_t sizes = (size_t)r->runs->clusters; // of these tables every size is one run
  for (int plot = 0; plot < FIT_PLOT_COUNT; plot++) {
    char path[256];
    struct fit_error err;
    snprintf(path, sizeof path, "%s/%s.svg", folder, fit_plot_name((enum fit_plot)plot));
    if (!fit_plot_has((enum fit_plot)plot, r)) {
      CHECK(fit_plot_write(path, (enum fit_plot)plot, r, &err) == FIT_ERR_INPUT, "%s drawn of nothing", path);
      continue;
    }
    CHECK(fit_plot_write(path, (enum fit_plot)plot, r, &err) == FIT_OK, "%s", err.what);
    char *text = read_file(path);
    check_markup(text, path);
    CHECK(!strncmp(text, "<svg", 4) && occurrences(text, "class=\"tick\"") >= 4, "%s: no ticks", path);
    if (plot == FIT_PLOT_LOSS || plot == FIT_PLOT_RESIDUALS) // every row, and a mark per size in the legend
      CHECK(occurrences(text, "<circle") == r->runs->count + sizes, "%s: %zu points", path,
            occurrences(text, "<circle"));
    if (plot == FIT_PLOT_LOSS)
      CHECK(occurrences(text, "class=\"l s") == 2 * sizes, "%s: lines", path); // laws, and the legend's
    free(text);
    remove(path);
  }
}

static void test_report(const char *folder) {
  double si[FIT_JOINT_PARAMS];
  paper_law(si);
  struct fit_runs runs = synthetic_runs(si, 6, 10, 1e-3, 31);
  struct fit_options options = {0};
  struct fit_solution s;
  struct fit_bootstrap b;
  struct fit_error err;
  CHECK(fit_solve(&runs, &options, &s, &err) == FIT_OK, "%s", err.what);
  CHECK(fit_bootstrap(&runs, &options, &s, 20, 0, 1, 2, &b, &err) == FIT_OK, "%s", err.what);
  struct fit_family family = {.n_ctx = 4096};
  struct fit_section before = {"Samples & <runs>", "<p class=\"given\">given by the caller</p>"}, after = {"After", ""};
  struct fit_report r = {.title = "A <title> & more",
                         .source = "runs.csv",
                         .command = "vkdit fit 'a<b>.csv'",
                         .runs = &runs,
                         .solution = &s,
                         .bootstrap = &b,
                         .family = &family,
                         .before = &before,
                         .before_count = 1,
                         .after = &after,
                         .after_count = 1};
  char path[256];
  runs.dropped[FIT_DROP_DIVERGED] = 3;
  check_plots(&r, folder);
  snprintf(path, sizeof path, "%s/report.html", folder);
  CHECK(fit_report_write(path, &r, &err) == FIT_OK, "%s", err.what);
  char *text = read_file(path), number[64];
  check_markup(text, path);
  CHECK(occurrences(text, "<svg class=\"fp plot\"") == 5, "%zu plots", occurrences(text, "<svg class=\"fp plot\""));
  CHECK(!strstr(text, "http") && !strstr(text, "<script") && !strstr(text, "@import"), "the page needs something else");
  static const char *const wanted[] = {"A &lt;title&gt; &amp; more",
                                       "Samples &amp; &lt;runs&gt;",
                                       "<p class=\"given\">",
                                       "'a&lt;b&gt;.csv'",
                                       "left out: marked diverged=1",
                                       "90 % interval",
                                       "n_ctx = 4096"};
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
    CHECK(strstr(text, wanted[i]), "the report lacks: %s", wanted[i]);
  for (int j = 0; j < FIT_JOINT_PARAMS; j++) {
    snprintf(number, sizeof number, "<td>%.7g</td>", s.params[j]);
    CHECK(strstr(text, number), "the report lacks %s = %s", s.law->param[j], number);
  }
  free(text);
  remove(path);
  CHECK(fit_report_write("/nonexistent/report.html", &r, &err) == FIT_ERR_FAILED, "written to no folder");
  fit_bootstrap_free(&b);
  fit_runs_free(&runs);
}

// Bowls of 4 sizes and 3 budgets, the first cell cut off at its smallest batch; every part of the report at once.
static void test_all_parts(const char *folder) {
  const double batch_law[FIT_HYPER_COUNT] = {30, 0.6, -0.3}, lr_law[FIT_HYPER_COUNT] = {60, 0.2, -0.75};
  struct prng prng = {88172645463325252u};
  struct fit_runs bowls = bowl_table(batch_law, lr_law, 4, 3, 3e-4, 0.03, &prng), best = bowls, curves;
  double si[FIT_JOINT_PARAMS], cut = 0;
  struct fit_hyper hyper;
  struct fit_hyper_bootstrap spread;
  struct fit_solution s;
  struct fit_diagnosis d;
  struct fit_isoflop iso;
  struct fit_envelope envelope;
  struct fit_error err;
  paper_law(si);
  curves = synthetic_runs(si, 7, 12, 1e-3, 5);
  for (size_t i = 0; i < 100; i++) cut += log(bowls.row[i].batch_tokens) / 100;
  for (size_t i = 0; i < 100; i++) // the loss rises with the batch alone
    bowls.row[i].loss = 2.5 * (1 + 0.003 * (log(bowls.row[i].batch_tokens) - cut + 2)) +
                        0.01 * pow(log(bowls.row[i].lr / bowls.row[5].lr), 2);
  best.row = malloc(bowls.count * sizeof *best.row);
  if (!best.row) abort();
  memcpy(best.row, bowls.row, bowls.count * sizeof *best.row);
  struct fit_options options = {0};
  struct fit_isoflop_options sizes = {.replicates = 20};
  struct fit_hyper_options window = {0};
  CHECK(fit_hyper_fit(&bowls, &window, &hyper, &err) == FIT_OK, "%s", err.what);
  CHECK(hyper.count == 12 && hyper.accepted == 11, "%d of %d cells accepted", hyper.accepted, hyper.count);
  CHECK(fit_hyper_resample(&bowls, &window, &hyper, 20, 0, 1, &spread, &err) == FIT_OK, "%s", err.what);
  CHECK(fit_runs_keep_best(&best, &err) == FIT_OK, "%s", err.what);
  CHECK(fit_solve(&curves, &options, &s, &err) == FIT_OK, "%s", err.what);
  CHECK(fit_diagnose(&curves, &options, &s, &d, &err) == FIT_OK, "%s", err.what);
  CHECK(fit_isoflop(&curves, &sizes, &iso, &err) == FIT_OK, "%s", err.what);
  CHECK(fit_envelope(&curves, &sizes, &envelope, &err) == FIT_OK, "%s", err.what);
  struct fit_report r = {.runs = &curves,
                         .solution = &s,
                         .diagnosis = &d,
                         .bootstrap_note = "too <few> runs",
                         .isoflop = &iso,
                         .envelope = &envelope,
                         .hyper = &hyper,
                         .hyper_runs = &bowls,
                         .hyper_bootstrap = &spread,
                         .compare_note = ""};
  for (int alone = 0; alone < 2; alone++) { // with and without a joint law
    char path[256];
    snprintf(path, sizeof path, "%s/report.html", folder);
    CHECK(fit_report_write(path, &r, &err) == FIT_OK, "%s", err.what);
    char *text = read_file(path), section[64];
    check_markup(text, path);
    for (int plot = 0; plot < FIT_PLOT_COUNT; plot++) {
      snprintf(section, sizeof section, "<section id=\"plot-%s\">", fit_plot_name((enum fit_plot)plot));
      bool law =
          plot == FIT_PLOT_LOSS || plot == FIT_PLOT_RESIDUALS || plot == FIT_PLOT_PROFILE || plot == FIT_PLOT_TRADEOFF;
      CHECK(!strstr(text, section) == (alone && law), "%s", section);
    }
    CHECK(occurrences(text, "class=\"fp panel\"") == 12 + 4, "%zu panels", occurrences(text, "class=\"fp panel\""));
    CHECK(strstr(text, "1 (N, T) cell refused: minimum at the smallest batch"), "the refused cell is not told");
    CHECK(strstr(text, "too &lt;few&gt; runs") && !strstr(text, "not compared"), "notes");
    CHECK(strstr(text, "Correlations") ? !alone : alone, "correlations");
    for (int t = 0; t < FIT_HYPER_TARGETS; t++) {
      snprintf(section, sizeof section, "<td>%.6f</td>", hyper.law[t].param[FIT_HYPER_TOKENS]);
      CHECK(strstr(text, section), "the report lacks an exponent, %s", section);
    }
    free(text);
    remove(path);
    check_plots(&r, folder);
    r.solution = NULL;
    r.diagnosis = NULL;
  }
  r.hyper_runs = &best; // of which the laws are not
  best.count = 5;
  CHECK(fit_plot_write("/nonexistent/bowls.svg", FIT_PLOT_BOWLS, &r, &err) == FIT_ERR_INPUT, "laws of other runs");
  fit_isoflop_free(&iso);
  fit_envelope_free(&envelope);
  fit_hyper_free(&hyper);
  fit_hyper_bootstrap_free(&spread);
  fit_runs_free(&curves);
  fit_runs_free(&best);
  fit_runs_free(&bowls);
}

// Losses that do not depend on N: alpha runs to a bound, and both say so in place of an optimum.
static void test_no_optimum(const char *folder) {
  double si[FIT_JOINT_PARAMS];
  paper_law(si);
  struct fit_runs runs = synthetic_runs(si, 5, 8, 0, 8);
  for (size_t i = 0; i < runs.count; i++) runs.row[i].loss = 0.5 + 0.04 * pow(runs.row[i].params / 1e8, 0.05);
  struct fit_options options = {0};
  struct fit_solution s;
  struct fit_error err;
  CHECK(fit_solve(&runs, &options, &s, &err) == FIT_OK, "%s", err.what);
  CHECK(!s.e_identified || s.at_bound[FIT_ALPHA] || s.at_bound[FIT_BETA], "rising losses taken for a law");
  struct fit_report r = {.runs = &runs, .solution = &s};
  char path[256];
  snprintf(path, sizeof path, "%s/report.html", folder);
  CHECK(fit_report_write(path, &r, &err) == FIT_OK, "%s", err.what);
  char *text = read_file(path);
  check_markup(text, path);
  CHECK(strstr(text, "not identified"), "the report is silent about it");
  free(text);
  remove(path);
  fit_runs_free(&runs);
}

int main(void) {
  char folder[TEMP_SIZE];
  temp_folder(folder);
  test_report(folder);
  test_all_parts(folder);
  test_no_optimum(folder);
  char *escaped = fit_html_escape("a<b>&\"c\"");
  CHECK(escaped && !strcmp(escaped, "a&lt;b&gt;&amp;&quot;c&quot;"), "%s", escaped ? escaped : "none");
  free(escaped);
  rmdir(folder);
  return check_done();
}
