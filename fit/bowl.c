#include "fit/bowl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lsq.h"
#include "stats.h"

#define COEFFICIENTS 6 // 1, u, v, u^2, u*v, v^2 of the centred and scaled ln B, ln lr
#define OF_RATES 3     // 1, v, v^2
#define DISTINCT 0.01  // values nearer than this in ln are one

const char *fit_refusal_text(enum fit_refusal refusal) {
  static const char *const text[] = {"accepted",
#define X(code, words) words,
                                     FIT_REFUSAL_MAP(X)
#undef X
  };
  return (unsigned)refusal < FIT_REFUSAL_COUNT ? text[refusal] : "unknown";
}

struct key {
  double params, tokens;
  size_t row;
};

static int by_key(const void *pa, const void *pb) {
  const struct key *a = pa, *b = pb;
  if (a->params != b->params) return a->params < b->params ? -1 : 1;
  if (a->tokens != b->tokens) return a->tokens < b->tokens ? -1 : 1;
  return a->row < b->row ? -1 : a->row > b->row;
}

enum fit_status fit_cells_make(const struct fit_runs *runs, struct fit_cells *out, struct fit_error *err) {
  size_t room = runs->count ? runs->count : 1, count = 0;
  struct key *key = malloc(room * sizeof *key);
  *out = (struct fit_cells){.cell = malloc(room * sizeof *out->cell), .row = malloc(room * sizeof *out->row)};
  enum fit_status status = FIT_OK;
  if (!key || !out->cell || !out->row) {
    status = fit_fail(err, FIT_ERR_FAILED, "no memory for the cells of %zu rows", runs->count);
    goto fail;
  }
  for (size_t i = 0; i < runs->count; i++) {
    const struct fit_run *r = &runs->row[i];
    if (r->batch_tokens > 0 && r->batch_tokens < INFINITY && r->lr > 0 && r->lr < INFINITY)
      key[count++] = (struct key){r->params, r->tokens, i};
    else
      out->without++;
  }
  if (!count) {
    status = fit_fail(err, FIT_ERR_INPUT, "no row has a batch_tokens and a lr above 0; hyperparameter laws need both");
    goto fail;
  }
  qsort(key, count, sizeof *key, by_key);
  struct fit_cell *cell = NULL;
  double first = 0;
  out->one_batch = true;
  for (size_t i = 0; i < count; i++) {
    const struct fit_run *a = &runs->row[key[0].row], *b = &runs->row[key[i].row];
    out->one_batch = out->one_batch && fabs(log(b->batch_tokens / a->batch_tokens)) <= DISTINCT;
    if (!cell || key[i].params != cell->params || key[i].tokens > first * (1 + FIT_CELL_TOLERANCE)) {
      cell = &out->cell[out->count++];
      *cell = (struct fit_cell){.params = key[i].params, .first = i};
      first = key[i].tokens;
    }
    cell->tokens += (key[i].tokens - cell->tokens) / (double)++cell->count;
    out->row[i] = key[i].row;
  }
  free(key);
  return FIT_OK;
fail:
  free(key);
  fit_cells_free(out);
  return status;
}

void fit_cells_free(struct fit_cells *cells) {
  if (!cells) return;
  free(cells->cell);
  free(cells->row);
  *cells = (struct fit_cells){0};
}

enum fit_status fit_cells_mixed(const struct fit_runs *runs, int *out, struct fit_error *err) {
  struct fit_cells cells;
  enum fit_status status = fit_cells_make(runs, &cells, err);
  *out = 0;
  if (status) return status == FIT_ERR_INPUT ? FIT_OK : status; // no hyperparameters in the table
  for (int i = 0; i < cells.count; i++) {
    const size_t *row = cells.row + cells.cell[i].first;
    const struct fit_run *a = &runs->row[row[0]];
    bool mixed = false;
    for (size_t j = 1; j < cells.cell[i].count && !mixed; j++) {
      const struct fit_run *b = &runs->row[row[j]];
      mixed = fabs(log(b->batch_tokens / a->batch_tokens)) > DISTINCT || fabs(log(b->lr / a->lr)) > DISTINCT;
    }
    *out += mixed;
  }
  fit_cells_free(&cells);
  return FIT_OK;
}

