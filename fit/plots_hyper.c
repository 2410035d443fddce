// Plots of the best batch and learning rate.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plots.h"

#define PANEL_WIDTH 300.0
#define PANEL_HEIGHT 300.0
#define LAW_HEIGHT 270.0
#define LAW_WIDTH 380.0
#define NOTE_ROOM 192
#define RING_POINTS 73
#define ELLIPSE_LEVEL 0.9

// ---- bowls ---------------------------------------------------------------------------------------------------------
// Contours of a bowl, as shares of the window, and the colours of the runs between them.
static const double contour[] = {0.1, 0.25, 0.5, 1};
enum { CONTOURS = sizeof contour / sizeof *contour };

static int contour_colour(int k) { return fit__ramp(k, CONTOURS + 1); }

// The curve vertex + L u, u on a circle: L [3] is a lower triangle (0,0), (1,0), (1,1) in (ln B, ln lr).
static void draw_ring(struct svg_plot *p, const struct fit_bowl *b, const double lower[3], double radius, int colour,
                      bool thick) {
  double x[RING_POINTS], y[RING_POINTS];
  for (int i = 0; i < RING_POINTS; i++) {
    double angle = 6.283185307179586 * i / (RING_POINTS - 1), u = radius * cos(angle), v = radius * sin(angle);
    x[i] = b->batch * exp(lower[0] * u);
    y[i] = b->lr * exp(lower[1] * u + lower[2] * v);
  }
  if (thick)
    svg_line(p, RING_POINTS, x, y, colour, SVG_LINE);
  else
    svg_thin(p, RING_POINTS, x, y, colour);
}

// Where 1/2 d'Hd = ln(1 + level): d = radius * L u with L L' the inverse of H.
static void draw_contours(struct svg_plot *p, const struct fit_bowl *b, double window) {
  double det = b->hessian[0] * b->hessian[2] - b->hessian[1] * b->hessian[1];
  if (!(b->hessian[0] > 0 && det > 0 && isfinite(b->batch) && isfinite(b->lr))) return;
  double l0 = sqrt(b->hessian[2] / det), l1 = -b->hessian[1] / det / l0;
  const double lower[3] = {l0, l1, sqrt(fmax(0, b->hessian[0] / det - l1 * l1))};
  for (int k = 0; k < CONTOURS; k++)
    draw_ring(p, b, lower, sqrt(2 * log1p(contour[k] * window)), contour_colour(k), false);
}

static void draw_vertex(struct svg_plot *p, const struct fit_bowl *b) {
  const double lower[3] = {b->sd_batch, b->sd_lr * b->correlation,
                           b->sd_lr * sqrt(fmax(0, 1 - b->correlation * b->correlation))};
  draw_ring(p, b, lower, sqrt(-2 * log1p(-ELLIPSE_LEVEL)), SVG_ORANGE, true);
  svg_mark(p, b->batch, b->lr, SVG_ORANGE, SVG_CROSS, 4);
}

static void draw_runs(struct svg_plot *p, const struct fit_runs *runs, const struct fit_cells *cells,
                      const struct fit_cell *cell, const struct fit_bowl *b, double window) {
  size_t step = 1 + cell->count / 600;
  for (size_t j = 0; j < cell->count; j += step) {
    const struct fit_run *run = &runs->row[cells->row[cell->first + j]];
    double over = run->loss / b->lowest - 1;
    int k = 0;
    while (k < CONTOURS && over > contour[k] * window) k++;
    svg_point(p, run->batch_tokens, run->lr, k < CONTOURS ? contour_colour(k) : SVG_INK, k < CONTOURS ? 4 : 2,
              k == CONTOURS);
  }
  svg_mark(p, runs->row[b->best].batch_tokens, runs->row[b->best].lr, SVG_INK, SVG_HOLLOW, 6);
}

// Of one batch: losses over the cell's lowest, in per cent, and their parabola.
static double excess(const struct fit_bowl *b, double loss) { return 100 * (loss / b->lowest - 1); }

static double parabola_at(const struct fit_bowl *b, double lr) {
  double off = log(lr / b->lr);
  return excess(b, b->loss * exp(b->hessian[2] * off * off / 2));
}

