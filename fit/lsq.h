// Weighted linear least squares of a few columns.
#ifndef FIT_LSQ_H
#define FIT_LSQ_H

#include <stdbool.h>
#include <stddef.h>

#include "fit/laws.h"

// Minimises sum_i weight_i * (y_i - x_i.beta)^2.  x: [rows][n], n <= FIT_MAX_PARAMS; weight: [rows], 0 or more, or NULL
// for ones.  inverse: [n][n] of X'WX; *rss: the weighted sum left.  False: the columns are linearly dependent (to 1e-5
// of their length) or not finite.
bool fit__least_squares(const double *x, const double *y, const double *weight, size_t rows, int n, double *beta,
                        double *inverse, double *rss);

#endif
