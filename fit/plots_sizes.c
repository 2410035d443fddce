// Plots of the compute-optimal size.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fit/derived.h"
#include "plots.h"

#define MAX_BUDGET_POINTS 200 // drawn of a budget
#define MAX_BAND_LAWS 200     // bootstrap replicates behind the band of N_opt

// ---- loss against size at equal compute ----------------------------------------------------------------------------
static double parabola(const struct fit_isoflop *iso, const struct fit_budget *b, double params) {
  double x = log(params) - b->centre, y = b->coefficient[0] + b->coefficient[1] * x + b->coefficient[2] * x * x;
  return iso->linear_loss ? y : exp(y);
}

// The law's loss at equal compute, over low .. high parameters.
static void law_curve(struct svg_plot *p, const struct fit_report *r, double compute, double low, double high,
                      int colour) {
  double x[FIT_PLOT_POINTS], y[FIT_PLOT_POINTS];
  const struct fit_optimum at = {.compute = compute};
  for (int i = 0; i < FIT_PLOT_POINTS; i++) {
    struct fit_tradeoff row;
    fit_tradeoff_at(r->solution->params, fit__report_family(r), &at, low * pow(high / low, i / (FIT_PLOT_POINTS - 1.0)),
                    &row);
    x[i] = row.params;
    y[i] = row.loss;
  }
  svg_line(p, FIT_PLOT_POINTS, x, y, colour, SVG_LINE);
}

static enum fit_status isoflop_by_law(struct svg_plot *p, const struct fit_report *r, struct fit_error *err) {
  enum { LINES = 6 };
  const double *si = r->solution->params;
  const struct fit_family *f = fit__report_family(r);
  struct fit_optimum best[LINES];
  double low, high, x[LINES], y[LINES];
  fit_report_range(r, &low, &high);
  low = fmax(low, high / 1e5);
  for (int k = 0; k < LINES; k++) {
    enum fit_status status = fit_optimum_at(si, f, low * pow(high / low, k / (LINES - 1.0)), &best[k], err);
    if (status) return status;
    x[k] = best[k].params;
    y[k] = best[k].loss;
  }
  struct fit_tradeoff under, over;
  fit_tradeoff_at(si, f, &best[0], best[0].params / 10, &under);
  fit_tradeoff_at(si, f, &best[0], best[0].params * 10, &over);
  p->x = (struct svg_axis){.log = true, .unit = SVG_COUNT, .label = "parameters N"};
  p->y = (struct svg_axis){.log = true, .label = "loss L, by the law"};
  svg_axis_fit(&p->x, x[0] / 20, x[LINES - 1] * 20);
  svg_axis_fit(&p->y, y[LINES - 1], fmax(under.loss, over.loss));
  p->legend.title = "training FLOPs C";
  for (int k = 0; k < LINES; k++) {
    char text[48];
    svg_power(best[k].compute, text);
    svg_legend_add(&p->legend, fit__ramp(k, LINES), SVG_LINE, "%s", text);
  }
  svg_legend_add(&p->legend, SVG_INK, SVG_DASHED, "minima: N_opt(C)");
  svg_begin(p);
  for (int k = 0; k < LINES; k++) law_curve(p, r, best[k].compute, x[k] / 24, x[k] * 24, fit__ramp(k, LINES));
  svg_line(p, LINES, x, y, SVG_INK, SVG_DASHED);
  for (int k = 0; k < LINES; k++) svg_point(p, x[k], y[k], fit__ramp(k, LINES), 5, false);
  svg_end(p);
  return FIT_OK;
}

static void budget_span(const struct fit_isoflop *iso, const struct fit_budget *b, double *low, double *high) {
  *low = INFINITY;
  *high = 0;
  for (int i = 0; i < b->count; i++) {
    *low = fmin(*low, iso->point[b->first + i].params);
    *high = fmax(*high, iso->point[b->first + i].params);
  }
}

