#include "fit/roofline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "svg_labels.h"

enum { ROOF_POINTS = 96 };

static bool is_drawn(const struct fit_roofline_row *row) {
  return row->flops > 0 && row->bytes > 0 && row->seconds > 0 && isfinite(row->flops / row->bytes) &&
         isfinite(row->flops / row->seconds);
}

static double intensity(const struct fit_roofline_row *row) { return row->flops / row->bytes; }
static double rate(const struct fit_roofline_row *row) { return row->flops / row->seconds * 1e-9; }

static int by_time(const void *a, const void *b) {
  const struct fit_roofline_row *x = *(const struct fit_roofline_row *const *)a,
                                *y = *(const struct fit_roofline_row *const *)b;
  return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

static double radius_of(const struct fit_roofline_row *row, double seconds) {
  return fmax(2.5, 22 * sqrt(row->seconds / seconds));
}

static void fill_axes(struct svg_plot *p, const struct fit_roofline *r, const struct fit_roofline_row *const *drawn,
                      size_t count) {
  double ridge = r->peak_flops / r->peak_bytes, low = ridge, high = ridge, least = r->peak_flops * 1e-9, most = least;
  for (size_t i = 0; i < count; i++) {
    low = fmin(low, intensity(drawn[i]));
    high = fmax(high, intensity(drawn[i]));
    least = fmin(least, rate(drawn[i]));
    most = fmax(most, rate(drawn[i])); // a cache may beat the memory
  }
  p->x = (struct svg_axis){.log = true, .label = "FLOPs per byte"};
  p->y = (struct svg_axis){.log = true, .label = "GFLOP/s"};
  svg_axis_fit(&p->x, low / 1.6, high * 2.5);
  svg_axis_fit(&p->y, least / 1.6, most * 1.6);
}

static void fill_legend(struct svg_plot *p, const struct fit_roofline *r, double seconds) {
  double others = 0;
  int count = 0;
  for (size_t i = 0; i < r->count; i++) {
    if (is_drawn(&r->rows[i]) || !(r->rows[i].seconds > 0)) continue;
    others += r->rows[i].seconds;
    count++;
  }
  svg_legend_add(&p->legend, SVG_INK, SVG_LINE, "%.4g GFLOP/s: peak", r->peak_flops * 1e-9);
  svg_legend_add(&p->legend, SVG_INK, SVG_DASHED, "%.4g GB/s: peak", r->peak_bytes * 1e-9);
  svg_legend_add(&p->legend, SVG_BLUE, SVG_POINT, "bound by arithmetic");
  svg_legend_add(&p->legend, SVG_ORANGE, SVG_POINT, "bound by memory");
  svg_legend_add(&p->legend, SVG_INK, 0, "area: share of the time");
  if (count) svg_legend_add(&p->legend, SVG_INK, 0, "%.1f %% without FLOPs", 100 * others / seconds);
}

static void draw(struct svg_plot *p, const struct fit_roofline *r, const struct fit_roofline_row *const *drawn,
                 size_t count, double seconds) {
  double ridge = r->peak_flops / r->peak_bytes, top = r->peak_flops * 1e-9;
  const double slope_x[] = {p->x.low, ridge}, slope_y[] = {p->x.low * r->peak_bytes * 1e-9, top};
  const double flat_x[] = {ridge, p->x.high}, flat_y[] = {top, top};
  struct svg_labels labels = {.plot = p};
  svg_begin(p);
  svg_line(p, 2, slope_x, slope_y, SVG_INK, SVG_DASHED);
  svg_line(p, 2, flat_x, flat_y, SVG_INK, SVG_LINE);
  for (size_t i = 0; i < count; i++) { // the dearest first, so that small marks lie on large ones
    double radius = radius_of(drawn[i], seconds);
    svg_point(p, intensity(drawn[i]), rate(drawn[i]), intensity(drawn[i]) < ridge ? SVG_ORANGE : SVG_BLUE, radius,
              radius > 10);
    svg_labels_mark(&labels, intensity(drawn[i]), rate(drawn[i]), radius);
  }
  for (int k = 0; k <= ROOF_POINTS; k++) { // no name across a roof
    double x = p->x.low * pow(p->x.high / p->x.low, (double)k / ROOF_POINTS);
    svg_labels_mark(&labels, x, fmin(x * r->peak_bytes, r->peak_flops) * 1e-9, 3);
  }
  for (size_t i = 0; i < count; i++)
    svg_labels_add(&labels, intensity(drawn[i]), rate(drawn[i]), radius_of(drawn[i], seconds), drawn[i]->name);
  svg_end(p);
}

enum fit_status fit_roofline_write(const char *path, const struct fit_roofline *r, struct fit_error *err) {
  if (!(r->peak_flops > 0 && r->peak_bytes > 0 && isfinite(r->peak_flops) && isfinite(r->peak_bytes)))
    return fit_fail(err, FIT_ERR_INPUT, "a roofline needs the device's peaks, and they are %g FLOP/s and %g bytes/s",
                    r->peak_flops, r->peak_bytes);
  const struct fit_roofline_row **drawn = calloc(r->count + 1, sizeof *drawn);
  if (!drawn) return fit_fail(err, FIT_ERR_FAILED, "no memory for %zu rows", r->count);
  size_t count = 0;
  double seconds = 0;
  for (size_t i = 0; i < r->count; i++) {
    if (r->rows[i].seconds > 0) seconds += r->rows[i].seconds;
    if (is_drawn(&r->rows[i])) drawn[count++] = &r->rows[i];
  }
  enum fit_status status = count ? FIT_OK : fit_fail(err, FIT_ERR_INPUT, "a roofline needs rows with FLOPs and times");
  if (!status) {
    struct fit_text text = {0};
    struct svg_plot p = {.out = &text, .id = "clip-roofline", .title = r->title, .alone = true};
    qsort(drawn, count, sizeof *drawn, by_time);
    fill_axes(&p, r, drawn, count);
    fill_legend(&p, r, seconds);
    draw(&p, r, drawn, count, seconds);
    status = fit__file_write(path, &text, err);
    fit__text_free(&text);
  }
  free(drawn);
  return status;
}
