// What a report says about batch and learning rate.
#include <math.h>

#include "plots.h"
#include "report_parts.h"

#define MAX_CELLS 500 // in the table

static const char *const target_name[FIT_HYPER_TARGETS] = {"B<sub>opt</sub>", "lr<sub>opt</sub>"};

static void add_formula(struct fit_text *t, int target, const struct fit_hyper *h) {
  const struct fit_hyper_law *law = &h->law[target];
  if (h->one_batch && target == FIT_HYPER_BATCH && !law->refusal)
    fit__text_add(t, "<p>All runs have a batch of %.6g tokens; which one is best, they do not say.</p>\n",
                  law->param[FIT_HYPER_K]);
  else if (law->refusal)
    fit__text_add(t, "<p>%s: no law; %s.</p>\n", target_name[target], fit_hyper_refusal_text(law->refusal));
  else
    fit__text_add(t,
                  "<p class=\"law\">%s = %.6g&thinsp;<i>T</i><sup>%.6g</sup>&thinsp;<i>N</i><sup>%.6g</sup> "
                  "<small>%s</small></p>\n",
                  target_name[target], law->param[FIT_HYPER_K], law->param[FIT_HYPER_TOKENS],
                  law->param[FIT_HYPER_PARAMS], target == FIT_HYPER_BATCH ? "tokens" : "");
}

static void add_params(struct fit_text *t, const struct fit_report *r) {
  static const char *const name[FIT_HYPER_COUNT] = {"ln k", "exponent of T", "exponent of N"};
  const struct fit_hyper_bootstrap *b = r->hyper_bootstrap;
  fit__text_add(t, "<div class=\"wide\"><table><thead><tr><th></th><th>value</th><th>standard error</th>");
  if (b) fit__text_add(t, "<th>%.0f %% interval</th>", 100 * b->level);
  fit__text_add(t, "<th>simple method</th></tr></thead><tbody>\n");
  for (int k = r->hyper->one_batch ? FIT_HYPER_LR : FIT_HYPER_BATCH; k < FIT_HYPER_TARGETS; k++) {
    const struct fit_hyper_law *law = &r->hyper->law[k], *near = &r->hyper->near[k];
    for (int j = 0; !law->refusal && j < FIT_HYPER_COUNT; j++) {
      fit__text_add(t, "<tr><td>%s, %s</td><td>%.6f</td><td>%.6f</td>", target_name[k], name[j],
                    j ? law->param[j] : log(law->param[j]), law->sd[j]);
      if (b)
        fit__text_add(t, "<td>%.5f to %.5f</td>", j ? b->param[k][j].low : log(b->param[k][j].low),
                      j ? b->param[k][j].high : log(b->param[k][j].high));
      if (near->refusal)
        fit__text_add(t, "<td>&ndash;</td></tr>\n");
      else
        fit__text_add(t, "<td>%.6f</td></tr>\n", j ? near->param[j] : log(near->param[j]));
    }
  }
  fit__text_add(t, "</tbody></table></div>\n");
}

static void add_windows(struct fit_text *t, const struct fit_hyper *h) {
  fit__text_add(t, "<h3>What the window does</h3>\n<div class=\"wide\"><table><thead><tr><th>window</th><th>cells</th>"
                   "<th>B: T<sup>&hellip;</sup></th><th>N<sup>&hellip;</sup></th><th>lr: T<sup>&hellip;</sup></th>"
                   "<th>N<sup>&hellip;</sup></th><th>regret, mean</th><th>worst</th></tr></thead><tbody>\n");
  for (int w = 0; w < FIT_HYPER_WINDOWS; w++) {
    const struct fit_hyper_window *at = &h->at[w];
    const struct fit_hyper_law *b = &at->law[FIT_HYPER_BATCH], *l = &at->law[FIT_HYPER_LR];
    fit__text_add(t, "<tr%s><td>%.3g %%</td><td>%d</td>", at->window == h->window ? " class=\"best\"" : "",
                  100 * at->window, at->accepted);
    if (b->refusal || l->refusal)
      fit__text_add(t, "<td colspan=\"6\" class=\"why\">no law: %s</td></tr>\n",
                    fit_hyper_refusal_text(b->refusal ? b->refusal : l->refusal));
    else
      fit__text_add(t, "<td>%.5f</td><td>%.5f</td><td>%.5f</td><td>%.5f</td><td>%.3f %%</td><td>%.3f %%</td></tr>\n",
                    b->param[FIT_HYPER_TOKENS], b->param[FIT_HYPER_PARAMS], l->param[FIT_HYPER_TOKENS],
                    l->param[FIT_HYPER_PARAMS], 100 * at->mean_regret, 100 * at->worst_regret);
  }
  fit__text_add(t, "</tbody></table></div>\n<p class=\"note\">Runs up to this loss above their cell's best make its "
                   "bowl.</p>\n");
}

