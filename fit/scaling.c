#include "fit/scaling.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lsq.h"
#include "svg.h"

enum { TERMS = 3, PANELS = 4, CURVE = 60 };

double fit_scaling_seconds(const struct fit_scaling *s, double tokens, double batch) {
  return s->fixed + batch * tokens * (s->per_token + s->per_pair * tokens);
}

double fit_scaling_bytes(const struct fit_scaling *s, double tokens, double batch) {
  return s->bytes_fixed + batch * tokens * s->bytes_per_token;
}

// y of every row by the first n of (1, B n, B n^2), weighted for relative errors.
static bool fit_terms(const struct fit_scaling_row *rows, size_t count, bool bytes, int n, double *x, double *beta) {
  double *y = x + TERMS * count, *weight = y + count, inverse[TERMS * TERMS], rss;
  for (size_t i = 0; i < count; i++) {
    double terms[TERMS] = {1, rows[i].batch * rows[i].tokens, rows[i].batch * rows[i].tokens * rows[i].tokens};
    for (int k = 0; k < n; k++) x[i * (size_t)n + (size_t)k] = terms[k];
    y[i] = bytes ? rows[i].bytes : rows[i].seconds;
    weight[i] = 1 / (y[i] * y[i]);
    if (!(y[i] > 0)) return false;
  }
  return fit__least_squares(x, y, weight, count, n, beta, inverse, &rss);
}

enum fit_status fit_scaling(const struct fit_scaling_row *rows, size_t count, struct fit_scaling *out,
                            struct fit_error *err) {
  double seconds[TERMS], bytes[TERMS], *room = calloc((TERMS + 2) * (count + 1), sizeof *room);
  if (!room) return fit_fail(err, FIT_ERR_FAILED, "scaling: out of memory");
  bool ok = fit_terms(rows, count, false, TERMS, room, seconds) && fit_terms(rows, count, true, 2, room, bytes);
  free(room);
  if (!ok)
    return fit_fail(err, FIT_ERR_INPUT, "scaling: %zu rows do not determine how a step grows; tokens of three sizes do",
                    count);
  *out = (struct fit_scaling){.fixed = seconds[0],
                              .per_token = seconds[1],
                              .per_pair = seconds[2],
                              .bytes_fixed = bytes[0],
                              .bytes_per_token = bytes[1]};
  for (size_t i = 0; i < count; i++) {
    const struct fit_scaling_row *r = &rows[i];
    out->worst = fmax(out->worst, fabs(r->seconds / fit_scaling_seconds(out, r->tokens, r->batch) - 1));
    out->bytes_worst = fmax(out->bytes_worst, fabs(r->bytes / fit_scaling_bytes(out, r->tokens, r->batch) - 1));
  }
  return FIT_OK;
}

// ---- plots ---------------------------------------------------------------------------------------------------------
struct panel {
  const struct fit_scaling_row *rows;
  size_t count;
  const struct fit_scaling *s;
  bool batch, bytes; // against batch; of memory
};

static double x_of(const struct panel *p, const struct fit_scaling_row *r) { return p->batch ? r->batch : r->tokens; }

static double per_token(const struct fit_scaling_row *r, double value) { return value / (r->tokens * r->batch); }

// us or KiB per token at x, without attention where it is not asked for
static double law(const struct panel *p, double x, bool attention) {
  struct fit_scaling_row at = p->rows[0];
  struct fit_scaling s = *p->s;
  if (p->batch)
    at.batch = x;
  else
    at.tokens = x;
  if (!attention) s.per_pair = 0;
  return p->bytes ? per_token(&at, fit_scaling_bytes(&s, at.tokens, at.batch)) / 1024
                  : per_token(&at, fit_scaling_seconds(&s, at.tokens, at.batch)) * 1e6;
}

static double measured(const struct panel *p, const struct fit_scaling_row *r) {
  return p->bytes ? per_token(r, r->bytes) / 1024 : per_token(r, r->seconds) * 1e6;
}

static void draw_panel(struct svg_grid *g, const struct panel *p, int number) {
  double low = x_of(p, &p->rows[0]), high = low, most = 0, x[CURVE], all[CURVE], rest[CURVE];
  struct svg_plot plot = {.grid = g, .title = g->title};
  for (size_t i = 0; i < p->count; i++) {
    low = fmin(low, x_of(p, &p->rows[i]));
    high = fmax(high, x_of(p, &p->rows[i]));
    most = fmax(most, measured(p, &p->rows[i]));
  }
  snprintf(plot.id, sizeof plot.id, "clip-scaling-%d", number);
  plot.heading = p->bytes ? "Memory per token, KiB" : "Time per token, µs";
  plot.x =
      (struct svg_axis){.log = true, .unit = SVG_COUNT, .label = p->batch ? "samples per step" : "tokens per sample"};
  plot.y = (struct svg_axis){.label = ""};
  svg_axis_fit(&plot.x, low, high);
  svg_axis_fit(&plot.y, 0, most);
  plot.y.low = 0;
  for (int i = 0; i < CURVE; i++) {
    x[i] = low * pow(high / low, i / (CURVE - 1.0));
    all[i] = law(p, x[i], true);
    rest[i] = law(p, x[i], false);
  }
  svg_begin(&plot);
  svg_line(&plot, CURVE, x, all, SVG_BLUE, SVG_LINE);
  if (!p->bytes) svg_line(&plot, CURVE, x, rest, SVG_INK, SVG_DASHED);
  for (size_t i = 0; i < p->count; i++) {
    const struct fit_scaling_row *r = &p->rows[i];
    svg_point(&plot, x_of(p, r), measured(p, r), SVG_BLUE, 4, false);
    if (!p->bytes && isfinite(r->attention))
      svg_mark(&plot, x_of(p, r), measured(p, r) * (1 - r->attention), SVG_ORANGE, SVG_CROSS, 4);
  }
  svg_end(&plot);
}

enum fit_status fit_scaling_plot(const char *path, const struct fit_scaling_row *rows, size_t count, size_t split,
                                 const struct fit_scaling *s, struct fit_error *err) {
  struct fit_text text = {0};
  struct svg_grid g = {.out = &text,
                       .title = "A training step against tokens and batch",
                       .alone = true,
                       .width = 380,
                       .height = 260,
                       .count = count > split ? PANELS : PANELS / 2,
                       .columns = 2};
  svg_legend_add(&g.legend, SVG_BLUE, SVG_POINT, "measured");
  svg_legend_add(&g.legend, SVG_BLUE, SVG_LINE, "fitted");
  svg_legend_add(&g.legend, SVG_INK, SVG_DASHED, "fitted, without attention");
  svg_legend_add(&g.legend, SVG_ORANGE, SVG_CROSS, "measured, without attention");
  svg_grid_begin(&g);
  for (int i = 0; i < g.count; i++) {
    bool batch = i >= 2;
    draw_panel(&g,
               &(struct panel){.rows = batch ? rows + split : rows,
                               .count = batch ? count - split : split,
                               .s = s,
                               .batch = batch,
                               .bytes = i % 2 == 1},
               i);
  }
  svg_grid_end(&g);
  enum fit_status status = fit__file_write(path, &text, err);
  fit__text_free(&text);
  return status;
}
