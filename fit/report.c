#include "fit/report.h"

#include <math.h>
#include <stdio.h>

#include "plots.h"
#include "svg.h"

static const char page_style[] =
    ":root{--bg:#f6f7f9;--card:#fff;--ink:#1f2933;--dim:#5f6b7a;--line:#dfe3e8;--accent:#2a5fb5;--warn:#8a4b00;"
    "--warnbg:#fff4e0}"
    "@media(prefers-color-scheme:dark){:root{--bg:#0d1117;--card:#161b22;--ink:#e6edf3;--dim:#9aa6b2;--line:#2a313a;"
    "--accent:#7db0ff;--warn:#ffcf87;--warnbg:#33260d}}"
    "*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);"
    "font:15px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}"
    "main{max-width:1000px;margin:0 auto;padding:28px 20px 60px}h1{font-size:27px;margin:0 0 2px;line-height:1.25}"
    "h2{font-size:18px;margin:0 0 10px}.sub{color:var(--dim);margin:0 0 20px}"
    "section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:18px 20px;margin:0 0 18px}"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(180px,1fr));gap:12px;margin:0 0 18px}"
    ".tile{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 16px}"
    ".tile b{display:block;font-size:20px;line-height:1.3;white-space:nowrap;font-variant-numeric:tabular-nums}.tile "
    "span{color:var(--dim);"
    "font-size:13px}.law{font:17px/1.7 Georgia,'Times New Roman',serif;margin:0 0 6px;overflow-wrap:anywhere}"
    ".law small{font:13px system-ui,sans-serif;color:var(--dim)}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums;width:100%}.wide{overflow-x:auto}"
    "th,td{text-align:right;padding:5px 10px;border-bottom:1px solid var(--line);white-space:nowrap}"
    "th:first-child,td:first-child{text-align:left}thead th{color:var(--dim);font-weight:600;font-size:13px}"
    "tbody tr:last-child td{border-bottom:0}tr.best td{font-weight:700;color:var(--accent)}"
    ".warn{background:var(--warnbg);color:var(--warn);border-radius:8px;padding:10px 14px;margin:10px 0}"
    ".note{color:var(--dim);font-size:13.5px;margin:8px 0 0}svg.fp{display:block;width:100%;height:auto}"
    "pre{background:var(--bg);border:1px solid var(--line);border-radius:8px;padding:10px "
    "14px;overflow-x:auto;margin:0}"
    "sup{font-size:.68em;line-height:0}img{max-width:100%}.gallery{display:flex;flex-wrap:wrap;gap:12px}.gallery "
    "figure{margin:0}"
    "figcaption{color:var(--dim);font-size:13px}";

static void add_law(struct fit_text *t, const double *p, const char *note) {
  fit__text_add(t,
                "<p class=\"law\"><i>L</i>(<i>N</i>,<i>T</i>) = %.6g + %.6g&thinsp;<i>N</i><sup>&minus;%.6g</sup> + "
                "%.6g&thinsp;<i>T</i><sup>&minus;%.6g</sup> <small>%s</small></p>\n",
                p[FIT_E], p[FIT_A], p[FIT_ALPHA], p[FIT_B], p[FIT_BETA], note);
}

static void add_tile(struct fit_text *t, const char *value, const char *what) {
  fit__text_add(t, "<div class=\"tile\"><b>%s</b><span>%s</span></div>\n", value, what);
}

static void add_tiles(struct fit_text *t, const struct fit_report *r) {
  const struct fit_solution *s = r->solution;
  double low, high;
  struct fit_power power;
  struct fit_optimum best;
  char text[160], count[24];
  fit_report_range(r, &low, &high);
  fit__text_add(t, "<div class=\"tiles\">\n");
  snprintf(text, sizeof text, "%.2g %%", 100 * s->rms);
  add_tile(t, text, "rms error of the fitted rows");
  bool known = !fit_optimum_power(s->params, fit__report_family(r), low, high, &power, NULL) &&
               !fit_optimum_at(s->params, fit__report_family(r), fit__report_compute(r), &best, NULL);
  if (!known) {
    add_tile(t, "none", "compute-optimal size: these rows do not determine it");
    fit__text_add(t, "</div>\n");
    return;
  }
  snprintf(text, sizeof text, "%.5g&thinsp;C<sup>%.4f</sup>", power.k, power.a);
  add_tile(t, text, "N<sub>opt</sub>, parameters, C in FLOPs");
  svg_count(best.params, count);
  snprintf(text, sizeof text, "best size at C = %.3g FLOPs", best.compute);
  add_tile(t, count, text);
  snprintf(text, sizeof text, "%.5g", best.loss);
  add_tile(t, text, "loss predicted there");
  fit__text_add(t, "</div>\n");
}

