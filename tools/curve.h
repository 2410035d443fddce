// A line of any length kept in few points: means of equally many values each, twice as many when it is full.
#ifndef VKDIT_CURVE_H
#define VKDIT_CURVE_H

#include <jansson.h>

enum { CURVE_POINTS = 512 };

struct curve {
  int count, each, filling; // points; values of each; values in the sums of the next one
  double x[CURVE_POINTS], y[CURVE_POINTS], x_sum, y_sum;
};

void curve_add(struct curve *c, double x, double y); // a zeroed struct is an empty curve

// [[x...], [y...]] with at most `most` points, and the newest values' mean at the end.  A new reference; NULL: no
// memory
json_t *curve_json(const struct curve *c, int most);

#endif