static void draw_rates(struct svg_plot *p, const struct fit_runs *runs, const struct fit_cells *cells,
                       const struct fit_cell *cell, const struct fit_bowl *b, double window) {
  double x[RING_POINTS], y[RING_POINTS], reach = sqrt(2 * log1p(2 * window) / b->hessian[2]);
  for (size_t j = 0; j < cell->count; j++) {
    const struct fit_run *run = &runs->row[cells->row[cell->first + j]];
    bool used = excess(b, run->loss) <= 100 * window;
    svg_point(p, run->lr, excess(b, run->loss), used ? contour_colour(0) : SVG_INK, used ? 4 : 2, !used);
  }
  if (!(reach < INFINITY) || !isfinite(b->lr)) return;
  for (int i = 0; i < RING_POINTS; i++) {
    x[i] = b->lr * exp(reach * (2.0 * i / (RING_POINTS - 1) - 1));
    y[i] = parabola_at(b, x[i]);
  }
  svg_thin(p, RING_POINTS, x, y, contour_colour(0));
}

static void draw_best_rate(struct svg_plot *p, const struct fit_bowl *b) {
  double reach = 1.645 * b->sd_lr; // holds ELLIPSE_LEVEL of a normal error
  double x[2] = {b->lr * exp(-reach), b->lr * exp(reach)}, y[2] = {excess(b, b->loss), excess(b, b->loss)};
  svg_line(p, 2, x, y, SVG_ORANGE, SVG_LINE);
  svg_mark(p, b->lr, y[0], SVG_ORANGE, SVG_CROSS, 4);
}

static void percent(double share, char text[24]) {
  if (share < 1e-4)
    snprintf(text, 24, "<0.01 %%");
  else
    snprintf(text, 24, share < 0.1 ? "%.2g %%" : "%.0f %%", 100 * share);
}

static void cell_note(const struct fit_bowl *b, bool one_batch, char note[NOTE_ROOM]) {
  char batch[24], sd_batch[24], sd_lr[24];
  svg_count(b->batch, batch);
  percent(b->sd_batch, sd_batch);
  percent(b->sd_lr, sd_lr);
  if (b->refusal)
    snprintf(note, NOTE_ROOM, "refused: %s", fit_refusal_text(b->refusal));
  else if (one_batch)
    snprintf(note, NOTE_ROOM, "lr %.3g ±%s", b->lr, sd_lr);
  else
    snprintf(note, NOTE_ROOM, "batch %s ±%s, lr %.3g ±%s", batch, sd_batch, b->lr, sd_lr);
}

static void draw_cell(struct svg_grid *g, const struct fit_report *r, const struct fit_cells *cells, int i,
                      const struct svg_plot *axes) {
  const struct fit_hyper *h = r->hyper;
  const struct fit_cell *cell = &h->cell[i].cell;
  const struct fit_bowl *b = &h->cell[i].bowl;
  char heading[96], note[NOTE_ROOM], n[24], t[24];
  svg_count(cell->params, n);
  svg_count(cell->tokens, t);
  snprintf(heading, sizeof heading, "N = %s, T = %s", n, t);
  cell_note(b, h->one_batch, note);
  struct svg_plot p = *axes;
  p.grid = g;
  p.title = p.heading = heading;
  p.note = note;
  snprintf(p.id, sizeof p.id, "clip-bowl-%d", i);
  svg_begin(&p);
  (h->one_batch ? draw_rates : draw_runs)(&p, fit__hyper_runs(r), cells, &cells->cell[i], b, h->window);
  if (!h->one_batch) draw_contours(&p, b, h->window);
  if (!b->refusal) (h->one_batch ? draw_best_rate : draw_vertex)(&p, b);
  if (!h->law[FIT_HYPER_BATCH].refusal && !h->law[FIT_HYPER_LR].refusal) {
    double batch = fit_hyper_at(&h->law[FIT_HYPER_BATCH], cell->params, cell->tokens),
           lr = fit_hyper_at(&h->law[FIT_HYPER_LR], cell->params, cell->tokens);
    if (!h->one_batch)
      svg_mark(&p, batch, lr, SVG_PINK, SVG_DIAMOND, 5);
    else if (!b->refusal)
      svg_mark(&p, lr, parabola_at(b, lr), SVG_PINK, SVG_DIAMOND, 5);
  }
  svg_end(&p);
}

