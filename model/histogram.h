// Histograms of float tensors with eight buckets per octave: a float's sign, exponent and three first bits of its
// mantissa name its bucket.  Internal to model/.
#ifndef VKDM_HISTOGRAM_H
#define VKDM_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum { HISTOGRAM_KEYS = 255 * 8, HISTOGRAM_MOST = 4 * HISTOGRAM_KEYS };

struct histogram {
  uint64_t num, non_finite;           // non_finite: infinities and NaN, counted here alone
  double min, max, sum, sum_squares;  // min, max: 0 where num is 0
  uint64_t counts[2][HISTOGRAM_KEYS]; // of what is 0 or more; of what is below 0, by magnitude
};

// Adds x[0..n) / divisor, each rounded to a float.
void histogram_add(struct histogram *h, const float *x, size_t n, double divisor);

// Buckets in rising order: bucket i holds limit[i - 1] <= x < limit[i], the first one all below limit[0].  Runs of
// empty buckets are one.  limit, count: [HISTOGRAM_MOST].  Returns how many.
int histogram_buckets(const struct histogram *h, double *limit, double *count);

#endif
