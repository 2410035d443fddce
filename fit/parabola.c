#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "isoflop_internal.h"
#include "stats.h"

#define SAME_COMPUTE 1e-3  // rows closer than this in ln C need no column for it
#define ROWS_FOR_COMPUTE 6 // and fewer rows than this bear none

static void row_of(const struct fit_parabola *p, const struct fit_iso_row *r, double *column) {
  double x = (r->n - p->centre) / p->scale;
  double all[FIT_ISO_COLUMNS] = {1, x, x * x, p->compute ? r->c : 0};
  memcpy(column, all, sizeof all);
}

// The sizes' count and ends, and the scale of x.
static bool survey(struct fit_parabola *p, const struct fit_iso_row *row, int count, struct fit_budget *b) {
  double *n = malloc((size_t)count * sizeof *n), low = INFINITY, high = -INFINITY;
  if (!n) return false;
  p->centre = p->scale = 0;
  b->sizes = 0;
  for (int i = 0; i < count; i++) {
    n[i] = row[i].n;
    p->centre += row[i].n / count;
    low = fmin(low, row[i].c);
    high = fmax(high, row[i].c);
  }
  qsort(n, (size_t)count, sizeof *n, fit__by_value);
  for (int i = 0; i < count; i++) b->sizes += !i || n[i] > n[i - 1] + 1e-6;
  b->smallest = exp(n[0]);
  b->largest = exp(n[count - 1]);
  p->scale = fmax(fmax(n[count - 1] - p->centre, p->centre - n[0]), 1e-9);
  p->compute = count >= ROWS_FOR_COMPUTE && high - low > SAME_COMPUTE;
  free(n);
  return true;
}

// Least squares; false where the columns are not independent.  inverse: the diagonal of the normal matrix's inverse.
static bool project(struct fit_parabola *p, const struct fit_iso_row *row, double *inverse) {
  int k = p->columns = p->compute ? FIT_ISO_COLUMNS : FIT_ISO_COMPUTE;
  double m[FIT_ISO_COLUMNS * FIT_ISO_COLUMNS] = {0}, column[FIT_ISO_COLUMNS];
  for (int i = 0; i < p->count; i++) {
    row_of(p, &row[i], column);
    for (int a = 0; a < k; a++)
      for (int b = 0; b < k; b++) m[a * k + b] += column[a] * column[b];
  }
  if (!fit__cholesky(k, m)) return false;
  memset(p->coefficient, 0, sizeof p->coefficient);
  for (int i = 0; i < p->count; i++) {
    double y[FIT_ISO_COLUMNS];
    row_of(p, &row[i], column);
    memcpy(y, column, sizeof y);
    fit__cholesky_solve(k, m, y);
    memset(p->solve[i], 0, sizeof *p->solve);
    p->leverage[i] = 0;
    for (int a = 0; a < k; a++) {
      p->solve[i][a] = y[a];
      p->leverage[i] += column[a] * y[a];
      p->coefficient[a] += row[i].y * y[a];
    }
  }
  for (int a = 0; a < k; a++) {
    double unit[FIT_ISO_COLUMNS] = {0};
    unit[a] = 1;
    fit__cholesky_solve(k, m, unit);
    inverse[a] = unit[a];
  }
  return true;
}

// Variance of the errors.
static double residuals(struct fit_parabola *p, const struct fit_iso_row *row, struct fit_budget *b) {
  double square = 0;
  for (int i = 0; i < p->count; i++) {
    double column[FIT_ISO_COLUMNS];
    row_of(p, &row[i], column);
    p->residual[i] = row[i].y;
    for (int k = 0; k < FIT_ISO_COLUMNS; k++) p->residual[i] -= column[k] * p->coefficient[k];
    square += p->residual[i] * p->residual[i];
  }
  b->rms = sqrt(square / p->count);
  return square / (p->count - p->columns);
}

static double polynomial(const double *c, double x) { return c[0] + x * (c[1] + x * c[2]); }

static double minimum_of(const double *c) { return c[FIT_ISO_X2] > 0 ? -c[FIT_ISO_X] / (2 * c[FIT_ISO_X2]) : NAN; }

double fit__parabola_vertex(const struct fit_parabola *p, const double *c, const struct fit_budget *b) {
  double low = log(b->smallest), high = log(b->largest), at = p->centre + p->scale * minimum_of(c);
  return isnan(at) ? NAN : fmin(fmax(at, low - (high - low)), high + (high - low));
}

static enum fit_budget_status judge(const struct fit_parabola *p, const struct fit_budget *b) {
  double at = p->centre + p->scale * minimum_of(p->coefficient);
  if (isnan(at)) return FIT_BUDGET_NO_MINIMUM;
  if (!(b->curvature >= 2 * b->curvature_sd)) return FIT_BUDGET_FLAT;
  if (!(at > log(b->smallest))) return FIT_BUDGET_MINIMUM_AT_SMALLEST;
  return at < log(b->largest) ? FIT_BUDGET_ACCEPTED : FIT_BUDGET_MINIMUM_AT_LARGEST;
}

bool fit__parabola_fit(struct fit_parabola *p, const struct fit_iso_row *row, int count, struct fit_budget *b) {
  double inverse[FIT_ISO_COLUMNS] = {0}, tokens[FIT_ISO_COLUMNS] = {0}, slope = 0;
  *p = (struct fit_parabola){.count = count};
  b->status = FIT_BUDGET_TOO_FEW_SIZES;
  b->points = count;
  b->params = b->tokens = b->loss = b->curvature = b->curvature_sd = b->rms = b->params_sd = NAN;
  b->params_interval = (struct fit_interval){NAN, NAN, NAN};
  if (!count) return true;
  if (!survey(p, row, count, b)) return false;
  if (b->sizes < FIT_ISOFLOP_SIZES) return true;
  p->solve = calloc((size_t)count, sizeof *p->solve);
  p->leverage = calloc(2 * (size_t)count, sizeof *p->leverage);
  if (!p->solve || !p->leverage) return false;
  p->residual = p->leverage + count;
  if (!project(p, row, inverse)) { // the compute follows the size: its column says nothing new
    p->compute = false;
    if (!project(p, row, inverse)) return true;
  }
  double variance = residuals(p, row, b);
  const double *c = p->coefficient;
  b->centre = p->centre;
  for (int k = 0; k <= FIT_ISO_X2; k++) b->coefficient[k] = c[k] / pow(p->scale, k);
  b->curvature = 2 * c[FIT_ISO_X2] / (p->scale * p->scale);
  b->curvature_sd = 2 * sqrt(variance * inverse[FIT_ISO_X2]) / (p->scale * p->scale);
  if ((b->status = judge(p, b))) return true;
  double x = minimum_of(c), bend = 2 * c[FIT_ISO_X2];
  for (int i = 0; i < count; i++) { // the minimum moves by the change of the slope over the curvature there
    const double *s = p->solve[i];
    slope += pow((s[FIT_ISO_X] + x * 2 * s[FIT_ISO_X2]) / bend, 2);
    for (int k = 0; k < FIT_ISO_COLUMNS; k++) tokens[k] += row[i].t * s[k];
  }
  b->params = exp(p->centre + p->scale * x);
  b->tokens = exp(polynomial(tokens, x));
  b->loss = polynomial(c, x);
  b->params_sd = p->scale * sqrt(variance * slope);
  return true;
}

void fit__parabola_free(struct fit_parabola *p) {
  free(p->solve);
  free(p->leverage);
  *p = (struct fit_parabola){0};
}
