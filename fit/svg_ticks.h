// Where an axis has its ticks, and what they say.
#ifndef FIT_SVG_TICKS_H
#define FIT_SVG_TICKS_H

#include "svg.h"

#define SVG_MAX_TICKS 48

// Ticks inside the range, at least `gap` apart on an axis `length` long.  step: between them where they are evenly
// spaced in value, else 0.
int svg_ticks(const struct svg_axis *a, double length, double gap, double value[SVG_MAX_TICKS], double *step);
// The power of ten that very small and very large numbers are divided by, to be told in the axis' label; 0: none.
int svg_tick_scale(const struct svg_axis *a, double step);
void svg_tick_text(const struct svg_axis *a, double value, double step, char text[48]);

// Place of a value: 0 at the low end, 1 at the high end.
double svg_along(const struct svg_axis *a, double value);

#endif
