// Texts beside the marks of a plot, each where it meets nothing else.
#ifndef FIT_SVG_LABELS_H
#define FIT_SVG_LABELS_H

#include "svg.h"

#define SVG_MAX_BOXES 600

struct svg_labels {
  struct svg_plot *plot; // between svg_begin and svg_end
  int count;
  struct svg_box {
    double left, right, top, bottom; // on the plot
  } box[SVG_MAX_BOXES];
};

// A mark of that radius, which no text may cover: first all marks, then the texts.
void svg_labels_mark(struct svg_labels *l, double x, double y, double radius);
// A text for such a mark, with a thin line to it where it stands off.  False: no place is left, and nothing is drawn.
bool svg_labels_add(struct svg_labels *l, double x, double y, double radius, const char *text);

#endif
