// What the parabolas and the envelope share.
#ifndef FIT_ISOFLOP_INTERNAL_H
#define FIT_ISOFLOP_INTERNAL_H

#include "fit/isoflop.h"

#define FIT_ISOFLOP_REPLICATES 400

enum fit_status fit__isoflop_check(const struct fit_isoflop_options *o, struct fit_error *err);

// ln N = ln k + a ln C by least squares, weight NULL for ones; false with fewer than two different x.
bool fit__size_law(int count, const double *x, const double *y, const double *weight, struct fit_size_law *law);

// Percentiles of sample [count][2] (ln k, a).  FIT_ERR_INPUT, and NaN, when fewer than nine tenths of `wanted` are
// there.
enum fit_status fit__size_law_intervals(const double *sample, int count, int wanted, double level,
                                        struct fit_size_law *law, struct fit_error *err);

// N at `compute` by the law, with percentiles of sample [count][2] (NULL: NaN).
enum fit_status fit__size_law_at(const struct fit_size_law *law, const double *sample, int count, double level,
                                 double compute, double *params, struct fit_interval *interval, struct fit_error *err);

// One row of a budget: ln N, its distance from the budget in ln C, ln T, and ln L (or L).
struct fit_iso_row {
  double n, c, t, y;
  int run;
};

// The parabola through rows of one budget, with a term linear in their distance from it where they have any.
enum { FIT_ISO_ONE, FIT_ISO_X, FIT_ISO_X2, FIT_ISO_COMPUTE, FIT_ISO_COLUMNS };

struct fit_parabola {
  int count, columns;
  bool compute;                        // whether that term is in
  double centre, scale;                // x = (ln N - centre) / scale
  double coefficient[FIT_ISO_COLUMNS]; // 0 where the column is not in
  double (*solve)[FIT_ISO_COLUMNS];    // [count]: coefficient = sum of y * solve
  double *leverage, *residual;         // [count]
};

// False: no memory.  A budget whose rows determine no parabola gets its status.
bool fit__parabola_fit(struct fit_parabola *p, const struct fit_iso_row *row, int count, struct fit_budget *b);
void fit__parabola_free(struct fit_parabola *p);

// ln N at the vertex of coefficients c, held within one range of the sizes beyond them; NaN without a minimum.
double fit__parabola_vertex(const struct fit_parabola *p, const double *c, const struct fit_budget *b);

#endif