void fit__part_hyper(struct fit_text *t, const struct fit_report *r) {
  const struct fit_hyper *h = r->hyper;
  const struct fit_hyper_bootstrap *b = r->hyper_bootstrap;
  for (int k = 0; k < FIT_HYPER_TARGETS; k++) add_formula(t, k, h);
  add_params(t, r);
  fit__text_add(t, "<p class=\"note\">Robust fit to the vertices of %d accepted cells.", h->accepted);
  if (b)
    fit__text_add(t, " Intervals: %d resamples of %d groups of %s.", b->replicates - b->failed, b->groups,
                  b->rows_only ? "cells, by the runs within them: the scatter between cells is left out" : "cells");
  fit__text_add(t, " Simple method: least squares on the %d runs within %.2f %% of their cell's best.</p>\n",
                h->near[0].points, 100 * FIT_NEAR_BEST);
  if (isfinite(h->mean_regret)) {
    fit__text_add(t,
                  "<p>Regret, the loss of the run nearest to the law over its cell's best: mean %.3f %%, worst %.3f %%",
                  100 * h->mean_regret, 100 * h->worst_regret);
    if (isfinite(h->mean_regret_out))
      fit__text_add(t, "; each size by the law of the others: mean %.3f %%, worst %.3f %%", 100 * h->mean_regret_out,
                    100 * h->worst_regret_out);
    fit__text_add(t, ".</p>\n");
  }
  add_windows(t, h);
}

void fit__part_cells(struct fit_text *t, const struct fit_report *r) {
  const struct fit_hyper *h = r->hyper;
  fit__text_add(t, "<div class=\"wide tall\"><table><thead><tr><th>N</th><th>T</th><th>runs used</th><th>batch, tokens"
                   "</th><th>&plusmn;</th><th>learning rate</th><th>&plusmn;</th><th>loss</th><th>regret</th></tr>"
                   "</thead><tbody>\n");
  for (int i = 0; i < h->count && i < MAX_CELLS; i++) {
    const struct fit_hyper_cell *c = &h->cell[i];
    const struct fit_bowl *b = &c->bowl;
    fit__text_add(t, "<tr><td>%.5g</td><td>%.5g</td><td>%zu of %zu</td>", c->cell.params, c->cell.tokens, b->used,
                  b->rows);
    if (b->refusal) {
      fit__text_add(t, "<td colspan=\"6\" class=\"why\">refused: %s</td></tr>\n", fit_refusal_text(b->refusal));
      continue;
    }
    fit__text_add(t, "<td>%.6g</td><td>%.2g %%</td><td>%.5g</td><td>%.2g %%</td><td>%.6g</td>", b->batch,
                  100 * b->sd_batch, b->lr, 100 * b->sd_lr, b->loss);
    if (isnan(c->regret))
      fit__text_add(t, "<td>&ndash;</td></tr>\n");
    else
      fit__text_add(t, "<td>%.3f %%</td></tr>\n", 100 * c->regret);
  }
  fit__text_add(t,
                "</tbody></table></div>\n<p class=\"note\">A %s through the runs within "
                "%.3g %% of the cell's best; errors are 1 standard error. Accepted with a positive definite Hessian "
                "and a vertex among those runs.",
                h->one_batch ? "parabola in ln lr" : "quadratic in (ln B, ln lr)", 100 * h->window);
  if (h->count > FIT_MAX_BOWLS) fit__text_add(t, " The first %d of %d cells are drawn.", FIT_MAX_BOWLS, h->count);
  if (h->count > MAX_CELLS) fit__text_add(t, " The first %d of %d cells are listed.", MAX_CELLS, h->count);
  fit__text_add(t, "</p>\n");
}