struct point {
  double b, r; // ln batch, ln lr
  double y;    // ln(loss / lowest)
  double w;
};

struct box {
  double b[2], r[2];
};

static struct box box_of(const struct point *p, size_t count) {
  struct box x = {{INFINITY, -INFINITY}, {INFINITY, -INFINITY}};
  for (size_t i = 0; i < count; i++) {
    x.b[0] = fmin(x.b[0], p[i].b);
    x.b[1] = fmax(x.b[1], p[i].b);
    x.r[0] = fmin(x.r[0], p[i].r);
    x.r[1] = fmax(x.r[1], p[i].r);
  }
  return x;
}

static int distinct(double *value, size_t count) {
  int got = count > 0;
  double last = 0;
  qsort(value, count, sizeof *value, fit__by_value);
  for (size_t i = 0; i < count; i++) {
    if (i && value[i] - last > DISTINCT) got++;
    if (!i || value[i] - last > DISTINCT) last = value[i];
  }
  return got;
}

static int by_place(const void *pa, const void *pb) {
  const struct point *a = pa, *b = pb;
  if (a->b != b->b) return a->b < b->b ? -1 : 1;
  return a->r < b->r ? -1 : a->r > b->r;
}

static double turn(const struct point *o, const struct point *a, const struct point *b) {
  return (a->b - o->b) * (b->r - o->r) - (a->r - o->r) * (b->b - o->b);
}

// Whether (b, r) lies strictly inside the convex hull of the points.  Sorts p; hull: room for count + 1 points.
// Andrew's monotone chain: the point is inside when it lies left of every edge.
static bool inside_hull(struct point *p, size_t count, struct point *hull, double b, double r) {
  const struct point at = {.b = b, .r = r};
  size_t n = 0;
  qsort(p, count, sizeof *p, by_place);
  for (int upper = 0; upper < 2; upper++) {
    n = 0;
    for (size_t k = 0; k < count; k++) {
      const struct point *next = &p[upper ? count - 1 - k : k];
      while (n >= 2 && turn(&hull[n - 2], &hull[n - 1], next) <= 0) n--;
      hull[n++] = *next;
    }
    for (size_t k = 0; k + 1 < n; k++)
      if (!(turn(&hull[k], &hull[k + 1], &at) > 0)) return false;
  }
  return true;
}

// The side of the grid on which the minimum lies, FIT_ACCEPTED for none.  b, r: vertex, or NaN, when the best run
// stands for it.
static enum fit_refusal side_of(const struct box *grid, double b, double r, const struct point *best, bool one_batch) {
  bool vertex = isfinite(b) && isfinite(r);
  double at_b = vertex ? b : best->b, at_r = vertex ? r : best->r;
  double worst = vertex ? 0 : -1e-9; // the best run may stand on the edge itself
  const struct {
    double beyond;
    enum fit_refusal refusal;
  } side[] = {{(grid->b[0] - at_b) / (grid->b[1] - grid->b[0]), FIT_REFUSED_SMALLEST_BATCH},
              {(at_b - grid->b[1]) / (grid->b[1] - grid->b[0]), FIT_REFUSED_LARGEST_BATCH},
              {(grid->r[0] - at_r) / (grid->r[1] - grid->r[0]), FIT_REFUSED_LOWEST_RATE},
              {(at_r - grid->r[1]) / (grid->r[1] - grid->r[0]), FIT_REFUSED_HIGHEST_RATE}};
  enum fit_refusal found = FIT_ACCEPTED;
  for (int i = one_batch ? 2 : 0; i < 4; i++)
    if (side[i].beyond > worst) {
      worst = side[i].beyond;
      found = side[i].refusal;
    }
  return found;
}

