#include "fit/report.h"

#include <math.h>
#include <stdio.h>

#include "plots.h"
#include "report_parts.h"

const char fit_page_style[] =
    ":root{--bg:#f6f7f9;--card:#fff;--ink:#1f2933;--dim:#5f6b7a;--line:#dfe3e8;--accent:#2a5fb5;--warn:#8a4b00;"
    "--warnbg:#fff4e0}"
    "@media(prefers-color-scheme:dark){:root{--bg:#0d1117;--card:#161b22;--ink:#e6edf3;--dim:#9aa6b2;--line:#2a313a;"
    "--accent:#7db0ff;--warn:#ffcf87;--warnbg:#33260d}}"
    "*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);"
    "font:15px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}"
    "main{max-width:1000px;margin:0 auto;padding:28px 20px 60px}h1{font-size:27px;margin:0 0 2px;line-height:1.25}"
    "h2{font-size:18px;margin:0 0 10px}.sub{color:var(--dim);margin:0 0 20px}"
    "section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:18px 20px;margin:0 0 18px}"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(205px,1fr));gap:12px;margin:0 0 18px}"
    ".tile{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 16px}"
    ".tile "
    "b{display:block;font-size:20px;line-height:1.3;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}.tile "
    "span{color:var(--dim);"
    "font-size:13px}.law{font:17px/1.7 Georgia,'Times New Roman',serif;margin:0 0 6px;overflow-wrap:anywhere}"
    ".law small{font:13px system-ui,sans-serif;color:var(--dim)}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums;width:100%}.wide{overflow-x:auto}"
    "th,td{text-align:right;padding:5px 10px;border-bottom:1px solid var(--line);white-space:nowrap}"
    "th:first-child,td:first-child{text-align:left}thead th{color:var(--dim);font-weight:600;font-size:13px}"
    "tbody tr:last-child td{border-bottom:0}tr.best td{font-weight:700;color:var(--accent)}"
    ".warn{background:var(--warnbg);color:var(--warn);border-radius:8px;padding:10px 14px;margin:10px 0}"
    ".note{color:var(--dim);font-size:13.5px;margin:8px 0 0}svg.fp{display:block;width:100%;height:auto}"
    "svg.plot{width:calc(100% + 56px);margin:0 0 -36px -56px}"
    "pre{background:var(--bg);border:1px solid var(--line);border-radius:8px;padding:10px "
    "14px;overflow-x:auto;margin:0}"
    "h3{font-size:15px;margin:18px 0 8px}small{color:var(--dim)}table.text td{white-space:normal}"
    "table.sizes td{vertical-align:top;line-height:1.35}td.why{text-align:left;color:var(--dim);white-space:normal;"
    "min-width:260px}.tall{max-height:560px;overflow-y:auto}.tall thead "
    "th{position:sticky;top:0;background:var(--card)}"
    ".key{display:flex;flex-wrap:wrap;gap:2px 16px;margin:0 0 4px;font-size:13px}.key .of{color:var(--dim)}"
    ".key svg{vertical-align:-1px;margin-right:6px}.panels{display:grid;gap:14px 12px;margin-bottom:12px;"
    "grid-template-columns:repeat(auto-fill,minmax(260px,1fr))}.panels.two{grid-template-columns:"
    "repeat(auto-fit,minmax(min(340px,100%),1fr))}svg.sw{display:inline-block;width:26px;height:12px;overflow:visible}"
    "ul{margin:0;padding-left:20px}li{margin:4px 0;overflow-wrap:anywhere}"
    "@media(max-width:600px){main{padding:18px 10px 40px}section{padding:14px 12px}h1{font-size:22px}"
    ".tiles{grid-template-columns:repeat(2,minmax(0,1fr))}.tile{padding:10px 12px}.tile b{font-size:17px}"
    ".fp.plot{font-size:24px;width:100%;margin:0}.fp.plot .l{stroke-width:3.4}.fp.plot .t,.fp.plot .h{stroke-width:2.6}"
    ".fp.plot circle.p{r:5px}}"
    "@media print{body{background:#fff}section{break-inside:avoid}.tall{max-height:none}}"
    "sup,sub{font-size:.7em;line-height:0}img{max-width:100%}.gallery{display:flex;flex-wrap:wrap;gap:12px}.gallery "
    "figure{margin:0}"
    "figcaption{color:var(--dim);font-size:13px}";

static void add_tile(struct fit_text *t, const char *value, const char *what) {
  fit__text_add(t, "<div class=\"tile\"><b>%s</b><span>%s</span></div>\n", value, what);
}