static void add_law_section(struct fit_text *t, const struct fit_report *r) {
  const struct fit_solution *s = r->solution;
  double billions[FIT_JOINT_PARAMS];
  fit_joint_billions(s->params, billions);
  fit__text_add(t, "<section><h2>The law</h2>\n");
  add_law(t, s->params, "N parameters, T tokens");
  add_law(t, billions, "N and T in billions");
  if (s->objective_without_e > 0 && !s->e_identified)
    fit__text_add(
        t,
        "<p class=\"warn\"><b>E is not identified.</b> With E = 0 the objective is %.2g %% higher: these runs "
        "do not show where the loss ends. Predictions inside the table's range stand; extrapolations, and the "
        "exponents themselves, do not.</p>\n",
        100 * fmax(0, s->objective_without_e / s->objective - 1)); // E at its bound: rounding alone
  for (int j = 0; j < s->law->params; j++)
    if (s->at_bound[j])
      fit__text_add(t,
                    "<p class=\"warn\"><b>%s is not identified.</b> It ran to the edge of what is tried, %.3g.</p>\n",
                    s->law->param[j], s->params[j]);
  const struct fit_bootstrap *b = r->bootstrap;
  fit__text_add(t, "<div class=\"wide\"><table><thead><tr><th>parameter</th><th>value (SI)</th>");
  if (b) fit__text_add(t, "<th>%.0f %% interval</th><th>sd</th>", 100 * b->level);
  fit__text_add(t, "<th>N, T in billions</th></tr></thead><tbody>\n");
  for (int j = 0; j < s->law->params; j++) {
    fit__text_add(t, "<tr><td>%s</td><td>%.7g</td>", s->law->param[j], s->params[j]);
    if (b) fit__text_add(t, "<td>%.6g to %.6g</td><td>%.3g</td>", b->param[j].low, b->param[j].high, b->param[j].sd);
    fit__text_add(t, "<td>%.7g</td></tr>\n", billions[j]);
  }
  fit__text_add(t, "<tr><td>beta/(alpha+beta)</td><td>%.7g</td>",
                s->params[FIT_BETA] / (s->params[FIT_ALPHA] + s->params[FIT_BETA]));
  if (b)
    fit__text_add(t, "<td>%.6g to %.6g</td><td>%.3g</td>", b->size_exponent.low, b->size_exponent.high,
                  b->size_exponent.sd);
  fit__text_add(t, "<td></td></tr>\n</tbody></table></div>\n<p class=\"note\">");
  if (isfinite(s->delta))
    fit__text_add(t, "Huber loss (delta %.4g) ", s->delta);
  else
    fit__text_add(t, "Squared loss ");
  fit__text_add(t, "of log residuals, summed over %zu rows: %.11g; %d of %d starts agree.", s->rows, s->objective,
                s->agreeing, s->starts);
  if (b)
    fit__text_add(t, " Intervals: %d resamples of %d %s%s.", b->replicates - b->failed, b->clusters,
                  r->runs->has_run ? "runs" : "rows",
                  r->runs->has_run ? "" : " (the table names no runs, so each row counts as independent)");
  if (r->bootstrap_note) {
    fit__text_add(t, " No intervals: ");
    fit__text_escape(t, r->bootstrap_note);
    fit__text_add(t, ".");
  }
  if (r->holdout)
    fit__text_add(
        t,
        " Extrapolation: fitted to the %zu rows up to %.4g FLOPs, it misses the %zu above by %.3g %% on average, "
        "%.3g %% at worst.",
        r->holdout->fitted, r->holdout->flops, r->holdout->held_out, 100 * r->holdout->mean, 100 * r->holdout->worst);
  fit__text_add(t, "</p></section>\n");
}

static void add_rows_section(struct fit_text *t, const struct fit_runs *runs) {
  fit__text_add(t, "<section><h2>Rows used</h2><table><tbody>\n<tr><td>in the table</td><td>%zu</td></tr>\n",
                runs->rows);
  for (int d = 0; d < FIT_DROP_COUNT; d++)
    if (runs->dropped[d])
      fit__text_add(t, "<tr><td>left out: %s</td><td>%zu</td></tr>\n", fit_drop_text((enum fit_drop)d),
                    runs->dropped[d]);
  fit__text_add(t, "<tr class=\"best\"><td>fitted</td><td>%zu</td></tr>\n</tbody></table>\n", runs->count);
  if (runs->flops_not_positive)
    fit__text_add(t, "<p class=\"note\">%zu rows have flops that are no number above 0; taken as not given.</p>\n",
                  runs->flops_not_positive);
  fit__text_add(t, "</section>\n");
}

