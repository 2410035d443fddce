// What a report says about compute-optimal sizes.
#include <math.h>

#include "fit/sizes.h"
#include "plots.h"
#include "report_parts.h"

#define MAX_COMPUTES 16

void fit__flops(struct fit_text *t, double flops) {
  double exponent = log10(flops);
  if (fabs(exponent - round(exponent)) < 1e-9)
    fit__text_add(t, "10<sup>%.0f</sup>", round(exponent));
  else
    fit__text_add(t, "%.4g", flops);
}

void fit__range(struct fit_text *t, const struct fit_interval *i, double scale, const char *unit) {
  if (isfinite(i->low) && isfinite(i->high)) fit__text_add(t, "%.4g to %.4g%s", scale * i->low, scale * i->high, unit);
}

void fit__size_cell(struct fit_text *t, double params, const struct fit_interval *i) {
  if (isnan(params)) {
    fit__text_add(t, "<td>&ndash;</td>");
    return;
  }
  fit__text_add(t, "<td>%.5g", params);
  if (isfinite(i->low)) {
    fit__text_add(t, "<br><small>");
    fit__range(t, i, 1, "");
    fit__text_add(t, "</small>");
  }
  fit__text_add(t, "</td>");
}

static void add_size_law(struct fit_text *t, const char *what, const struct fit_size_law *law, double level) {
  fit__text_add(t, "<p>%s: N<sub>opt</sub> = %.5g&thinsp;C<sup>%.5f</sup>", what, law->k, law->a);
  if (isfinite(law->a_interval.low))
    fit__text_add(t, "; %.0f %% interval of the exponent %.5f to %.5f", 100 * level, law->a_interval.low,
                  law->a_interval.high);
  fit__text_add(t, ".</p>\n");
}

void fit__part_budgets(struct fit_text *t, const struct fit_report *r) {
  const struct fit_isoflop *iso = r->isoflop;
  if (!iso) {
    fit__text_add(t, "<p class=\"note\">By the law: each curve is one budget, its lowest point the best size.</p>\n");
    return;
  }
  if (iso->has_law) add_size_law(t, "Through the minima", &iso->law, iso->level);
  fit__text_add(t,
                "<div class=\"wide\"><table><thead><tr><th>FLOPs</th><th>points</th><th>sizes</th><th>N<sub>opt</sub>"
                "</th><th>%.0f %% interval</th><th>T<sub>opt</sub></th><th>loss</th></tr></thead><tbody>\n",
                100 * iso->level);
  for (int k = 0; k < iso->budgets; k++) {
    const struct fit_budget *b = &iso->budget[k];
    fit__text_add(t, "<tr><td>%.4g</td><td>%d</td><td>%d</td>", b->compute, b->points, b->sizes);
    if (b->status) {
      fit__text_add(t, "<td colspan=\"4\" class=\"why\">refused: %s</td></tr>\n", fit_budget_text(b->status));
      continue;
    }
    fit__text_add(t, "<td>%.5g</td><td>", b->params);
    fit__range(t, &b->params_interval, 1, "");
    fit__text_add(t, "</td><td>%.5g</td><td>%.6g</td></tr>\n", b->tokens, b->loss);
  }
  fit__text_add(t,
                "</tbody></table></div>\n<p class=\"note\">Points: %s. A budget is accepted when its parabola in ln N "
                "has its minimum between the smallest and the largest of at least %d sizes.</p>\n",
                iso->source == FIT_BUDGETS_BY_CURVES ? "where the training curves pass the budget"
                                                     : "rows at about the same compute",
                FIT_ISOFLOP_SIZES);
}