static void joint_tiles(struct fit_text *t, const struct fit_report *r) {
  const struct fit_solution *s = r->solution;
  double low, high;
  struct fit_power power;
  struct fit_optimum best;
  char text[160], count[24];
  fit_report_range(r, &low, &high);
  snprintf(text, sizeof text, "%.2g %%", 100 * s->rms);
  add_tile(t, text, "rms error of the fitted rows");
  if (fit_optimum_power(s->params, fit__report_family(r), low, high, &power, NULL) ||
      fit_optimum_at(s->params, fit__report_family(r), fit__report_compute(r), &best, NULL)) {
    add_tile(t, "none", "compute-optimal size: these rows do not determine it");
    return;
  }
  snprintf(text, sizeof text, "%.5g&thinsp;C<sup>%.4f</sup>", power.k, power.a);
  add_tile(t, text, "N<sub>opt</sub>, parameters, C in FLOPs");
  svg_count(best.params, count);
  snprintf(text, sizeof text, "best size at C = %.3g FLOPs", best.compute);
  add_tile(t, count, text);
  snprintf(text, sizeof text, "%.5g", best.loss);
  add_tile(t, text, "loss predicted there");
}

static void other_tiles(struct fit_text *t, const struct fit_report *r) {
  char text[160];
  if (r->isoflop) {
    snprintf(text, sizeof text, "%d of %d", r->isoflop->accepted, r->isoflop->budgets);
    add_tile(t, text, "IsoFLOP budgets accepted");
  }
  if (!r->hyper) return;
  snprintf(text, sizeof text, "%d of %d", r->hyper->accepted, r->hyper->count);
  add_tile(t, text, "cells with a best batch and learning rate");
  if (!isfinite(r->hyper->mean_regret)) return;
  snprintf(text, sizeof text, "%.2g %%", 100 * r->hyper->mean_regret);
  add_tile(t, text, "mean regret of the laws of batch and learning rate");
}

static void add_sections(struct fit_text *t, const struct fit_section *section, int count) {
  for (int i = 0; i < count; i++) {
    fit__text_add(t, "<section><h2>");
    fit__text_escape(t, section[i].title);
    fit__text_add(t, "</h2>\n%s\n</section>\n", section[i].html);
  }
}

static bool has_hyper_law(const struct fit_report *r) {
  return r->hyper && !(r->hyper->law[FIT_HYPER_BATCH].refusal && r->hyper->law[FIT_HYPER_LR].refusal);
}

// ---- what a reader must know first ---------------------------------------------------------------------------------
static void add_none(struct fit_text *t, const char *what, const char *note, int *lines) {
  if (!note || !*note) return;
  fit__text_add(t, "%s<li>%s: ", (*lines)++ ? "" : "<ul>\n", what);
  fit__text_escape(t, note);
  fit__text_add(t, ".</li>\n");
}

static void add_refused(struct fit_text *t, const char *what, int times, const char *why, int *lines) {
  if (times)
    fit__text_add(t, "%s<li>%d %s%s refused: %s.</li>\n", (*lines)++ ? "" : "<ul>\n", times, what, times > 1 ? "s" : "",
                  why);
}

static void add_refusals(struct fit_text *t, const struct fit_report *r) {
  int lines = 0, budgets[FIT_BUDGET_STATUS_COUNT] = {0}, cells[FIT_REFUSAL_COUNT] = {0};
  for (int k = 0; r->isoflop && k < r->isoflop->budgets; k++) budgets[r->isoflop->budget[k].status]++;
  for (int i = 0; r->hyper && i < r->hyper->count; i++) cells[r->hyper->cell[i].bowl.refusal]++;
  add_none(t, "No joint law", r->solution_note, &lines);
  add_none(t, "No intervals of the joint law", r->bootstrap_note, &lines);
  add_none(t, "No IsoFLOP parabolas", r->isoflop_note, &lines);
  for (int k = 1; k < FIT_BUDGET_STATUS_COUNT; k++)
    add_refused(t, "IsoFLOP budget", budgets[k], fit_budget_text((enum fit_budget_status)k), &lines);
  add_none(t, "No envelope of the training curves", r->envelope_note, &lines);
  add_none(t, "No laws of batch and learning rate", r->hyper_note, &lines);
  for (int k = 1; k < FIT_REFUSAL_COUNT; k++)
    add_refused(t, "(N, T) cell", cells[k], fit_refusal_text((enum fit_refusal)k), &lines);
  if (r->hyper && !has_hyper_law(r))
    add_none(t, "No laws of batch and learning rate", fit_hyper_refusal_text(r->hyper->law[FIT_HYPER_BATCH].refusal),
             &lines);
  else
    add_none(t, "No intervals of the laws of batch and learning rate", r->hyper_bootstrap_note, &lines);
  add_none(t, "Fixed hyperparameters are not compared", r->compare_note, &lines);
  if (lines) fit__text_add(t, "</ul>\n");
}

static void add_findings(struct fit_text *t, const struct fit_report *r) {
  struct fit_finding found[FIT_MAX_FINDINGS];
  int count = r->solution ? fit_findings(r->solution, r->diagnosis, found) : 0;
  for (int i = 0; i < count; i++) {
    fit__text_add(t, "<p class=\"warn\">");
    fit__text_escape(t, found[i].text);
    fit__text_add(t, ".</p>\n");
  }
}

static void add_first(struct fit_text *t, const struct fit_report *r) {
  size_t before = t->size;
  fit__text_add(t, "<section id=\"diagnosis\"><h2>Diagnosis, and what was refused</h2>\n");
  size_t start = t->size;
  add_findings(t, r);
  add_refusals(t, r);
  if (t->size == start && !t->failed) { // nothing to say
    t->size = before;
    t->data[before] = 0;
    return;
  }
  fit__text_add(t, "</section>\n");
}