// The joint law along a budget's points: at the tokens that they have, ln T as a line in ln N, since a table's FLOPs
// need not be the family's.
static void law_along(struct svg_plot *p, const struct fit_report *r, const struct fit_budget *b, int colour) {
  double n = 0, t = 0, nn = 0, nt = 0, low, high, x[FIT_PLOT_POINTS], y[FIT_PLOT_POINTS];
  const struct fit_isoflop_point *q = r->isoflop->point + b->first;
  budget_span(r->isoflop, b, &low, &high);
  if (!(high > low)) return;
  for (int i = 0; i < b->count; i++) {
    n += log(q[i].params) / b->count;
    t += log(q[i].tokens) / b->count;
  }
  for (int i = 0; i < b->count; i++) {
    nn += pow(log(q[i].params) - n, 2);
    nt += (log(q[i].params) - n) * (log(q[i].tokens) - t);
  }
  for (int i = 0; i < FIT_PLOT_POINTS; i++) {
    x[i] = low * pow(high / low, i / (FIT_PLOT_POINTS - 1.0));
    y[i] = fit_joint_loss(r->solution->params, x[i], exp(t + nt / nn * (log(x[i]) - n)));
  }
  svg_line(p, FIT_PLOT_POINTS, x, y, colour, SVG_DOTTED);
}

static void draw_budget(struct svg_plot *p, const struct fit_report *r, int k) {
  const struct fit_isoflop *iso = r->isoflop;
  const struct fit_budget *b = &iso->budget[k];
  double low, high, x[FIT_PLOT_POINTS], y[FIT_PLOT_POINTS];
  int colour = fit__ramp(k, iso->budgets);
  budget_span(iso, b, &low, &high);
  for (int i = 0; i < b->count; i += 1 + b->count / MAX_BUDGET_POINTS) {
    const struct fit_isoflop_point *q = &iso->point[b->first + i];
    svg_mark(p, q->params, q->loss, colour, b->status ? SVG_HOLLOW : SVG_POINT, 3.5);
  }
  if (r->solution) law_along(p, r, b, colour);
  if (b->sizes < 3 || !isfinite(b->curvature)) return;
  for (int i = 0; i < FIT_PLOT_POINTS; i++) {
    x[i] = low * pow(high / low, i / (FIT_PLOT_POINTS - 1.0));
    y[i] = parabola(iso, b, x[i]);
  }
  svg_line(p, FIT_PLOT_POINTS, x, y, colour, b->status ? SVG_DASHED : SVG_LINE);
  if (!b->status) svg_mark(p, b->params, b->loss, SVG_INK, SVG_CROSS, 5);
}

static void isoflop_legend(struct svg_legend *l, const struct fit_report *r) {
  const struct fit_isoflop *iso = r->isoflop;
  int step = 1 + (iso->budgets - 1) / 12; // NOLINT(clang-analyzer-core.NullDereference): where there is a plot of it
  bool refused = false; // with a parabola to show
  for (int k = 0; k < iso->budgets; k++)
    refused = refused || (iso->budget[k].status && iso->budget[k].sizes > 2 && isfinite(iso->budget[k].curvature));
  l->title = "training FLOPs C";
  for (int k = 0; k < iso->budgets; k += step) {
    char text[48];
    svg_power(iso->budget[k].compute, text);
    svg_legend_add(l, fit__ramp(k, iso->budgets), iso->budget[k].status ? SVG_HOLLOW : SVG_POINT, "%s%s", text,
                   iso->budget[k].status ? ", refused" : "");
  }
  if (iso->accepted) svg_legend_add(l, SVG_INK, SVG_LINE, "parabola");
  if (refused) svg_legend_add(l, SVG_INK, SVG_DASHED, "refused");
  if (iso->accepted) svg_legend_add(l, SVG_INK, SVG_CROSS, "its minimum");
  if (r->solution) svg_legend_add(l, SVG_INK, SVG_DOTTED, "joint law");
}

