#include "plots.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stats.h"
#include "svg.h"

#define CURVE_POINTS 97
#define MAX_POINTS 2500   // drawn of a table; a plot shows no more
#define MAX_BAND_LAWS 200 // bootstrap replicates behind the band of N_opt

static const char *const plot_name[] = {
#define X(code, name, caption) name,
    FIT_PLOT_MAP(X)
#undef X
};
static const char *const plot_caption[] = {
#define X(code, name, caption) caption,
    FIT_PLOT_MAP(X)
#undef X
};

const char *fit_plot_name(enum fit_plot plot) { return plot < FIT_PLOT_COUNT ? plot_name[plot] : "?"; }

const struct fit_family *fit__report_family(const struct fit_report *r) {
  static const struct fit_family constant;
  return r->family ? r->family : &constant;
}

double fit__row_flops(const struct fit_report *r, const struct fit_run *run) {
  return run->flops > 0 ? run->flops : fit_flops_per_token(fit__report_family(r), run->params) * run->tokens;
}

double fit__report_compute(const struct fit_report *r) {
  double most = 0;
  for (size_t i = 0; i < r->runs->count; i++) most = fmax(most, fit__row_flops(r, &r->runs->row[i]));
  return r->compute > 0 ? r->compute : most;
}

void fit_report_range(const struct fit_report *r, double *low, double *high) {
  *low = INFINITY;
  *high = fit__report_compute(r);
  for (size_t i = 0; i < r->runs->count; i++) {
    *low = fmin(*low, fit__row_flops(r, &r->runs->row[i]));
    *high = fmax(*high, fit__row_flops(r, &r->runs->row[i]));
  }
  *low = pow(10, floor(log10(*low)));
  *high = pow(10, ceil(log10(*high)) + 1);
}

// The model sizes of a table, shown in at most SVG_COLOURS groups.
struct groups {
  int count;
  double low[SVG_COLOURS], high[SVG_COLOURS]; // smallest and largest size of the group
};

static bool group_sizes(const struct fit_runs *runs, struct groups *g) {
  double *size = malloc(runs->count * sizeof *size);
  size_t distinct = 0;
  if (!size) return false;
  for (size_t i = 0; i < runs->count; i++) size[i] = runs->row[i].params;
  qsort(size, runs->count, sizeof *size, fit__by_value);
  for (size_t i = 0; i < runs->count; i++)
    if (!distinct || size[i] != size[distinct - 1]) size[distinct++] = size[i];
  g->count = distinct < SVG_COLOURS ? (int)distinct : SVG_COLOURS;
  for (int k = 0; k < g->count; k++) {
    g->low[k] = size[distinct * (size_t)k / (size_t)g->count];
    g->high[k] = size[distinct * (size_t)(k + 1) / (size_t)g->count - 1];
  }
  free(size);
  return true;
}

static int group_of(const struct groups *g, double params) {
  int k = 0;
  while (k + 1 < g->count && params > g->high[k]) k++;
  return k;
}

// Few groups spread over the whole ramp.
static int colour_of(int k, int count) { return count > 1 ? k * (SVG_COLOURS - 1) / (count - 1) : 2; }

static void group_legend(struct svg_plot *p, const struct groups *g, bool line) {
  for (int k = g->count - 1; k >= 0; k--) {
    char low[24], high[24], text[64];
    svg_count(g->low[k], low);
    svg_count(g->high[k], high);
    if (strcmp(low, high))
      snprintf(text, sizeof text, "%s to %s", low, high);
    else
      snprintf(text, sizeof text, "%s", low);
    svg_legend(p, colour_of(k, g->count), line ? SVG_LINE | SVG_POINT : SVG_POINT, text);
  }
}

static size_t stride_of(const struct fit_runs *runs) { return 1 + runs->count / MAX_POINTS; }

static enum fit_status no_memory(struct fit_error *err) {
  return fit_fail(err, FIT_ERR_FAILED, "no memory for a plot");
}

static enum fit_status plot_loss(struct svg_plot *p, const struct fit_report *r, bool alone, struct fit_error *err) {
  struct groups g;
  if (!group_sizes(r->runs, &g)) return no_memory(err);
  double t_low = INFINITY, t_high = 0, l_low = INFINITY, l_high = 0;
  for (size_t i = 0; i < r->runs->count; i++) {
    const struct fit_run *run = &r->runs->row[i];
    t_low = fmin(t_low, run->tokens);
    t_high = fmax(t_high, run->tokens);
    l_low = fmin(l_low, run->loss);
    l_high = fmax(l_high, run->loss);
  }
  p->x = (struct svg_axis){.log = true, .unit = SVG_COUNT, .label = "trained tokens T"};
  p->y = (struct svg_axis){.log = true, .label = "held-out loss L"};
  svg_axis_fit(&p->x, t_low, t_high);
  svg_axis_fit(&p->y, l_low, l_high);
  p->legend_title = "parameters N";
  svg_begin(p, alone);
  for (size_t i = 0; i < r->runs->count; i += stride_of(r->runs)) {
    const struct fit_run *run = &r->runs->row[i];
    svg_point(p, run->tokens, run->loss, colour_of(group_of(&g, run->params), g.count),
              r->runs->count > 300 ? 2.5 : 3.5, r->runs->count > 60);
  }
  for (int k = 0; k < g.count; k++) {
    double x[CURVE_POINTS], y[CURVE_POINTS], params = sqrt(g.low[k] * g.high[k]);
    for (int i = 0; i < CURVE_POINTS; i++) {
      x[i] = p->x.low * pow(p->x.high / p->x.low, i / (CURVE_POINTS - 1.0));
      y[i] = fit_joint_loss(r->solution->params, params, x[i]);
    }
    svg_line(p, CURVE_POINTS, x, y, colour_of(k, g.count), false);
  }
  group_legend(p, &g, true);
  return FIT_OK;
}

