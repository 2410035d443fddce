// A small SVG plot writer: one frame with two axes, lines, points, bands and a legend; alone as a file, or inline in a
// page, where the legend is text of the page above the plot.
#ifndef FIT_SVG_H
#define FIT_SVG_H

#include <stdbool.h>

#include "fit/report.h"
#include "text.h"

// Colours: 0 .. SVG_RAMP-1 in order of size, by rising lightness, so that the order survives colour blindness and
// print; then a few that differ in kind (Okabe & Ito 2008); SVG_INK is the text's.
#define SVG_RAMP 8
enum { SVG_INK = -1, SVG_BLUE = SVG_RAMP, SVG_ORANGE, SVG_GREEN, SVG_PINK };

enum svg_unit { SVG_PLAIN, SVG_COUNT, SVG_POWER }; // 0.52 | 1 M, 20 B | 10 to the n

struct svg_axis {
  double low, high; // low < high, above 0 on a logarithmic axis
  bool log;
  enum svg_unit unit;
  const char *label;
};

enum svg_mark {
  SVG_LINE = 1,
  SVG_DASHED = 2,
  SVG_DOTTED = 4,
  SVG_BAND = 8,
  SVG_POINT = 16,
  SVG_HOLLOW = 32,
  SVG_CROSS = 64,
  SVG_DIAMOND = 128,
};

#define SVG_LEGEND_ROWS 20
#define SVG_NOTE_WIDTH 44 // bytes of a line of a panel's note

struct svg_legend {
  const char *title;
  int count;
  struct svg_key {
    int colour, marks;
    char text[64];
  } row[SVG_LEGEND_ROWS];
};
void svg_legend_add(struct svg_legend *l, int colour, int marks, const char *fmt, ...) // more rows than fit are dropped
#if defined(__GNUC__)
    __attribute__((format(printf, 4, 5)))
#endif
    ;

// Panels side by side, one legend for all.
struct svg_grid {
  struct fit_text *out;
  const char *title;
  struct svg_legend legend; // filled before svg_grid_begin
  int count, columns;       // panels; of a file: how many side by side
  bool alone, two_lines;    // two_lines: some panel's note needs them
  double width, height;     // of a panel
  int next;
};

struct svg_plot {
  struct fit_text *out;
  char id[32];          // unique in its page
  const char *title;    // for screen readers
  struct svg_axis x, y; // set before svg_begin, as is the legend
  struct svg_legend legend;
  bool alone;
  struct svg_grid *grid;                          // NULL: a plot of its own
  const char *heading, *note;                     // of a panel: a line, and up to two more
  double left, right, top, bottom, width, height; // set by svg_begin: the frame, and all
};

// Style of the classes used here: fit_plot_style.  A plot that stands alone carries it; a page includes it once.

// Ranges grown by a margin, and a degenerate range opened.
void svg_axis_fit(struct svg_axis *a, double low, double high);

void svg_begin(struct svg_plot *p);
void svg_line(struct svg_plot *p, int count, const double *x, const double *y, int colour, enum svg_mark style);
void svg_thin(struct svg_plot *p, int count, const double *x, const double *y, int colour); // error bars, contours
void svg_band(struct svg_plot *p, int count, const double *x, const double *low, const double *high, int colour);
void svg_point(struct svg_plot *p, double x, double y, int colour, double radius, bool faint);
void svg_mark(struct svg_plot *p, double x, double y, int colour, enum svg_mark mark, double radius);
void svg_end(struct svg_plot *p);

// Where a value lies on the plot; and what is drawn there: a text that begins at px, its middle at py, a line to it.
void svg_place(const struct svg_plot *p, double x, double y, double *px, double *py);
void svg_text(struct svg_plot *p, double px, double py, const char *text);
void svg_leader(struct svg_plot *p, double px, double py, double to_px, double to_py);

void svg_grid_begin(struct svg_grid *g);
void svg_grid_end(struct svg_grid *g);

// "17 M", "1.07 B": a count with its unit, 3 significant digits; as svg_power beyond a thousand T and under 0.01.
void svg_count(double value, char text[24]);
// "2.1·10²⁰": to 2 significant digits.
void svg_power(double value, char text[48]);

#endif