enum fit_status fit__plot_isoflop(struct svg_plot *p, const struct fit_report *r, struct fit_error *err) {
  const struct fit_isoflop *iso = r->isoflop;
  double n_low = INFINITY, n_high = 0, l_low = INFINITY, l_high = 0;
  if (iso)
    for (int k = 0; k < iso->budgets; k++) {
      const struct fit_budget *b = &iso->budget[k];
      for (int i = b->first; i < b->first + b->count; i++) {
        n_low = fmin(n_low, iso->point[i].params);
        n_high = fmax(n_high, iso->point[i].params);
        l_low = fmin(l_low, iso->point[i].loss);
        l_high = fmax(l_high, iso->point[i].loss);
      }
      if (!b->status) l_low = fmin(l_low, b->loss);
    }
  if (!(n_low <= n_high)) {
    if (r->solution) return isoflop_by_law(p, r, err);
    return fit_fail(err, FIT_ERR_INPUT, "no budget has a row");
  }
  p->x = (struct svg_axis){.log = true, .unit = SVG_COUNT, .label = "parameters N"};
  p->y = (struct svg_axis){.log = true, .label = "loss L"};
  svg_axis_fit(&p->x, n_low, n_high);
  svg_axis_fit(&p->y, l_low, l_high);
  isoflop_legend(&p->legend, r);
  svg_begin(p);
  for (int k = 0; k < iso->budgets; k++) draw_budget(p, r, k);
  svg_end(p);
  return FIT_OK;
}

// ---- N_opt(C) ------------------------------------------------------------------------------------------------------
enum { COMPUTES = 25 };

// A line of N_opt over COMPUTES computes, with its band.
struct way {
  bool has, has_band;
  double params[COMPUTES], low[COMPUTES], high[COMPUTES];
};

static void put(struct way *w, int i, double params, const struct fit_interval *interval) {
  w->params[i] = params;
  w->low[i] = interval->low;
  w->high[i] = interval->high;
  if (!(interval->low <= interval->high)) w->has_band = false;
}

// False: no memory.
static bool joint_way(const struct fit_report *r, const double *compute, struct way *w, struct way *closed) {
  const struct fit_bootstrap *b = r->bootstrap;
  int laws = b ? b->replicates - b->failed : 0, count = 0;
  double *law = malloc(MAX_BAND_LAWS * FIT_JOINT_PARAMS * sizeof *law);
  if (!law) return false;
  for (int k = 0; k < laws; k += 1 + (laws - 1) / MAX_BAND_LAWS)
    memcpy(law + FIT_JOINT_PARAMS * count++, b->sample + (size_t)k * FIT_JOINT_PARAMS, FIT_JOINT_PARAMS * sizeof *law);
  const struct fit_sample sample = {.law = law, .count = count, .level = b ? b->level : 0};
  const struct fit_family *f = fit__report_family(r);
  w->has = w->has_band = closed->has = true;
  for (int i = 0; i < COMPUTES; i++) {
    struct fit_optimum best;
    struct fit_optimum_interval interval = {.params = {NAN, NAN, NAN}};
    if (fit_optimum_at(r->solution->params, f, compute[i], &best, NULL)) w->has = false;
    if (w->has_band && fit_optimum_interval(&sample, f, compute[i], &interval, NULL)) w->has_band = false;
    put(w, i, best.params, &interval.params);
    if (fit_optimum_analytic(r->solution->params, f->flops_per_param, compute[i], &best, NULL)) closed->has = false;
    put(closed, i, best.params, &interval.params);
  }
  closed->has_band = false;
  if (f->n_ctx <= 0) closed->has = false; // the same line
  free(law);
  return true;
}

static void draw_way(struct svg_plot *p, const double *compute, const struct way *w, int colour, enum svg_mark style) {
  if (w->has && w->has_band) svg_band(p, COMPUTES, compute, w->low, w->high, colour);
  if (w->has) svg_line(p, COMPUTES, compute, w->params, colour, style);
}