void fit__part_sizes(struct fit_text *t, const struct fit_report *r) {
  const struct fit_family *f = fit__report_family(r);
  struct fit_sample sample = {0};
  struct fit_size_sources s = {.family = f, .isoflop = r->isoflop, .envelope = r->envelope};
  double low, high;
  if (r->solution) s.joint = r->solution->params;
  if (r->solution && r->bootstrap) {
    sample = fit_bootstrap_sample(r->bootstrap);
    s.sample = &sample;
  }
  fit_report_range(r, &low, &high);
  if (r->envelope) add_size_law(t, "Envelope of the training curves", &r->envelope->law, r->envelope->level);
  fit__text_add(t, "<div class=\"wide\"><table class=\"sizes\"><thead><tr><th>FLOPs</th>");
  if (s.joint) fit__text_add(t, "<th>joint law</th><th>closed form</th>");
  bool isoflop = r->isoflop && r->isoflop->has_law;
  if (isoflop) fit__text_add(t, "<th>IsoFLOP</th>");
  if (r->envelope) fit__text_add(t, "<th>envelope</th>");
  if (s.joint) fit__text_add(t, "<th>T<sub>opt</sub></th><th>loss there</th>");
  fit__text_add(t, "</tr></thead><tbody>\n");
  double step = fmax(1, ceil(log10(high / low) / MAX_COMPUTES));
  for (double e = log10(low); e <= log10(high) + 1e-9; e += step) {
    static const struct fit_interval none = {NAN, NAN, NAN};
    struct fit_size_row row;
    fit_size_row(&s, pow(10, e), &row);
    fit__text_add(t, "<tr><td>");
    fit__flops(t, row.compute);
    fit__text_add(t, "</td>");
    if (s.joint) {
      fit__size_cell(t, row.joint, &row.joint_interval);
      fit__size_cell(t, row.closed, &none);
    }
    if (isoflop) fit__size_cell(t, row.isoflop, &row.isoflop_interval);
    if (r->envelope) fit__size_cell(t, row.envelope, &row.envelope_interval);
    if (s.joint) {
      fit__size_cell(t, row.tokens, &row.tokens_interval);
      fit__size_cell(t, row.loss, &row.loss_interval);
    }
    fit__text_add(t, "</tr>\n");
  }
  fit__text_add(t,
                "</tbody></table></div>\n<p class=\"note\">N<sub>opt</sub> in parameters, with its interval beneath. ");
  if (s.joint)
    fit__text_add(t, "The closed form takes %g FLOPs per parameter and token. ",
                  f->flops_per_param > 0 ? f->flops_per_param : FIT_DEFAULT_FLOPS_PER_PARAM);
  fit__text_add(t, "Beyond the rows of the table all of them extrapolate.</p>\n");
}

void fit__part_tradeoff(struct fit_text *t, const struct fit_report *r) {
  const struct fit_family *f = fit__report_family(r);
  struct fit_optimum best;
  struct fit_tradeoff row[FIT_TRADEOFF_ROWS];
  if (fit_optimum_at(r->solution->params, f, fit__report_compute(r), &best, NULL))
    return; // the plot above has said why there is no optimum
  fit_tradeoff_table(r->solution->params, f, &best, row);
  fit__text_add(t,
                "<p>Every model of the plot reaches the loss that C = %.4g FLOPs buy at N<sub>opt</sub>: one that is "
                "smaller trains longer and is cheaper to sample from. A sample counts as its tokens times the "
                "sampler's steps, twice with guidance.</p>\n<h3>Smaller or larger at equal compute</h3>\n",
                best.compute);
  fit__text_add(t,
                "<div class=\"wide\"><table><thead><tr><th>N</th><th>of N<sub>opt</sub></th><th>T</th><th>loss</th>"
                "<th>extra loss</th><th>inference cost</th><th>training for the same loss</th></tr></thead><tbody>\n");
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
  fit__text_add(t, "</tbody></table></div>\n<p class=\"note\">At C = %.4g FLOPs. ", best.compute);
  if (f->n_ctx > 0)
    fit__text_add(
        t,
        "FLOPs per token: 3/4&middot;N&middot;(7 + n_ctx/d) with n_ctx = %g and N = 16&middot;L&middot;d&sup2;; "
        "at N<sub>opt</sub> the width d is %.0f and the depth L %.1f.",
        f->n_ctx, fit_family_width(f, best.params), fit_family_depth(f, best.params));
  else
    fit__text_add(t, "FLOPs per token: %g&middot;N.",
                  f->flops_per_param > 0 ? f->flops_per_param : FIT_DEFAULT_FLOPS_PER_PARAM);
  fit__text_add(t, " Inference cost: FLOPs of one forward pass per token, relative to N<sub>opt</sub>.</p>\n");
}