// Coefficients, in units of the scaled axes, to vertex, Hessian and errors.  False: not positive definite.
static bool vertex_of(const double *c, const double *inverse, double variance, const double centre[2],
                      const double scale[2], struct fit_bowl *out) {
  double a = 2 * c[3], m = c[4], d = 2 * c[5], det = a * d - m * m;
  out->hessian[0] = a / (scale[0] * scale[0]);
  out->hessian[1] = m / (scale[0] * scale[1]);
  out->hessian[2] = d / (scale[1] * scale[1]);
  // a determinant that rounding alone makes is none
  if (!(a > 0 && d > 0 && det > 1e-9 * a * d)) return false;
  double u = -(d * c[1] - m * c[2]) / det, v = -(a * c[2] - m * c[1]) / det;
  const double basis[COEFFICIENTS] = {1, u, v, u * u, u * v, v * v};
  const double du[COEFFICIENTS] = {0, 1, 0, 2 * u, v, 0}, dv[COEFFICIENTS] = {0, 0, 1, 0, u, 2 * v};
  double to_u[COEFFICIENTS], to_v[COEFFICIENTS], uu = 0, uv = 0, vv = 0, ll = 0, level = 0;
  for (int j = 0; j < COEFFICIENTS; j++) { // d vertex / d coefficients = -H^-1 d gradient / d coefficients
    to_u[j] = -(d * du[j] - m * dv[j]) / det;
    to_v[j] = -(a * dv[j] - m * du[j]) / det;
    level += basis[j] * c[j];
  }
  for (int j = 0; j < COEFFICIENTS; j++)
    for (int k = 0; k < COEFFICIENTS; k++) {
      double cov = variance * inverse[j * COEFFICIENTS + k];
      uu += to_u[j] * cov * to_u[k];
      uv += to_u[j] * cov * to_v[k];
      vv += to_v[j] * cov * to_v[k];
      ll += basis[j] * cov * basis[k]; // the vertex's own error does not move the level at first order
    }
  out->batch = exp(centre[0] + scale[0] * u);
  out->lr = exp(centre[1] + scale[1] * v);
  out->sd_batch = scale[0] * sqrt(uu);
  out->sd_lr = scale[1] * sqrt(vv);
  out->correlation = uu > 0 && vv > 0 ? uv / sqrt(uu * vv) : 0;
  out->loss = out->lowest * exp(level);
  out->sd_loss = sqrt(ll);
  return true;
}

// The same of one batch.
static bool best_rate_of(const double *c, const double *inverse, double variance, const double centre[2],
                         const double scale[2], struct fit_bowl *out) {
  out->hessian[2] = 2 * c[2] / (scale[1] * scale[1]);
  if (!(c[2] > 0)) return false;
  double v = -c[1] / (2 * c[2]), vv = 0, ll = 0;
  const double basis[OF_RATES] = {1, v, v * v}, to_v[OF_RATES] = {0, -1 / (2 * c[2]), -v / c[2]};
  for (int j = 0; j < OF_RATES; j++)
    for (int k = 0; k < OF_RATES; k++) {
      double cov = variance * inverse[j * OF_RATES + k];
      vv += to_v[j] * cov * to_v[k];
      ll += basis[j] * cov * basis[k];
    }
  out->batch = exp(centre[0]);
  out->lr = exp(centre[1] + scale[1] * v);
  out->sd_lr = scale[1] * sqrt(vv);
  out->loss = out->lowest * exp(c[0] + v * (c[1] + v * c[2]));
  out->sd_loss = sqrt(ll);
  return true;
}

