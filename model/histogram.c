#include "histogram.h"

#include <math.h>
#include <string.h>

enum { SHIFT = 23 - 3, INFINITE = 0x7f800000 };

void histogram_add(struct histogram *h, const float *x, size_t n, double divisor) {
  double sum = 0, squares = 0, factor = 1 / divisor;
  float low = INFINITY, high = -INFINITY;
  uint64_t finite = 0;
  for (size_t i = 0; i < n; i++) {
    float v = (float)((double)x[i] * factor);
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    uint32_t size = bits & 0x7fffffff;
    if (size >= INFINITE) continue;
    // Below 0 a magnitude on an edge belongs to the bucket whose lower end it is: [-2, -1.875).  No branch: signs
    // are as good as random.
    uint32_t below = bits >> 31 & (size != 0);
    h->counts[below][(size - below) >> SHIFT]++;
    low = v < low ? v : low;
    high = v > high ? v : high;
    sum += (double)v;
    squares += (double)v * (double)v;
    finite++;
  }
  h->non_finite += n - finite;
  if (!finite) return;
  h->min = !h->num || (double)low < h->min ? (double)low : h->min;
  h->max = !h->num || (double)high > h->max ? (double)high : h->max;
  h->num += finite;
  h->sum += sum;
  h->sum_squares += squares;
}

// The least magnitude of a key's bucket.
static double edge(int key) { return key < 8 ? ldexp(key / 8.0, -126) : ldexp(1 + (key & 7) / 8.0, (key >> 3) - 127); }

static int emit(double low, double high, uint64_t n, int at, double *limit, double *count) {
  if (at && limit[at - 1] < low) {
    limit[at] = low;
    count[at++] = 0;
  }
  limit[at] = high;
  count[at] = (double)n;
  return at + 1;
}

int histogram_buckets(const struct histogram *h, double *limit, double *count) {
  int at = 0;
  for (int k = HISTOGRAM_KEYS - 1; k >= 0; k--)
    if (h->counts[1][k]) at = emit(-edge(k + 1), k ? -edge(k) : 0, h->counts[1][k], at, limit, count);
  for (int k = 0; k < HISTOGRAM_KEYS; k++)
    if (h->counts[0][k]) at = emit(edge(k), edge(k + 1), h->counts[0][k], at, limit, count);
  return at;
}
