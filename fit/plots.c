#include "plots.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stats.h"

#define MAX_POINTS 2500

static const struct {
  const char *name, *caption;
} plots[] = {
#define X(code, name, caption) {name, caption},
    FIT_PLOT_MAP(X)
#undef X
};

const char *fit_plot_name(enum fit_plot plot) { return plot < FIT_PLOT_COUNT ? plots[plot].name : "?"; }

// Whether accepted cells differ in N, or in T.
static bool several_cells(const struct fit_hyper *h, bool params) {
  double first = 0;
  for (int i = 0; h && i < h->count; i++) {
    double value = params ? h->cell[i].cell.params : h->cell[i].cell.tokens;
    if (h->cell[i].bowl.refusal) continue;
    if (first > 0 && fabs(log(value / first)) > FIT_CELL_TOLERANCE) return true;
    if (!(first > 0)) first = value;
  }
  return false;
}

bool fit_plot_has(enum fit_plot plot, const struct fit_report *r) {
  switch (plot) {
  case FIT_PLOT_LOSS:
  case FIT_PLOT_RESIDUALS:
  case FIT_PLOT_TRADEOFF:
    return r->solution;
  case FIT_PLOT_PROFILE:
    return r->solution && r->diagnosis && r->diagnosis->points > 1;
  case FIT_PLOT_ISOFLOP:
    return r->solution || r->isoflop;
  case FIT_PLOT_OPTIMUM:
    return r->solution || (r->isoflop && r->isoflop->accepted) || r->envelope;
  case FIT_PLOT_BOWLS:
    return r->hyper && r->hyper->count;
  case FIT_PLOT_HYPER_TOKENS:
    return several_cells(r->hyper, false);
  case FIT_PLOT_HYPER_PARAMS:
    return several_cells(r->hyper, true);
  case FIT_PLOT_COUNT:
    break;
  }
  return false;
}

const struct fit_family *fit__report_family(const struct fit_report *r) {
  static const struct fit_family constant;
  return r->family ? r->family : &constant;
}

const struct fit_runs *fit__hyper_runs(const struct fit_report *r) { return r->hyper_runs ? r->hyper_runs : r->runs; }

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

size_t fit__stride(const struct fit_runs *runs) { return 1 + runs->count / MAX_POINTS; }

enum fit_status fit__no_plot_memory(struct fit_error *err) {
  return fit_fail(err, FIT_ERR_FAILED, "no memory for a plot");
}

bool fit__group_values(double *value, size_t count, struct fit_groups *g) {
  size_t distinct = 0;
  qsort(value, count, sizeof *value, fit__by_value);
  for (size_t i = 0; i < count; i++)
    if (!distinct || value[i] > value[distinct - 1] * (1 + 1e-6)) value[distinct++] = value[i];
  g->count = distinct < SVG_RAMP ? (int)distinct : SVG_RAMP;
  for (int k = 0; k < g->count; k++) {
    g->low[k] = value[distinct * (size_t)k / (size_t)g->count];
    g->high[k] = value[distinct * (size_t)(k + 1) / (size_t)g->count - 1];
  }
  return distinct > 0;
}

bool fit__group_sizes(const struct fit_runs *runs, struct fit_groups *g) {
  double *size = malloc((runs->count ? runs->count : 1) * sizeof *size);
  if (!size) return false;
  for (size_t i = 0; i < runs->count; i++) size[i] = runs->row[i].params;
  fit__group_values(size, runs->count, g);
  free(size);
  return true;
}

int fit__group_of(const struct fit_groups *g, double value) {
  int k = 0;
  while (k + 1 < g->count && value > g->high[k] * (1 + 1e-6)) k++;
  return k;
}

double fit__group_middle(const struct fit_groups *g, int k) { return sqrt(g->low[k]) * sqrt(g->high[k]); }

int fit__ramp(int k, int count) { return count > 1 ? k * (SVG_RAMP - 1) / (count - 1) : 2; }

void fit__group_legend(struct svg_legend *l, const struct fit_groups *g, int marks) {
  for (int k = 0; k < g->count; k++) {
    char low[24], high[24];
    svg_count(g->low[k], low);
    svg_count(g->high[k], high);
    if (strcmp(low, high) != 0)
      svg_legend_add(l, fit__ramp(k, g->count), marks, "%s to %s", low, high);
    else
      svg_legend_add(l, fit__ramp(k, g->count), marks, "%s", low);
  }
}

enum fit_status fit__plot(struct fit_text *t, enum fit_plot plot, const struct fit_report *r, bool alone,
                          struct fit_error *err) {
  static fit__draw *const draw[] = {
      [FIT_PLOT_LOSS] = fit__plot_loss,
      [FIT_PLOT_RESIDUALS] = fit__plot_residuals,
      [FIT_PLOT_PROFILE] = fit__plot_profile,
      [FIT_PLOT_ISOFLOP] = fit__plot_isoflop,
      [FIT_PLOT_OPTIMUM] = fit__plot_optimum,
      [FIT_PLOT_TRADEOFF] = fit__plot_tradeoff,
      [FIT_PLOT_BOWLS] = fit__plot_bowls,
      [FIT_PLOT_HYPER_TOKENS] = fit__plot_hyper_tokens,
      [FIT_PLOT_HYPER_PARAMS] = fit__plot_hyper_params,
  };
  if (plot >= FIT_PLOT_COUNT) return fit_fail(err, FIT_ERR_INPUT, "no plot %d", (int)plot);
  if (!fit_plot_has(plot, r))
    return fit_fail(err, FIT_ERR_INPUT, "nothing to draw as plot %s: that part was not fitted", fit_plot_name(plot));
  struct svg_plot p = {.out = t, .title = plots[plot].caption, .alone = alone};
  snprintf(p.id, sizeof p.id, "clip-%s", plots[plot].name);
  return draw[plot](&p, r, err);
}

enum fit_status fit_plot_write(const char *path, enum fit_plot plot, const struct fit_report *r,
                               struct fit_error *err) {
  struct fit_text t = {0};
  enum fit_status status = fit__plot(&t, plot, r, true, err);
  if (!status) status = fit__file_write(path, &t, err);
  fit__text_free(&t);
  return status;
}
