#include "stats.h"

#include <math.h>
#include <stdlib.h>

uint64_t fit__random(uint64_t *state) {
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

uint64_t fit__random_stream(uint64_t seed, uint64_t which) {
  uint64_t state = seed;
  return fit__random(&state) + which * 0xd1342543de82ef95u;
}

int fit__by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

struct fit_interval fit__interval(double *value, int count, double level) {
  double mean = 0, square = 0, bound[2];
  for (int i = 0; i < count; i++) mean += value[i] / count;
  for (int i = 0; i < count; i++) square += (value[i] - mean) * (value[i] - mean);
  qsort(value, (size_t)count, sizeof *value, fit__by_value);
  for (int side = 0; side < 2; side++) {
    double at = (side ? 1 + level : 1 - level) / 2 * (count - 1);
    int low = (int)at < count - 1 ? (int)at : count - 2;
    bound[side] = value[low] + (at - low) * (value[low + 1] - value[low]);
  }
  return (struct fit_interval){bound[0], bound[1], sqrt(square / (count - 1))};
}

bool fit__cholesky(int n, double *a) {
  for (int j = 0; j < n; j++)
    for (int k = 0; k <= j; k++) {
      double v = a[j * n + k], whole = v;
      for (int m = 0; m < k; m++) v -= a[j * n + m] * a[k * n + m];
      if (j == k && !(v > 1e-13 * whole && v > 0)) return false;
      a[j * n + k] = j == k ? sqrt(v) : v / a[k * n + k];
    }
  return true;
}

void fit__cholesky_solve(int n, const double *l, double *y) {
  for (int j = 0; j < n; j++) {
    for (int k = 0; k < j; k++) y[j] -= l[j * n + k] * y[k];
    y[j] /= l[j * n + j];
  }
  for (int j = n - 1; j >= 0; j--) {
    for (int k = j + 1; k < n; k++) y[j] -= l[k * n + j] * y[k];
    y[j] /= l[j * n + j];
  }
}

// One rotation that makes a[p][q] zero.
static void rotate(int n, double *a, int p, int q) {
  double apq = a[p * n + q];
  if (apq == 0) return;
  double theta = (a[q * n + q] - a[p * n + p]) / (2 * apq);
  double t = copysign(1, theta) / (fabs(theta) + sqrt(theta * theta + 1)), c = 1 / sqrt(t * t + 1), s = t * c;
  for (int k = 0; k < n; k++) {
    double kp = a[k * n + p], kq = a[k * n + q];
    a[k * n + p] = c * kp - s * kq;
    a[k * n + q] = s * kp + c * kq;
  }
  for (int k = 0; k < n; k++) {
    double pk = a[p * n + k], qk = a[q * n + k];
    a[p * n + k] = c * pk - s * qk;
    a[q * n + k] = s * pk + c * qk;
  }
}

void fit__eigenvalues(int n, double *a, double *value) {
  for (int sweep = 0; sweep < 60; sweep++) { // quadratic convergence: some eight are enough
    double off = 0, all = 0;
    for (int p = 0; p < n; p++)
      for (int q = 0; q < n; q++) {
        all += fabs(a[p * n + q]);
        if (p != q) off += fabs(a[p * n + q]);
      }
    if (!(off > 1e-300 + 1e-30 * all)) break;
    for (int p = 0; p < n; p++)
      for (int q = p + 1; q < n; q++) rotate(n, a, p, q);
  }
  for (int j = 0; j < n; j++) value[j] = a[j * n + j];
  qsort(value, (size_t)n, sizeof *value, fit__by_value);
}