static void optimum_legend(struct svg_legend *l, const struct fit_report *r, const struct way way[4], bool rows) {
  static const struct {
    int colour, marks;
    const char *name;
  } row[] = {{SVG_BLUE, SVG_LINE, "joint law"},
             {SVG_BLUE, SVG_DOTTED, "joint law, closed form"},
             {SVG_ORANGE, SVG_DASHED | SVG_POINT, "IsoFLOP parabolas"},
             {SVG_GREEN, SVG_DASHED | SVG_HOLLOW, "envelope of the curves"}};
  double level = 0;
  for (int k = 0; k < 4; k++)
    if (way[k].has || (k == 2 && r->isoflop && r->isoflop->accepted)) {
      svg_legend_add(l, row[k].colour, row[k].marks | (way[k].has && way[k].has_band ? SVG_BAND : 0), "%s",
                     row[k].name);
      if (way[k].has_band) level = k < 2 ? r->bootstrap->level : k == 2 ? r->isoflop->level : r->envelope->level;
    }
  if (level > 0) svg_legend_add(l, SVG_INK, SVG_BAND, "%.0f %% interval", 100 * level);
  if (rows) svg_legend_add(l, SVG_INK, SVG_POINT, "rows of the table");
}

static void optimum_axes(struct svg_plot *p, const struct fit_report *r, double low, double high,
                         const struct way way[4]) {
  double n_low = INFINITY, n_high = 0;
  for (size_t i = 0; i < r->runs->count; i++) {
    n_low = fmin(n_low, r->runs->row[i].params);
    n_high = fmax(n_high, r->runs->row[i].params);
  }
  double floor = n_low / 30, ceiling = n_high * 300; // a law gone astray must not flatten the others
  for (int k = 0; k < 4; k++)
    if (way[k].has) {
      n_low = fmin(n_low, fmax(floor, fmin(way[k].params[0], way[k].params[COMPUTES - 1])));
      n_high = fmax(n_high, fmin(ceiling, fmax(way[k].params[0], way[k].params[COMPUTES - 1])));
    }
  p->x = (struct svg_axis){.log = true, .unit = SVG_POWER, .label = "training compute C, FLOPs"};
  p->y = (struct svg_axis){.log = true, .unit = SVG_COUNT, .label = "compute-optimal parameters N_opt"};
  svg_axis_fit(&p->x, low, high);
  svg_axis_fit(&p->y, n_low, n_high);
}

static void optimum_points(struct svg_plot *p, const struct fit_report *r) {
  for (int i = 0; r->envelope && i < r->envelope->points; i += 1 + r->envelope->points / 60)
    svg_mark(p, r->envelope->compute[i], r->envelope->params[i], SVG_GREEN, SVG_HOLLOW, 3);
  for (int k = 0; r->isoflop && k < r->isoflop->budgets; k++) {
    const struct fit_budget *b = &r->isoflop->budget[k];
    if (b->status) continue;
    double x[2] = {b->compute, b->compute}, y[2] = {b->params_interval.low, b->params_interval.high};
    if (y[0] <= y[1]) svg_thin(p, 2, x, y, SVG_ORANGE);
    svg_point(p, b->compute, b->params, SVG_ORANGE, 4.5, false);
  }
}

enum fit_status fit__plot_optimum(struct svg_plot *p, const struct fit_report *r, struct fit_error *err) {
  struct way way[4] = {0}; // joint, closed, IsoFLOP, envelope
  double compute[COMPUTES], low, high, params;
  struct fit_interval interval;
  struct fit_optimum best;
  fit_report_range(r, &low, &high);
  for (int i = 0; i < COMPUTES; i++) compute[i] = low * pow(high / low, i / (COMPUTES - 1.0));
  if (r->solution) { // the law without an optimum is an error only where it is alone
    enum fit_status status = fit_optimum_at(r->solution->params, fit__report_family(r), high, &best, err);
    if (status && !r->isoflop && !r->envelope) return status;
    if (!status && !joint_way(r, compute, &way[0], &way[1])) return fit__no_plot_memory(err);
  }
  if (r->isoflop && r->isoflop->has_law) way[2].has = way[2].has_band = true;
  if (r->envelope) way[3].has = way[3].has_band = true;
  for (int i = 0; i < COMPUTES; i++) {
    if (way[2].has && !fit_size_at(r->isoflop, compute[i], &params, &interval, NULL))
      put(&way[2], i, params, &interval);
    if (way[3].has && !fit_envelope_at(r->envelope, compute[i], &params, &interval, NULL))
      put(&way[3], i, params, &interval);
  }
  optimum_axes(p, r, low, high, way);
  optimum_legend(&p->legend, r, way, true);
  svg_begin(p);
  for (size_t i = 0; i < r->runs->count; i += fit__stride(r->runs))
    svg_point(p, fit__row_flops(r, &r->runs->row[i]), r->runs->row[i].params, SVG_INK, 2.5, true);
  draw_way(p, compute, &way[3], SVG_GREEN, SVG_DASHED);
  draw_way(p, compute, &way[2], SVG_ORANGE, SVG_DASHED);
  draw_way(p, compute, &way[1], SVG_BLUE, SVG_DOTTED);
  draw_way(p, compute, &way[0], SVG_BLUE, SVG_LINE);
  optimum_points(p, r);
  svg_end(p);
  return FIT_OK;
}

