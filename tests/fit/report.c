// The report and its plots: everything that was fitted is drawn and said, numbers are numbers, nothing points outside
// the page.
#include "fit/report.h"

#include <string.h>
#include <unistd.h>

#include "check.h"
#include "temp.h"
#include "synthetic.h"

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
      CHECK(occurrences(text, "<circle") == r->runs->count + 6, "%s: %zu points", path, occurrences(text, "<circle"));
    if (plot == FIT_PLOT_LOSS)
      CHECK(occurrences(text, "class=\"l s") == 12, "%s: lines", path); // 6 laws, 6 in the legend
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
  test_no_optimum(folder);
  char *escaped = fit_html_escape("a<b>&\"c\"");
  CHECK(escaped && !strcmp(escaped, "a&lt;b&gt;&amp;&quot;c&quot;"), "%s", escaped ? escaped : "none");
  free(escaped);
  rmdir(folder);
  return check_done();
}