static void add_tradeoff_section(struct fit_text *t, const struct fit_report *r) {
  const struct fit_family *f = fit__report_family(r);
  struct fit_optimum best;
  struct fit_tradeoff row[FIT_TRADEOFF_ROWS];
  if (fit_optimum_at(r->solution->params, f, fit__report_compute(r), &best, NULL))
    return; // the plots above have said why there is no optimum
  fit_tradeoff_table(r->solution->params, f, &best, row);
  fit__text_add(
      t, "<section><h2>Smaller or larger at equal compute</h2><div class=\"wide\"><table><thead><tr><th>N</th><th>of "
         "N<sub>opt</sub></th><th>T</th><th>loss</th><th>extra loss</th><th>inference cost</th><th>training for the "
         "same loss</th></tr></thead><tbody>\n");
  for (int i = 0; i < FIT_TRADEOFF_ROWS; i++) {
    char params[24], tokens[24];
    svg_count(row[i].params, params);
    svg_count(row[i].tokens, tokens);
    fit__text_add(t, "<tr%s><td>%s</td><td>%.3f</td><td>%s</td><td>%.5g</td><td>%+.2f %%</td><td>%.3f &times;</td>",
                  i == FIT_TRADEOFF_ROWS / 2 ? " class=\"best\"" : "", params, row[i].params / best.params, tokens,
                  row[i].loss, 100 * row[i].extra_loss / best.loss, row[i].inference);
    if (isfinite(row[i].compute_at_equal_loss))
      fit__text_add(t, "<td>%.3f &times;</td></tr>\n", row[i].compute_at_equal_loss);
    else
      fit__text_add(t, "<td>never</td></tr>\n");
  }
  fit__text_add(t, "</tbody></table></div><p class=\"note\">At C = %.4g FLOPs. ", best.compute);
  if (f->n_ctx > 0)
    fit__text_add(
        t,
        "FLOPs per token: 3/4&middot;N&middot;(7 + n_ctx/d) with n_ctx = %g and N = 16&middot;L&middot;d&sup2;; at "
        "N<sub>opt</sub> the width d is %.0f and the depth L %.1f.",
        f->n_ctx, fit_family_width(f, best.params), fit_family_depth(f, best.params));
  else
    fit__text_add(t, "FLOPs per token: %g&middot;N.",
                  f->flops_per_param > 0 ? f->flops_per_param : FIT_DEFAULT_FLOPS_PER_PARAM);
  fit__text_add(t,
                " Inference cost: FLOPs of one forward pass per token, relative to N<sub>opt</sub>.</p></section>\n");
}

static void add_sections(struct fit_text *t, const struct fit_section *section, int count) {
  for (int i = 0; i < count; i++) {
    fit__text_add(t, "<section><h2>");
    fit__text_escape(t, section[i].title);
    fit__text_add(t, "</h2>\n%s\n</section>\n", section[i].html);
  }
}

static enum fit_status add_plots(struct fit_text *t, const struct fit_report *r, struct fit_error *err) {
  static const char *const caption[] = {
#define X(code, name, words) words,
      FIT_PLOT_MAP(X)
#undef X
  };
  for (int plot = 0; plot < FIT_PLOT_COUNT; plot++) {
    struct fit_error bad;
    fit__text_add(t, "<section id=\"plot-%s\"><h2>%s</h2>\n", fit_plot_name((enum fit_plot)plot), caption[plot]);
    enum fit_status status = fit__plot(t, (enum fit_plot)plot, r, false, &bad);
    if (status == FIT_ERR_FAILED) return fit_fail(err, status, "%s", bad.what);
    if (status) { // the law has no optimum to draw: said in its place
      fit__text_add(t, "<p class=\"warn\">Not drawn: ");
      fit__text_escape(t, bad.what);
      fit__text_add(t, ".</p>\n");
    }
    fit__text_add(t, "</section>\n");
  }
  return FIT_OK;
}

enum fit_status fit_report_write(const char *path, const struct fit_report *r, struct fit_error *err) {
  const char *title = r->title ? r->title : "Scaling law";
  struct fit_text t = {0};
  enum fit_status status;
  fit__text_add(
      &t, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
          "content=\"width=device-width,initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\"><title>");
  fit__text_escape(&t, title);
  fit__text_add(&t, "</title>\n<style>%s%s</style></head><body><main>\n<h1>", page_style, svg_style);
  fit__text_escape(&t, title);
  fit__text_add(&t, "</h1>\n<p class=\"sub\">Joint law fitted to %zu rows of ", r->solution->rows);
  fit__text_escape(&t, r->source ? r->source : "a runs table");
  fit__text_add(&t, "</p>\n");
  add_tiles(&t, r);
  add_sections(&t, r->before, r->before_count);
  add_law_section(&t, r);
  if ((status = add_plots(&t, r, err))) goto fail;
  add_tradeoff_section(&t, r);
  add_rows_section(&t, r->runs);
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