static enum fit_status plot_residuals(struct svg_plot *p, const struct fit_report *r, bool alone,
                                      struct fit_error *err) {
  struct groups g;
  if (!group_sizes(r->runs, &g)) return no_memory(err);
  double low = INFINITY, high = 0, most = 0;
  for (size_t i = 0; i < r->runs->count; i++) {
    const struct fit_run *run = &r->runs->row[i];
    double fitted = fit_joint_loss(r->solution->params, run->params, run->tokens);
    low = fmin(low, fitted);
    high = fmax(high, fitted);
    most = fmax(most, 100 * fabs(run->loss / fitted - 1));
  }
  p->x = (struct svg_axis){.log = true, .label = "fitted loss"};
  p->y = (struct svg_axis){.label = "measured over fitted, %"};
  svg_axis_fit(&p->x, low, high);
  svg_axis_fit(&p->y, -fmax(most, 1e-6), fmax(most, 1e-6));
  p->legend_title = "parameters N";
  svg_begin(p, alone);
  double x[2] = {p->x.low, p->x.high}, zero[2] = {0, 0};
  svg_line(p, 2, x, zero, -1, true);
  for (size_t i = 0; i < r->runs->count; i += stride_of(r->runs)) {
    const struct fit_run *run = &r->runs->row[i];
    double fitted = fit_joint_loss(r->solution->params, run->params, run->tokens);
    svg_point(p, fitted, 100 * (run->loss / fitted - 1), colour_of(group_of(&g, run->params), g.count),
              r->runs->count > 300 ? 2.5 : 3.5, false);
  }
  group_legend(p, &g, false);
  return FIT_OK;
}

static enum fit_status plot_isoflop(struct svg_plot *p, const struct fit_report *r, bool alone, struct fit_error *err) {
  enum { LINES = 6 };
  const double *si = r->solution->params;
  const struct fit_family *f = fit__report_family(r);
  struct fit_optimum best[LINES];
  double low, high, first, l_low = INFINITY, l_high = 0;
  fit_report_range(r, &low, &high);
  first = fmax(low, high / 1e5);
  for (int k = 0; k < LINES; k++) {
    enum fit_status status = fit_optimum_at(si, f, first * pow(high / first, k / (LINES - 1.0)), &best[k], err);
    if (status) return status;
  }
  struct fit_tradeoff edge;
  fit_tradeoff_at(si, f, &best[0], best[0].params * 10, &edge);
  l_high = edge.loss;
  fit_tradeoff_at(si, f, &best[0], best[0].params / 10, &edge);
  l_high = fmax(l_high, edge.loss);
  l_low = best[LINES - 1].loss;
  p->x = (struct svg_axis){.log = true, .unit = SVG_COUNT, .label = "parameters N"};
  p->y = (struct svg_axis){.log = true, .label = "loss L"};
  svg_axis_fit(&p->x, best[0].params / 20, best[LINES - 1].params * 20);
  svg_axis_fit(&p->y, l_low, l_high);
  p->legend_title = "training FLOPs C";
  svg_begin(p, alone);
  double x[CURVE_POINTS], y[CURVE_POINTS];
  for (int k = 0; k < LINES; k++) {
    for (int i = 0; i < CURVE_POINTS; i++) {
      struct fit_tradeoff at;
      fit_tradeoff_at(si, f, &best[k], best[k].params * pow(24, 2 * i / (CURVE_POINTS - 1.0) - 1), &at);
      x[i] = at.params;
      y[i] = at.loss;
    }
    svg_line(p, CURVE_POINTS, x, y, colour_of(k, LINES), false);
  }
  for (int k = 0; k < LINES; k++) {
    x[k] = best[k].params;
    y[k] = best[k].loss;
  }
  svg_line(p, LINES, x, y, -1, true);
  for (int k = 0; k < LINES; k++) svg_point(p, x[k], y[k], colour_of(k, LINES), 5, false);
  for (int k = LINES - 1; k >= 0; k--) {
    char text[48];
    snprintf(text, sizeof text, "%.2g", best[k].compute);
    svg_legend(p, colour_of(k, LINES), SVG_LINE, text);
  }
  svg_legend(p, -1, SVG_DASHED, "minima: N_opt(C)");
  return FIT_OK;
}