static void bowl_axes(struct svg_plot *p, const struct fit_runs *runs, const struct fit_cells *cells, double window) {
  double b_low = INFINITY, b_high = 0, r_low = INFINITY, r_high = 0;
  for (int i = 0; i < cells->count; i++)
    for (size_t j = 0; j < cells->cell[i].count; j++) {
      const struct fit_run *run = &runs->row[cells->row[cells->cell[i].first + j]];
      b_low = fmin(b_low, run->batch_tokens);
      b_high = fmax(b_high, run->batch_tokens);
      r_low = fmin(r_low, run->lr);
      r_high = fmax(r_high, run->lr);
    }
  if (cells->one_batch) {
    p->x = (struct svg_axis){.log = true, .unit = SVG_POWER, .label = "learning rate"};
    p->y = (struct svg_axis){.unit = SVG_PLAIN, .label = "loss over the lowest, %"};
    svg_axis_fit(&p->x, r_low, r_high);
    svg_axis_fit(&p->y, -20 * window, 200 * window);
    return;
  }
  p->x = (struct svg_axis){.log = true, .unit = SVG_COUNT, .label = "batch B, tokens"};
  p->y = (struct svg_axis){.log = true, .unit = SVG_POWER, .label = "learning rate"};
  svg_axis_fit(&p->x, b_low, b_high);
  svg_axis_fit(&p->y, r_low, r_high);
}

enum fit_status fit__plot_bowls(struct svg_plot *p, const struct fit_report *r, struct fit_error *err) {
  const struct fit_hyper *h = r->hyper;
  struct fit_cells cells;
  enum fit_status status = fit_cells_make(fit__hyper_runs(r), &cells, err);
  if (status) return status;
  if (cells.count != h->count) { // the laws of another table
    fit_cells_free(&cells);
    return fit_fail(err, FIT_ERR_INPUT, "the hyperparameter laws are of other runs");
  }
  struct svg_grid g = {.out = p->out,
                       .title = p->title,
                       .alone = p->alone,
                       .width = PANEL_WIDTH,
                       .height = PANEL_HEIGHT,
                       .columns = h->count <= 9 ? 3 : 4};
  bool law = !h->law[FIT_HYPER_BATCH].refusal && !h->law[FIT_HYPER_LR].refusal;
  g.count = h->count < FIT_MAX_BOWLS ? h->count : FIT_MAX_BOWLS;
  if (!h->one_batch) {
    g.legend.title = "loss over the cell's lowest";
    for (int k = 0; k < CONTOURS; k++)
      svg_legend_add(&g.legend, contour_colour(k), SVG_LINE | SVG_POINT, "up to %.3g %%", 100 * contour[k] * h->window);
    svg_legend_add(&g.legend, SVG_INK, SVG_HOLLOW, "best run");
  } else {
    g.legend.title = "parabolas in ln lr";
    svg_legend_add(&g.legend, contour_colour(0), SVG_LINE | SVG_POINT, "up to %.3g %%", 100 * h->window);
  }
  if (h->accepted) svg_legend_add(&g.legend, SVG_ORANGE, SVG_CROSS, "vertex");
  if (h->accepted) svg_legend_add(&g.legend, SVG_ORANGE, SVG_LINE, "its %.0f %% region", 100 * ELLIPSE_LEVEL);
  if (law) svg_legend_add(&g.legend, SVG_PINK, SVG_DIAMOND, "the law's choice");
  for (int i = 0; i < g.count; i++) {
    char note[NOTE_ROOM];
    cell_note(&h->cell[i].bowl, h->one_batch, note);
    g.two_lines = g.two_lines || strlen(note) > SVG_NOTE_WIDTH;
  }
  bowl_axes(p, fit__hyper_runs(r), &cells, h->window);
  svg_grid_begin(&g);
  for (int i = 0; i < g.count; i++) draw_cell(&g, r, &cells, i, p);
  svg_grid_end(&g);
  fit_cells_free(&cells);
  return FIT_OK;
}

// ---- laws ----------------------------------------------------------------------------------------------------------
// One panel: a target against T (coloured by N) or N (coloured by T).
struct panel {
  enum fit_hyper_target target;
  bool by_params;
};

static double value_of(const struct fit_bowl *b, enum fit_hyper_target target) {
  return target == FIT_HYPER_BATCH ? b->batch : b->lr;
}

static void draw_law(struct svg_plot *p, const struct fit_report *r, const struct panel *q,
                     const struct fit_groups *g) {
  const struct fit_hyper *h = r->hyper;
  const struct fit_hyper_law *law = &h->law[q->target];
  double x[2] = {p->x.low, p->x.high};
  for (int k = 0; !law->refusal && k < g->count; k++) {
    double middle = fit__group_middle(g, k), y[2];
    for (int i = 0; i < 2; i++) y[i] = q->by_params ? fit_hyper_at(law, x[i], middle) : fit_hyper_at(law, middle, x[i]);
    svg_thin(p, 2, x, y, fit__ramp(k, g->count));
  }
  for (int i = 0; i < h->count; i++) {
    const struct fit_hyper_cell *c = &h->cell[i];
    if (c->bowl.refusal) continue;
    double at = q->by_params ? c->cell.params : c->cell.tokens, of = q->by_params ? c->cell.tokens : c->cell.params;
    double value = value_of(&c->bowl, q->target), sd = q->target == FIT_HYPER_BATCH ? c->bowl.sd_batch : c->bowl.sd_lr;
    double place[2] = {at, at}, bar[2] = {value * exp(-sd), value * exp(sd)};
    int colour = fit__ramp(fit__group_of(g, of), g->count);
    svg_line(p, 2, place, bar, colour, SVG_LINE);
    svg_point(p, at, value, colour, 4, false);
  }
}

