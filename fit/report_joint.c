// What a report says about the joint law.
#include <math.h>

#include "report_parts.h"

static void add_formula(struct fit_text *t, const double *p, const char *note) {
  fit__text_add(t,
                "<p class=\"law\"><i>L</i>(<i>N</i>,<i>T</i>) = %.6g + %.6g&thinsp;<i>N</i><sup>&minus;%.6g</sup> + "
                "%.6g&thinsp;<i>T</i><sup>&minus;%.6g</sup> <small>%s</small></p>\n",
                p[FIT_E], p[FIT_A], p[FIT_ALPHA], p[FIT_B], p[FIT_BETA], note);
}

static void add_params(struct fit_text *t, const struct fit_report *r, const double *billions) {
  const struct fit_solution *s = r->solution;
  const struct fit_bootstrap *b = r->bootstrap;
  fit__text_add(t, "<div class=\"wide\"><table><thead><tr><th>parameter</th><th>value (SI)</th>");
  if (b) fit__text_add(t, "<th>%.0f %% interval</th><th>sd</th>", 100 * b->level);
  fit__text_add(t, "<th>N, T in billions</th></tr></thead><tbody>\n");
  for (int j = 0; j < s->law->params; j++) {
    fit__text_add(t, "<tr><td>%s</td><td>%.7g</td>", s->law->param[j], s->params[j]);
    if (b) fit__text_add(t, "<td>%.6g to %.6g</td><td>%.5g</td>", b->param[j].low, b->param[j].high, b->param[j].sd);
    fit__text_add(t, "<td>%.7g</td></tr>\n", billions[j]);
  }
  fit__text_add(t, "<tr><td>beta/(alpha+beta)</td><td>%.7g</td>",
                s->params[FIT_BETA] / (s->params[FIT_ALPHA] + s->params[FIT_BETA]));
  if (b)
    fit__text_add(t, "<td>%.6g to %.6g</td><td>%.5g</td>", b->size_exponent.low, b->size_exponent.high,
                  b->size_exponent.sd);
  fit__text_add(t, "<td></td></tr>\n</tbody></table></div>\n");
}

static void add_method(struct fit_text *t, const struct fit_report *r) {
  const struct fit_solution *s = r->solution;
  const struct fit_bootstrap *b = r->bootstrap;
  const struct fit_holdout *h = r->holdout;
  fit__text_add(t, "<p class=\"note\">");
  if (isfinite(s->delta))
    fit__text_add(t, "Huber loss (delta %.4g; %.3g %% of the residuals are within it) ", s->delta,
                  100 * s->quadratic_share);
  else
    fit__text_add(t, "Squared loss ");
  fit__text_add(t, "of log residuals, summed over %zu rows: %.11g; %d of %d starts agree.", s->rows, s->objective,
                s->agreeing, s->starts);
  if (b)
    fit__text_add(t, " Intervals: percentiles of %d resamples of %d %s%s.", b->replicates - b->failed, b->clusters,
                  r->runs->has_run ? "runs" : "rows",
                  r->runs->has_run ? "" : " (the table names no runs, so each row counts as independent)");
  fit__text_add(t, "</p>\n");
  if (!h) return;
  fit__text_add(t,
                "<p>Extrapolation: fitted to the %zu rows of runs that end by %.4g FLOPs, the law misses the %zu rows "
                "above, of %d runs, by %.4g %% on average and %.4g %% at worst (%+.4g %% with its sign).",
                h->fitted, h->flops, h->held_out, h->runs, 100 * h->mean, 100 * h->worst, 100 * h->bias);
  if (h->set_aside) fit__text_add(t, " Their %zu rows below are neither fitted nor counted.", h->set_aside);
  fit__text_add(t, "</p>\n");
}

static void add_correlations(struct fit_text *t, const struct fit_report *r) {
  static const char *const name[FIT_JOINT_PARAMS] = {"E", "A&prime;", "alpha", "B&prime;", "beta"};
  const struct fit_diagnosis *d = r->diagnosis;
  int n = r->solution->law->params;
  fit__text_add(t, "<h3>Correlations</h3>\n<div class=\"wide\"><table><thead><tr><th></th>");
  for (int j = 0; j < n; j++) fit__text_add(t, "<th>%s</th>", name[j]);
  fit__text_add(t, "</tr></thead><tbody>\n");
  for (int j = 0; j < n; j++) {
    fit__text_add(t, "<tr><td>%s</td>", name[j]);
    for (int k = 0; k < n; k++) {
      double value = round(1e4 * d->correlation[j * n + k]) / 1e4 + 0.0; // no -0
      bool pair = (j == d->pair[0] && k == d->pair[1]) || (k == d->pair[0] && j == d->pair[1]);
      if (k > j)
        fit__text_add(t, "<td></td>");
      else if (isfinite(value))
        fit__text_add(t, pair ? "<td><b>%.4f</b></td>" : "<td>%.4f</td>", value);
      else
        fit__text_add(t, "<td>&ndash;</td>");
    }
    fit__text_add(t, "</tr>\n");
  }
  fit__text_add(t,
                "</tbody></table></div>\n<p class=\"note\">Of the estimates of ln E, ln A&prime;, alpha, ln B&prime; "
                "and beta, where A&prime; and B&prime; are the terms at the mean ln N and ln T.");
  if (isfinite(d->condition)) fit__text_add(t, " Condition number there: %.4g", d->condition);
  if (isfinite(d->condition) && isfinite(d->condition_si))
    fit__text_add(t, "; in E, A, alpha, B, beta as they stand: %.3g", d->condition_si);
  if (d->points)
    fit__text_add(t, ". E from %.5g to %.5g costs no more than 2 %% of the objective", d->e_low, d->e_high);
  fit__text_add(t, ".</p>\n");
}

void fit__part_law(struct fit_text *t, const struct fit_report *r) {
  double billions[FIT_JOINT_PARAMS];
  fit_joint_billions(r->solution->params, billions);
  add_formula(t, r->solution->params, "N parameters, T tokens");
  add_formula(t, billions, "N and T in billions");
  add_params(t, r, billions);
  add_method(t, r);
  if (r->diagnosis) add_correlations(t, r);
}

void fit__part_rows(struct fit_text *t, const struct fit_report *r) {
  const struct fit_runs *runs = r->runs;
  fit__text_add(t, "<table class=\"text\"><tbody>\n<tr><td>in the table</td><td>%zu</td></tr>\n", runs->rows);
  for (int d = 0; d < FIT_DROP_COUNT; d++)
    if (runs->dropped[d])
      fit__text_add(t, "<tr><td>left out: %s</td><td>%zu</td></tr>\n", fit_drop_text((enum fit_drop)d),
                    runs->dropped[d]);
  fit__text_add(t, "<tr class=\"best\"><td>%s</td><td>%zu</td></tr>\n",
                r->solution ? "fitted by the joint law" : "used", runs->count);
  if (r->hyper && r->hyper_runs && (r->solution || r->hyper->without)) {
    fit__text_add(t, "<tr><td>looked at for batch and learning rate</td><td>%zu</td></tr>\n",
                  r->hyper_runs->count - r->hyper->without);
    if (r->hyper->without)
      fit__text_add(t, "<tr><td>left out there: no batch or learning rate</td><td>%zu</td></tr>\n", r->hyper->without);
  }
  fit__text_add(t, "</tbody></table>\n");
  if (runs->flops_not_positive)
    fit__text_add(t, "<p class=\"note\">%zu rows have flops that are no number above 0; taken as not given.</p>\n",
                  runs->flops_not_positive);
}
