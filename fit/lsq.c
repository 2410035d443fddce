#include "lsq.h"

#include <math.h>

#include "stats.h"

#define DEPENDENT 1e-5 // length of a column, of 1, that the columns before it leave: below, it is rounding

// Columns scaled to length 1, then Cholesky of the normal equations.
bool fit__least_squares(const double *x, const double *y, const double *weight, size_t rows, int n, double *beta,
                        double *inverse, double *rss) {
  double a[FIT_MAX_HESSIAN] = {0}, to[FIT_MAX_PARAMS] = {0}, scale[FIT_MAX_PARAMS], z[FIT_MAX_PARAMS];
  for (size_t i = 0; i < rows; i++)
    for (int j = 0; j < n; j++) {
      double wv = (weight ? weight[i] : 1) * x[i * (size_t)n + (size_t)j];
      to[j] += wv * y[i];
      for (int k = 0; k <= j; k++) a[j * n + k] += wv * x[i * (size_t)n + (size_t)k];
    }
  for (int j = 0; j < n; j++) {
    if (!(a[j * n + j] > 0 && a[j * n + j] < INFINITY && isfinite(to[j]))) return false;
    scale[j] = 1 / sqrt(a[j * n + j]);
  }
  for (int j = 0; j < n; j++)
    for (int k = 0; k <= j; k++) a[j * n + k] *= scale[j] * scale[k];
  if (!fit__cholesky(n, a)) return false;
  for (int j = 0; j < n; j++) {
    if (!(a[j * n + j] > DEPENDENT)) return false;
    beta[j] = to[j] * scale[j];
  }
  fit__cholesky_solve(n, a, beta);
  for (int j = 0; j < n; j++) beta[j] *= scale[j];
  for (int c = 0; c < n; c++) {
    for (int j = 0; j < n; j++) z[j] = j == c;
    fit__cholesky_solve(n, a, z);
    for (int j = 0; j < n; j++) inverse[j * n + c] = z[j] * scale[j] * scale[c];
  }
  *rss = 0;
  for (size_t i = 0; i < rows; i++) {
    double r = y[i];
    for (int j = 0; j < n; j++) r -= x[i * (size_t)n + (size_t)j] * beta[j];
    *rss += (weight ? weight[i] : 1) * r * r;
  }
  return true;
}
