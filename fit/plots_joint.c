// Plots of the joint law against its rows.
#include <math.h>

#include "plots.h"

static double radius_of(const struct fit_runs *runs) { return runs->count > 300 ? 3 : 4; }

enum fit_status fit__plot_loss(struct svg_plot *p, const struct fit_report *r, struct fit_error *err) {
  struct fit_groups g;
  if (!fit__group_sizes(r->runs, &g)) return fit__no_plot_memory(err);
  double t_low = INFINITY, t_high = 0, l_low = INFINITY, l_high = 0;
  for (size_t i = 0; i < r->runs->count; i++) {
    const struct fit_run *run = &r->runs->row[i];
    t_low = fmin(t_low, run->tokens);
    t_high = fmax(t_high, run->tokens);
    l_low = fmin(l_low, run->loss);
    l_high = fmax(l_high, run->loss);
  }
  p->x = (struct svg_axis){.log = true, .unit = SVG_COUNT, .label = "trained tokens T"};
  p->y = (struct svg_axis){.log = true, .label = "loss L"};
  svg_axis_fit(&p->x, t_low, t_high);
  svg_axis_fit(&p->y, l_low, l_high);
  p->legend.title = "parameters N";
  fit__group_legend(&p->legend, &g, SVG_LINE | SVG_POINT);
  svg_begin(p);
  for (size_t i = 0; i < r->runs->count; i += fit__stride(r->runs)) {
    const struct fit_run *run = &r->runs->row[i];
    svg_point(p, run->tokens, run->loss, fit__ramp(fit__group_of(&g, run->params), g.count), radius_of(r->runs),
              r->runs->count > 60);
  }
  for (int k = 0; k < g.count; k++) {
    double x[FIT_PLOT_POINTS], y[FIT_PLOT_POINTS];
    for (int i = 0; i < FIT_PLOT_POINTS; i++) {
      x[i] = p->x.low * pow(p->x.high / p->x.low, i / (FIT_PLOT_POINTS - 1.0));
      y[i] = fit_joint_loss(r->solution->params, fit__group_middle(&g, k), x[i]);
    }
    svg_line(p, FIT_PLOT_POINTS, x, y, fit__ramp(k, g.count), SVG_LINE);
  }
  svg_end(p);
  return FIT_OK;
}

enum fit_status fit__plot_residuals(struct svg_plot *p, const struct fit_report *r, struct fit_error *err) {
  struct fit_groups g;
  const struct fit_solution *s = r->solution;
  if (!fit__group_sizes(r->runs, &g)) return fit__no_plot_memory(err);
  double low = INFINITY, high = 0, most = 0, delta = 100 * expm1(s->delta);
  for (size_t i = 0; i < r->runs->count; i++) {
    const struct fit_run *run = &r->runs->row[i];
    double fitted = fit_joint_loss(s->params, run->params, run->tokens);
    low = fmin(low, fitted);
    high = fmax(high, fitted);
    most = fmax(most, 100 * fabs(run->loss / fitted - 1));
  }
  p->x = (struct svg_axis){.log = true, .label = "fitted loss"};
  p->y = (struct svg_axis){.label = "measured over fitted loss, %"};
  svg_axis_fit(&p->x, low, high);
  svg_axis_fit(&p->y, -fmax(most, 1e-6), fmax(most, 1e-6));
  p->legend.title = "parameters N";
  fit__group_legend(&p->legend, &g, SVG_POINT);
  bool zone = delta < p->y.high;
  if (zone) svg_legend_add(&p->legend, SVG_INK, SVG_BAND, "quadratic zone of the objective");
  svg_begin(p);
  double x[2] = {p->x.low, p->x.high}, zero[2] = {0, 0}, under[2] = {-delta, -delta}, over[2] = {delta, delta};
  if (zone) svg_band(p, 2, x, under, over, SVG_INK);
  svg_line(p, 2, x, zero, SVG_INK, SVG_DASHED);
  for (size_t i = 0; i < r->runs->count; i += fit__stride(r->runs)) {
    const struct fit_run *run = &r->runs->row[i];
    double fitted = fit_joint_loss(s->params, run->params, run->tokens);
    svg_point(p, fitted, 100 * (run->loss / fitted - 1), fit__ramp(fit__group_of(&g, run->params), g.count),
              radius_of(r->runs), false);
  }
  svg_end(p);
  return FIT_OK;
}

enum fit_status fit__plot_profile(struct svg_plot *p, const struct fit_report *r, struct fit_error *err) {
  const struct fit_diagnosis *d = r->diagnosis;
  double y[FIT_PROFILE_POINTS], most = 0, best = r->solution->params[FIT_E];
  (void)err;
  for (int i = 0; i < d->points; i++) {
    y[i] = 100 * (d->objective[i] / r->solution->objective - 1);
    if (!(y[i] < 100)) y[i] = 100; // of an exact table: everything but its own E is infinitely worse
    most = fmax(most, y[i]);
  }
  p->x = (struct svg_axis){.label = "E, everything else refitted"};
  p->y = (struct svg_axis){.label = "objective over its minimum, %"};
  svg_axis_fit(&p->x, fmin(d->e[0], best), fmax(d->e[d->points - 1], best));
  svg_axis_fit(&p->y, 0, fmax(most, 2.5));
  svg_legend_add(&p->legend, SVG_BLUE, SVG_LINE, "objective");
  svg_legend_add(&p->legend, SVG_ORANGE, SVG_CROSS, "the fit");
  svg_legend_add(&p->legend, SVG_BLUE, SVG_BAND, "within 2 %% of the minimum");
  svg_begin(p);
  double e[2] = {d->e_low, d->e_high}, floor[2] = {p->y.low, p->y.low}, two[2] = {2, 2};
  double across[2] = {p->x.low, p->x.high};
  svg_band(p, 2, e, floor, two, SVG_BLUE);
  svg_line(p, 2, across, two, SVG_INK, SVG_DOTTED);
  svg_line(p, d->points, d->e, y, SVG_BLUE, SVG_LINE);
  svg_mark(p, best, 0, SVG_ORANGE, SVG_CROSS, 6);
  svg_end(p);
  return FIT_OK;
}