// p: the runs within the window [n]; grid: of the whole cell; work: n * (COEFFICIENTS + 3) numbers; hull: n + 1 points.
static enum fit_refusal fit_window(struct point *p, size_t n, const struct box *grid, const struct point *best,
                                   bool one_batch, double *work, struct point *hull, struct fit_bowl *out) {
  const int columns = one_batch ? OF_RATES : COEFFICIENTS;
  double total = 0, highest = 0, centre[2] = {0}, scale[2], c[COEFFICIENTS], inverse[COEFFICIENTS * COEFFICIENTS], rss;
  double *x = work, *y = x + n * COEFFICIENTS, *w = y + n, *value = w + n;
  for (size_t i = 0; i < n; i++) total += p[i].w;
  if (!(total >= (one_batch ? FIT_RATES_MIN_ROWS : FIT_BOWL_MIN_ROWS))) return FIT_REFUSED_FEW_ROWS;
  for (size_t i = 0; i < n; i++) value[i] = p[i].b;
  if (!one_batch && distinct(value, n) < 3) return FIT_REFUSED_FEW_BATCHES;
  for (size_t i = 0; i < n; i++) value[i] = p[i].r;
  if (distinct(value, n) < 3) return FIT_REFUSED_FEW_RATES;
  struct box used = box_of(p, n);
  for (size_t i = 0; i < n; i++) {
    centre[0] += p[i].w * p[i].b / total;
    centre[1] += p[i].w * p[i].r / total;
  }
  scale[0] = one_batch ? 1 : (used.b[1] - used.b[0]) / 2;
  scale[1] = (used.r[1] - used.r[0]) / 2;
  for (size_t i = 0; i < n; i++) {
    double u = (p[i].b - centre[0]) / scale[0], v = (p[i].r - centre[1]) / scale[1];
    const double both[COEFFICIENTS] = {1, u, v, u * u, u * v, v * v}, rates[OF_RATES] = {1, v, v * v};
    memcpy(x + i * (size_t)columns, one_batch ? rates : both, (size_t)columns * sizeof *x);
    y[i] = p[i].y;
    w[i] = p[i].w;
    highest = fmax(highest, y[i]);
  }
  // Plain least squares: the window itself bounds what one run can do.
  if (!fit__least_squares(x, y, w, n, columns, c, inverse, &rss)) return FIT_REFUSED_DEGENERATE;
  double variance = rss / (total - columns);
  out->rms = sqrt(variance);
  bool minimum = (one_batch ? best_rate_of : vertex_of)(c, inverse, variance, centre, scale, out);
  if (!minimum && !(highest > 0)) return FIT_REFUSED_NOT_MINIMUM; // equal losses: no run is the best
  double b = log(out->batch), r = log(out->lr);
  enum fit_refusal side = side_of(grid, b, r, best, one_batch);
  if (side) return side;
  if (!minimum) return FIT_REFUSED_NOT_MINIMUM;
  if (one_batch ? !(r > used.r[0] && r < used.r[1]) : !inside_hull(p, n, hull, b, r)) return FIT_REFUSED_OUTSIDE;
  if (!(out->sd_batch < scale[0] && out->sd_lr < scale[1])) return FIT_REFUSED_UNCERTAIN;
  return FIT_ACCEPTED;
}

bool fit_bowl_fit(const struct fit_runs *runs, const size_t *row, size_t count, const double *weight, double window,
                  bool one_batch, struct fit_bowl *out) {
  struct point *p = calloc(2 * count + 1, sizeof *p), best = {0};
  double *work = malloc((count * (COEFFICIENTS + 3) + 1) * sizeof *work);
  size_t rows = 0;
  bool done = false;
  *out = (struct fit_bowl){.batch = NAN, .lr = NAN, .loss = NAN, .lowest = INFINITY};
  if (!p || !work) goto fail;
  for (size_t i = 0; i < count; i++) {
    const struct fit_run *run = &runs->row[row[i]];
    if (weight && !(weight[i] > 0)) continue;
    p[rows] = (struct point){log(run->batch_tokens), log(run->lr), log(run->loss), weight ? weight[i] : 1};
    if (run->loss < out->lowest) {
      out->lowest = run->loss;
      out->best = row[i];
      best = p[rows];
    }
    rows++;
  }
  struct box grid = box_of(p, rows);
  out->rows = rows;
  for (size_t i = 0; i < rows; i++) {
    p[i].y -= log(out->lowest);
    if (p[i].y <= log1p(window != 0 ? window : FIT_DEFAULT_WINDOW)) p[out->used++] = p[i];
  }
  out->refusal = fit_window(p, out->used, &grid, &best, one_batch, work, p + count, out);
  done = true;
fail:
  free(p);
  free(work);
  return done;
}