// The cells' values of one kind, in groups.  False: no memory.
static bool group_cells(const struct fit_hyper *h, bool params, struct fit_groups *g) {
  double *value = malloc((size_t)h->count * sizeof *value);
  size_t count = 0;
  if (!value) return false;
  for (int i = 0; i < h->count; i++)
    if (!h->cell[i].bowl.refusal) value[count++] = params ? h->cell[i].cell.params : h->cell[i].cell.tokens;
  bool any = fit__group_values(value, count, g);
  free(value);
  return any;
}

static void law_axes(struct svg_plot *p, const struct fit_hyper *h, const struct panel *q) {
  double low = INFINITY, high = 0, y_low = INFINITY, y_high = 0;
  for (int i = 0; i < h->count; i++) {
    const struct fit_hyper_cell *c = &h->cell[i];
    if (c->bowl.refusal) continue;
    double at = q->by_params ? c->cell.params : c->cell.tokens, value = value_of(&c->bowl, q->target);
    double sd = fmin(2, q->target == FIT_HYPER_BATCH ? c->bowl.sd_batch : c->bowl.sd_lr);
    low = fmin(low, at);
    high = fmax(high, at);
    y_low = fmin(y_low, value * exp(-sd));
    y_high = fmax(y_high, value * exp(sd));
  }
  p->x = (struct svg_axis){.log = true, .unit = SVG_COUNT, .label = q->by_params ? "parameters N" : "trained tokens T"};
  p->y = (struct svg_axis){.log = true,
                           .unit = q->target == FIT_HYPER_BATCH ? SVG_COUNT : SVG_POWER,
                           .label = q->target == FIT_HYPER_BATCH ? "best batch, tokens" : "best learning rate"};
  svg_axis_fit(&p->x, low / 1.15, high * 1.15);
  svg_axis_fit(&p->y, y_low / 1.05, y_high * 1.05);
}

static enum fit_status plot_law(struct svg_plot *p, const struct fit_report *r, bool by_params, struct fit_error *err) {
  const int first = r->hyper->one_batch ? FIT_HYPER_LR : FIT_HYPER_BATCH; // a batch that was given is no result
  struct fit_groups groups;
  if (!group_cells(r->hyper, !by_params, &groups)) return fit__no_plot_memory(err);
  struct svg_grid g = {.out = p->out,
                       .title = p->title,
                       .alone = p->alone,
                       .width = LAW_WIDTH,
                       .height = LAW_HEIGHT,
                       .count = FIT_HYPER_TARGETS - first,
                       .columns = FIT_HYPER_TARGETS - first};
  g.legend.title = by_params ? "trained tokens T; bars: 1 standard error" : "parameters N; bars: 1 standard error";
  fit__group_legend(&g.legend, &groups, r->hyper->law[FIT_HYPER_BATCH].refusal ? SVG_POINT : SVG_LINE | SVG_POINT);
  svg_grid_begin(&g);
  for (int t = first; t < FIT_HYPER_TARGETS; t++) {
    const struct panel panel = {(enum fit_hyper_target)t, by_params};
    struct svg_plot one = *p;
    one.grid = &g;
    one.heading = t == FIT_HYPER_BATCH ? "Batch" : "Learning rate";
    law_axes(&one, r->hyper, &panel);
    snprintf(one.id, sizeof one.id, "clip-law-%d-%d", by_params, t);
    svg_begin(&one);
    draw_law(&one, r, &panel, &groups);
    svg_end(&one);
  }
  svg_grid_end(&g);
  return FIT_OK;
}

enum fit_status fit__plot_hyper_tokens(struct svg_plot *p, const struct fit_report *r, struct fit_error *err) {
  return plot_law(p, r, false, err);
}

enum fit_status fit__plot_hyper_params(struct svg_plot *p, const struct fit_report *r, struct fit_error *err) {
  return plot_law(p, r, true, err);
}
