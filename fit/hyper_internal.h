// What the files of the hyperparameter laws share.
#ifndef FIT_HYPER_INTERNAL_H
#define FIT_HYPER_INTERNAL_H

#include "fit/hyper.h"

// One point of a law.
struct fit_hyper_point {
  double t, n;                                         // ln T, ln N
  double y[FIT_HYPER_TARGETS], var[FIT_HYPER_TARGETS]; // ln value; its variance
  double weight;                                       // how many times it counts
};

// The point of an accepted bowl.
struct fit_hyper_point fit__hyper_point(const struct fit_cell *cell, const struct fit_bowl *bowl, double weight);

// robust: as fit_hyper.law, else ordinary least squares.  False: no memory.
bool fit__hyper_law(const struct fit_hyper_point *p, int count, const struct fit_hyper_options *options,
                    enum fit_hyper_target target, bool robust, struct fit_hyper_law *out);

// The run of row [count >= 1] nearest to (batch, lr) in logarithms; the first of equals.
size_t fit__nearest_run(const struct fit_runs *runs, const size_t *row, size_t count, double batch, double lr);

// Groups of the accepted cells that share no run: rows of one run are not independent, so that its cells are drawn
// together.  group: [cells->count], -1 for a cell refused.  Returns how many there are, -1 without memory.
int fit__cell_groups(const struct fit_runs *runs, const struct fit_cells *cells, const struct fit_hyper *fitted,
                     int *group);

#endif