// Percentiles of N_opt over the bootstrap's laws; false: no memory.
static bool optimum_band(const struct fit_report *r, int count, const double *compute, double *low, double *high) {
  const struct fit_bootstrap *b = r->bootstrap;
  int laws = b->replicates - b->failed, used = 0, stride = 1 + (laws - 1) / MAX_BAND_LAWS;
  double *value = malloc((size_t)laws * sizeof *value);
  if (!value) return false;
  for (int i = 0; i < count; i++) {
    used = 0;
    for (int k = 0; k < laws; k += stride) {
      struct fit_optimum at;
      const double *si = b->sample + (size_t)k * (size_t)r->solution->law->params;
      if (fit_optimum_at(si, fit__report_family(r), compute[i], &at, NULL) == FIT_OK) value[used++] = at.params;
    }
    if (!used) break;
    qsort(value, (size_t)used, sizeof *value, fit__by_value);
    low[i] = value[(int)((1 - b->level) / 2 * (used - 1))];
    high[i] = value[(int)ceil((1 + b->level) / 2 * (used - 1))];
  }
  free(value);
  return used > 0;
}

static enum fit_status plot_optimum(struct svg_plot *p, const struct fit_report *r, bool alone, struct fit_error *err) {
  enum { POINTS = 25 };
  double x[POINTS], y[POINTS], band_low[POINTS], band_high[POINTS], low, high, n_low = INFINITY, n_high = 0;
  fit_report_range(r, &low, &high);
  for (int i = 0; i < POINTS; i++) {
    struct fit_optimum best;
    x[i] = low * pow(high / low, i / (POINTS - 1.0));
    enum fit_status status = fit_optimum_at(r->solution->params, fit__report_family(r), x[i], &best, err);
    if (status) return status;
    y[i] = best.params;
  }
  for (size_t i = 0; i < r->runs->count; i++) {
    n_low = fmin(n_low, r->runs->row[i].params);
    n_high = fmax(n_high, r->runs->row[i].params);
  }
  p->x = (struct svg_axis){.log = true, .unit = SVG_POWER, .label = "training compute C, FLOPs"};
  p->y = (struct svg_axis){.log = true, .unit = SVG_COUNT, .label = "parameters N"};
  svg_axis_fit(&p->x, low, high);
  svg_axis_fit(&p->y, fmin(n_low, y[0]), fmax(n_high, y[POINTS - 1]));
  p->legend_title = "compute-optimal size";
  svg_begin(p, alone);
  bool band = r->bootstrap && optimum_band(r, POINTS, x, band_low, band_high);
  if (band) svg_band(p, POINTS, x, band_low, band_high, 2);
  for (size_t i = 0; i < r->runs->count; i += stride_of(r->runs))
    svg_point(p, fit__row_flops(r, &r->runs->row[i]), r->runs->row[i].params, -1, 2.5, true);
  svg_line(p, POINTS, x, y, 2, false);
  svg_legend(p, 2, SVG_LINE, "N_opt(C), this law");
  if (band) {
    char text[48];
    snprintf(text, sizeof text, "%.0f %% interval", 100 * r->bootstrap->level);
    svg_legend(p, 2, SVG_BAND, text);
  }
  svg_legend(p, -1, SVG_POINT, "rows of the table");
  return FIT_OK;
}

enum fit_status fit__plot(struct fit_text *t, enum fit_plot plot, const struct fit_report *r, bool alone,
                          struct fit_error *err) {
  static enum fit_status (*const draw[])(struct svg_plot *, const struct fit_report *, bool, struct fit_error *) = {
      [FIT_PLOT_LOSS] = plot_loss,
      [FIT_PLOT_RESIDUALS] = plot_residuals,
      [FIT_PLOT_ISOFLOP] = plot_isoflop,
      [FIT_PLOT_OPTIMUM] = plot_optimum,
  };
  if (plot >= FIT_PLOT_COUNT) return fit_fail(err, FIT_ERR_INPUT, "no plot %d", (int)plot);
  char id[32];
  snprintf(id, sizeof id, "clip-%s", plot_name[plot]);
  struct svg_plot p = {.out = t, .id = id, .title = plot_caption[plot]};
  enum fit_status status = draw[plot](&p, r, alone, err);
  if (!status) svg_end(&p);
  return status;
}

enum fit_status fit_plot_write(const char *path, enum fit_plot plot, const struct fit_report *r,
                               struct fit_error *err) {
  struct fit_text t = {0};
  enum fit_status status = fit__plot(&t, plot, r, true, err);
  if (!status) status = fit__file_write(path, &t, err);
  fit__text_free(&t);
  return status;
}
