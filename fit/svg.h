// A small SVG plot writer: one frame with two axes, lines, points, bands and a legend beside it.
#ifndef FIT_SVG_H
#define FIT_SVG_H

#include <stdbool.h>

#include "text.h"

#define SVG_COLOURS 8

enum svg_unit { SVG_PLAIN, SVG_COUNT, SVG_POWER }; // 0.52 | 1 M, 20 B | 10 to the n

struct svg_axis {
  double low, high; // low < high, above 0 on a logarithmic axis
  bool log;
  enum svg_unit unit;
  const char *label;
};

struct svg_plot {
  struct fit_text *out;
  const char *id;    // unique in its page
  const char *title; // for screen readers
  struct svg_axis x, y;
  const char *legend_title; // NULL: no legend, and the frame takes its place
  int legend_rows;          // so far
};

// Style of the classes used here.  A plot that stands alone carries it; a page includes it once.
extern const char svg_style[];

// Ranges grown by a margin, and a degenerate range opened.
void svg_axis_fit(struct svg_axis *a, double low, double high);

void svg_begin(struct svg_plot *p, bool alone);
// colour: 0 .. SVG_COLOURS-1, in order of size; -1 the ink
void svg_line(struct svg_plot *p, int count, const double *x, const double *y, int colour, bool dashed);
void svg_band(struct svg_plot *p, int count, const double *x, const double *low, const double *high, int colour);
void svg_point(struct svg_plot *p, double x, double y, int colour, double radius, bool faint);
enum svg_mark { SVG_LINE = 1, SVG_DASHED = 2, SVG_POINT = 4, SVG_BAND = 8 };
void svg_legend(struct svg_plot *p, int colour, int marks, const char *text);
void svg_end(struct svg_plot *p);

// "17 M", "1.07 B": a count with its unit, 3 significant digits.
void svg_count(double value, char text[24]);

#endif