// ---- the page ------------------------------------------------------------------------------------------------------
static bool has_joint(const struct fit_report *r) { return r->solution; }
static bool has_compare(const struct fit_report *r) { return r->compare; }
static bool always(const struct fit_report *r) { return r->runs; }

// The sections in order: a plot of the map with what is written under it, or words alone.
static const struct {
  const char *title; // NULL: the plot's
  int plot;          // -1: none
  bool (*has)(const struct fit_report *r);
  fit__part *add;
} sequence[] = {
    {"The law", -1, has_joint, fit__part_law},
    {NULL, FIT_PLOT_LOSS, NULL, NULL},
    {NULL, FIT_PLOT_RESIDUALS, NULL, NULL},
    {NULL, FIT_PLOT_PROFILE, NULL, NULL},
    {NULL, FIT_PLOT_ISOFLOP, NULL, fit__part_budgets},
    {NULL, FIT_PLOT_OPTIMUM, NULL, fit__part_sizes},
    {NULL, FIT_PLOT_TRADEOFF, NULL, fit__part_tradeoff},
    {"Laws of batch and learning rate", -1, has_hyper_law, fit__part_hyper},
    {NULL, FIT_PLOT_HYPER_TOKENS, NULL, NULL},
    {NULL, FIT_PLOT_HYPER_PARAMS, NULL, NULL},
    {NULL, FIT_PLOT_BOWLS, NULL, fit__part_cells},
    {"Fixed against best batch and learning rate", -1, has_compare, fit__part_compare},
    {"Rows used", -1, always, fit__part_rows},
};

static enum fit_status add_plot(struct fit_text *t, enum fit_plot plot, const struct fit_report *r,
                                struct fit_error *err) {
  struct fit_error bad;
  enum fit_status status = fit__plot(t, plot, r, false, &bad);
  if (status == FIT_ERR_FAILED) return fit_fail(err, status, "%s", bad.what);
  if (status) { // the law has no optimum to draw: said in its place
    fit__text_add(t, "<p class=\"warn\">Not drawn: ");
    fit__text_escape(t, bad.what);
    fit__text_add(t, ".</p>\n");
  }
  return FIT_OK;
}

static enum fit_status add_sequence(struct fit_text *t, const struct fit_report *r, struct fit_error *err) {
  static const char *const caption[] = {
#define X(code, name, words) words,
      FIT_PLOT_MAP(X)
#undef X
  };
  for (size_t i = 0; i < sizeof sequence / sizeof *sequence; i++) {
    enum fit_plot plot = (enum fit_plot)sequence[i].plot;
    bool drawn = sequence[i].plot >= 0;
    if (drawn ? !fit_plot_has(plot, r) : !sequence[i].has(r)) continue;
    if (drawn)
      fit__text_add(t, "<section id=\"plot-%s\"><h2>%s</h2>\n", fit_plot_name(plot), caption[plot]);
    else
      fit__text_add(t, "<section><h2>%s</h2>\n", sequence[i].title);
    enum fit_status status = drawn ? add_plot(t, plot, r, err) : FIT_OK;
    if (status) return status;
    if (sequence[i].add) sequence[i].add(t, r);
    fit__text_add(t, "</section>\n");
  }
  return FIT_OK;
}

static void add_head(struct fit_text *t, const struct fit_report *r) {
  const char *title = r->title ? r->title : "Scaling law";
  fit__text_add(
      t, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
         "content=\"width=device-width,initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\"><title>");
  fit__text_escape(t, title);
  fit__text_add(t, "</title>\n<style>%s%s</style></head><body><main>\n<h1>", fit_page_style, fit_plot_style);
  fit__text_escape(t, title);
  fit__text_add(t, "</h1>\n<p class=\"sub\">Fitted to %zu of the %zu rows of ",
                r->hyper_runs && !r->solution ? r->hyper_runs->count : r->runs->count, r->runs->rows);
  fit__text_escape(t, r->source ? r->source : "a runs table");
  fit__text_add(t, "</p>\n<div class=\"tiles\">\n");
  if (r->solution) joint_tiles(t, r);
  other_tiles(t, r);
  fit__text_add(t, "</div>\n");
}

enum fit_status fit_report_write(const char *path, const struct fit_report *r, struct fit_error *err) {
  struct fit_text t = {0};
  add_head(&t, r);
  add_sections(&t, r->before, r->before_count);
  add_first(&t, r);
  enum fit_status status = add_sequence(&t, r, err);
  if (status) goto fail;
  add_sections(&t, r->after, r->after_count);
  if (r->command) {
    fit__text_add(&t, "<section><h2>Command</h2><pre>");
    fit__text_escape(&t, r->command);
    fit__text_add(&t, "</pre></section>\n");
  }
  fit__text_add(&t, "</main></body></html>\n");
  status = fit__file_write(path, &t, err);
fail:
  fit__text_free(&t);
  return status;
}
