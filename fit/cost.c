#include "fit/cost.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "svg.h"

static int by_steps(const void *pa, const void *pb) {
  const struct fit_cost_row *a = pa, *b = pb;
  if (a->steps != b->steps) return a->steps < b->steps ? -1 : 1;
  return (a->params > b->params) - (a->params < b->params);
}

// Rows [first, the returned one) have one number of steps.
static size_t group_end(const struct fit_cost_row *row, size_t first, size_t count) {
  size_t end = first;
  while (end < count && row[end].steps == row[first].steps) end++;
  return end;
}

static void fill_axes(struct svg_plot *p, const struct fit_cost_row *row, size_t count) {
  double x[2] = {INFINITY, 0}, y[2] = {INFINITY, 0};
  for (size_t i = 0; i < count; i++) {
    x[0] = fmin(x[0], row[i].seconds);
    x[1] = fmax(x[1], row[i].seconds);
    y[0] = fmin(y[0], row[i].loss);
    y[1] = fmax(y[1], row[i].loss);
  }
  p->x = (struct svg_axis){.log = true, .unit = SVG_POWER, .label = "seconds per sample"};
  p->y = (struct svg_axis){.label = "held-out loss"};
  svg_axis_fit(&p->x, x[0] / 1.2, x[1] * 1.2);
  svg_axis_fit(&p->y, y[0], y[1]);
}

// row: sorted; x, y: room for all.
static void draw(struct svg_plot *p, const struct fit_cost_row *row, size_t count, double *x, double *y) {
  int groups = 0, k = 0;
  for (size_t i = 0; i < count; i = group_end(row, i, count)) groups++;
  p->legend.title = "sampler steps";
  for (size_t i = 0; i < count; i = group_end(row, i, count))
    svg_legend_add(&p->legend, k++ * (SVG_RAMP - 1) / (groups > 1 ? groups - 1 : 1), SVG_LINE | SVG_POINT, "%d",
                   row[i].steps);
  svg_begin(p);
  k = 0;
  for (size_t i = 0, end; i < count; i = end, k++) {
    int colour = k * (SVG_RAMP - 1) / (groups > 1 ? groups - 1 : 1);
    end = group_end(row, i, count);
    for (size_t j = i; j < end; j++) {
      x[j] = row[j].seconds;
      y[j] = row[j].loss;
    }
    svg_line(p, (int)(end - i), x + i, y + i, colour, SVG_LINE);
    for (size_t j = i; j < end; j++) svg_point(p, x[j], y[j], colour, 4, false);
  }
  svg_end(p);
}

enum fit_status fit_cost_plot(const struct fit_cost_row *rows, size_t count, bool alone, char **svg,
                              struct fit_error *err) {
  struct fit_cost_row *row = malloc((count + 1) * sizeof *row);
  double *xy = malloc((2 * count + 1) * sizeof *xy);
  size_t kept = 0;
  enum fit_status status = FIT_OK;
  *svg = NULL;
  for (size_t i = 0; row && i < count; i++)
    if (rows[i].seconds > 0 && rows[i].seconds < INFINITY && rows[i].loss > 0 && rows[i].loss < INFINITY)
      row[kept++] = rows[i];
  if (!row || !xy) {
    status = fit_fail(err, FIT_ERR_FAILED, "no memory for %zu rows", count);
  } else if (!kept) {
    status = fit_fail(err, FIT_ERR_INPUT, "no row has a loss and a time");
  } else {
    struct fit_text text = {0};
    struct svg_plot p = {.out = &text, .id = "clip-cost", .title = "Loss against the time of a sample", .alone = alone};
    qsort(row, kept, sizeof *row, by_steps);
    fill_axes(&p, row, kept);
    draw(&p, row, kept, xy, xy + kept);
    if (text.failed)
      status = fit_fail(err, FIT_ERR_FAILED, "no memory for a drawing");
    else
      *svg = text.data;
    if (text.failed) fit__text_free(&text);
  }
  free(xy);
  free(row);
  return status;
}