// ---- training and inference together -------------------------------------------------------------------------------
enum fit_status fit__plot_tradeoff(struct svg_plot *p, const struct fit_report *r, struct fit_error *err) {
  static const double served[] = {0, 1, 10, 100}; // tokens through a forward pass, in multiples of T_opt
  enum { LINES = sizeof served / sizeof *served };
  const double *si = r->solution->params;
  const struct fit_family *f = fit__report_family(r);
  struct fit_optimum best;
  double x[FIT_PLOT_POINTS], y[LINES][FIT_PLOT_POINTS], least = INFINITY;
  int lowest[LINES] = {0};
  enum fit_status status = fit_optimum_at(si, f, fit__report_compute(r), &best, err);
  if (status) return status;
  double forward = fit_flops_per_token(f, best.params) / 3 * best.tokens;
  for (int i = 0; i < FIT_PLOT_POINTS; i++) {
    x[i] = best.params / 10 * pow(40, i / (FIT_PLOT_POINTS - 1.0));
    double flops = fit_flops_per_token(f, x[i]);
    for (int k = 0; k < LINES; k++) {
      y[k][i] = flops * (fit_tokens_for_loss(si, x[i], best.loss) + served[k] / 3 * best.tokens) /
                (best.compute + served[k] * forward);
      if (!(y[k][i] < 1e6)) y[k][i] = 1e6; // never reaches the loss
      if (y[k][i] < y[k][lowest[k]]) lowest[k] = i;
      least = fmin(least, y[k][i]);
    }
  }
  p->x = (struct svg_axis){.log = true, .unit = SVG_COUNT, .label = "parameters N"};
  p->y = (struct svg_axis){.log = true, .label = "total FLOPs at equal loss, over those of N_opt"};
  svg_axis_fit(&p->x, x[0], x[FIT_PLOT_POINTS - 1]);
  svg_axis_fit(&p->y, fmin(least, 0.5), 4);
  p->legend.title = "tokens served, over those trained on";
  for (int k = 0; k < LINES; k++) {
    double ratio = x[lowest[k]] / best.params, saved = 100 * (1 - y[k][lowest[k]]);
    if (served[k] > 0)
      svg_legend_add(&p->legend, fit__ramp(k, LINES), SVG_LINE | SVG_POINT, "%g: cheapest at %.2g N_opt, saves %.2g %%",
                     served[k], ratio, saved);
    else
      svg_legend_add(&p->legend, fit__ramp(k, LINES), SVG_LINE | SVG_POINT, "none: cheapest at N_opt");
  }
  svg_begin(p);
  double across[2] = {p->x.low, p->x.high}, one[2] = {1, 1};
  svg_line(p, 2, across, one, SVG_INK, SVG_DOTTED);
  for (int k = 0; k < LINES; k++) svg_line(p, FIT_PLOT_POINTS, x, y[k], fit__ramp(k, LINES), SVG_LINE);
  for (int k = 0; k < LINES; k++) svg_point(p, x[lowest[k]], y[k][lowest[k]], fit__ramp(k, LINES), 5, false);
  svg_end(p);
  return FIT_OK;
}
