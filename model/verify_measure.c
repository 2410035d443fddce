// Differences, and the report that they go into.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "verify_internal.h"

double verify_relative(const float *x, const float *ref, uint64_t n) {
  double d2 = 0, r2 = 0;
  for (uint64_t i = 0; i < n; i++) {
    double d = (double)x[i] - (double)ref[i];
    d2 += d * d;
    r2 += (double)ref[i] * (double)ref[i];
  }
  return r2 > 0 ? sqrt(d2 / r2) : sqrt(d2);
}

double verify_largest(const float *x, const float *ref, uint64_t n) {
  double worst = 0;
  for (uint64_t i = 0; i < n; i++) {
    double d = fabs((double)x[i] - (double)ref[i]);
    if (!(d <= worst)) worst = d; // keeps a NaN
    if (isnan(worst)) break;
  }
  return worst;
}

double verify_checks_difference(const float *x, uint64_t n, const double ref[3]) {
  double sum = 0, square = 0, wave = 0;
  for (uint64_t i = 0; i < n; i++) {
    double v = (double)x[i];
    sum += v;
    square += v * v;
    wave += v * cos(0.37 * (double)i);
  }
  double a = fabs(sum - ref[0]), b = fabs(sqrt(square) - ref[1]), c = fabs(wave - ref[2]);
  return isnan(a + b + c) ? NAN : fmax(a, fmax(b, c));
}

enum vkd_status verify_add_row(struct verify *v, enum verify_group group, enum verify_measure measure, const char *name,
                               double error, double tolerance, struct vkd_error *err) {
  struct verify_report *r = v->report;
  if ((r->count & (r->count - 1)) == 0) {
    struct verify_row *more = realloc(r->rows, (size_t)(r->count ? 2 * r->count : 1) * sizeof *more);
    if (!more) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a report");
    r->rows = more;
  }
  struct verify_row *row = &r->rows[r->count++];
  *row = (struct verify_row){
      .group = group, .measure = measure, .error = error, .tolerance = tolerance, .pass = error <= tolerance};
  snprintf(row->name, sizeof row->name, "%s", name);
  r->failed += !row->pass;
  return VKD_OK;
}
