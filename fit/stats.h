// Small numerical tools of this folder: seeded draws, percentiles, dense symmetric matrices of a few rows.
#ifndef FIT_STATS_H
#define FIT_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "fit/solve.h"

// SplitMix64 (Steele et al. 2014).  Streams of one seed are far apart, so replicate r's draws depend on (seed, r)
// alone.
uint64_t fit__random(uint64_t *state);
uint64_t fit__random_stream(uint64_t seed, uint64_t which); // the state at which stream `which` begins

int fit__by_value(const void *a, const void *b); // doubles, for qsort

// Percentiles by linear interpolation between order statistics, and the standard deviation.  Sorts value [count >= 2].
struct fit_interval fit__interval(double *value, int count, double level);

// a [n][n] symmetric, of which the lower half is read, becomes L with a = L L^T.  False: not positive definite (a pivot
// under 1e-13 of its diagonal).
bool fit__cholesky(int n, double *a);
void fit__cholesky_solve(int n, const double *l, double *y); // y := a^-1 y

// Eigenvalues of a symmetric matrix by Jacobi rotations, in rising order; a [n][n] is overwritten.
void fit__eigenvalues(int n, double *a, double *value);

#endif