static void add_share(struct fit_text *t, double share, const struct fit_interval *i) {
  if (isnan(share)) {
    fit__text_add(t, "<td>&ndash;</td>");
    return;
  }
  fit__text_add(t, "<td>%.4g %%", 100 * share);
  if (isfinite(i->low)) {
    fit__text_add(t, "<br><small>");
    fit__range(t, i, 100, " %");
    fit__text_add(t, "</small>");
  }
  fit__text_add(t, "</td>");
}

void fit__part_compare(struct fit_text *t, const struct fit_report *r) {
  static const struct fit_interval none = {NAN, NAN, NAN};
  const struct fit_compare *c = r->compare;
  const struct {
    const char *name;
    const double *p;
  } law[] = {{c->by_law ? "by the laws" : "best of each cell", c->optimal.params}, {"fixed", c->fixed.params}};
  fit__text_add(
      t,
      "<p>Both laws stand on the same %d cells: %s, and the run at batch %.6g, "
      "learning rate %.6g%s. The fixed runs lie above the others by %.3f %% on average, %.3f %% at "
      "worst.</p>\n",
      c->cells,
      c->by_law ? "a run at the batch and learning rate foretold there" : "their best batch and learning rate",
      c->batch, c->lr, c->chosen ? ", the pair that most cells have" : "", 100 * c->mean_excess, 100 * c->worst_excess);
  if (!c->identified)
    fit__text_add(t, "<p class=\"warn\"><b>Not identified.</b> These cells do not determine both laws: take the sizes "
                     "below as guesses.</p>\n");
  fit__text_add(t, "<div class=\"wide\"><table><thead><tr><th></th><th>E</th><th>A</th><th>alpha</th><th>B</th>"
                   "<th>beta</th></tr></thead><tbody>\n");
  for (int i = 0; i < 2; i++) {
    fit__text_add(t, "<tr><td>%s</td>", law[i].name);
    for (int j = 0; j < FIT_JOINT_PARAMS; j++) fit__text_add(t, "<td>%.6g</td>", law[i].p[j]);
    fit__text_add(t, "</tr>\n");
  }
  fit__text_add(t,
                "</tbody></table></div>\n<div class=\"wide\"><table class=\"sizes\"><thead><tr><th>FLOPs</th><th>N, "
                "%s</th><th>N, fixed</th><th>inference saved</th><th>at equal loss</th></tr></thead>"
                "<tbody>\n",
                law[0].name);
  for (int k = 0; k < c->budgets; k++) {
    const struct fit_compare_budget *b = &c->budget[k];
    fit__text_add(t, "<tr><td>%.4g</td>", b->compute);
    if (isnan(b->optimal.params)) {
      fit__text_add(t, "<td colspan=\"4\" class=\"why\">one of the laws has no optimum</td></tr>\n");
      continue;
    }
    fit__size_cell(t, b->optimal.params, c->has_intervals ? &b->optimal_params : &none);
    fit__size_cell(t, b->fixed.params, c->has_intervals ? &b->fixed_params : &none);
    add_share(t, b->saved, c->has_intervals ? &b->saved_interval : &none);
    add_share(t, b->saved_at_equal_loss, c->has_intervals ? &b->equal_interval : &none);
    fit__text_add(t, "</tr>\n");
  }
  fit__text_add(t, "</tbody></table></div>\n");
  if (c->has_intervals)
    fit__text_add(t, "<p class=\"note\">%.0f %% intervals from %d resamples of %d groups of cells.</p>\n",
                  100 * c->level, c->replicates, c->groups);
}
