#include "curves.h"

#include <math.h>
#include <stdlib.h>

#include "stats.h"

struct point {
  int run;
  double params, compute, tokens, loss;
};

static int by_run(const void *pa, const void *pb) {
  const struct point *a = pa, *b = pb;
  if (a->run != b->run) return a->run < b->run ? -1 : 1;
  if (a->params != b->params) return a->params < b->params ? -1 : 1;
  if (a->compute != b->compute) return a->compute < b->compute ? -1 : 1;
  return a->loss < b->loss ? -1 : a->loss > b->loss;
}

double fit__log_compute(const struct fit_run *run, const struct fit_family *f) {
  return log(run->flops > 0 ? run->flops : fit_flops_per_token(f, run->params) * run->tokens);
}

static bool number_sizes(struct fit_curves *c) {
  double *size = malloc((c->curves ? (size_t)c->curves : 1) * sizeof *size);
  if (!size) return false;
  for (int i = 0; i < c->curves; i++) size[i] = c->curve[i].params;
  qsort(size, (size_t)c->curves, sizeof *size, fit__by_value);
  for (int i = 0; i < c->curves; i++)
    if (!i || size[i] > size[c->sizes - 1] * (1 + 1e-6)) size[c->sizes++] = size[i];
  for (int i = 0; i < c->curves; i++) {
    int low = 0, high = c->sizes - 1; // the last that is no greater
    while (low < high) {
      int middle = high - (high - low) / 2;
      if (size[middle] <= c->curve[i].params)
        low = middle;
      else
        high = middle - 1;
    }
    c->curve[i].size = low;
  }
  free(size);
  return true;
}

bool fit__curves_init(struct fit_curves *c, const struct fit_runs *runs, const struct fit_family *f) {
  size_t room = runs->count ? runs->count : 1, points = 0;
  struct point *point = malloc(room * sizeof *point);
  *c = (struct fit_curves){.curve = malloc(room * sizeof *c->curve), .compute = malloc(3 * room * sizeof *c->compute)};
  if (!point || !c->curve || !c->compute) goto fail;
  c->tokens = c->compute + room;
  c->loss = c->tokens + room;
  for (size_t i = 0; i < runs->count; i++) {
    const struct fit_run *r = &runs->row[i];
    point[i] = (struct point){r->run, r->params, fit__log_compute(r, f), log(r->tokens), log(r->loss)};
  }
  qsort(point, runs->count, sizeof *point, by_run);
  for (size_t i = 0; i < runs->count;) {
    struct fit_curve curve = {.params = point[i].params, .run = point[i].run, .first = points};
    for (; i < runs->count && point[i].run == curve.run && point[i].params == curve.params; i++) {
      if (points > curve.first && point[i].compute <= c->compute[points - 1]) continue; // said twice
      c->compute[points] = point[i].compute;
      c->tokens[points] = point[i].tokens;
      c->loss[points++] = point[i].loss;
    }
    curve.count = points - curve.first;
    if (curve.count > 1)
      c->curve[c->curves++] = curve;
    else
      points = curve.first;
  }
  if (!number_sizes(c)) goto fail;
  free(point);
  return true;
fail:
  free(point);
  fit__curves_free(c);
  return false;
}

void fit__curves_free(struct fit_curves *c) {
  free(c->curve);
  free(c->compute);
  *c = (struct fit_curves){0};
}

bool fit__curve_at(const struct fit_curves *c, const struct fit_curve *curve, double compute, double *tokens,
                   double *loss) {
  size_t low = curve->first, high = curve->first + curve->count - 1;
  if (!(compute >= c->compute[low] && compute <= c->compute[high])) return false;
  while (high - low > 1) {
    size_t middle = low + (high - low) / 2;
    if (c->compute[middle] <= compute)
      low = middle;
    else
      high = middle;
  }
  double share = (compute - c->compute[low]) / (c->compute[high] - c->compute[low]);
  *tokens = c->tokens[low] + share * (c->tokens[high] - c->tokens[low]);
  *loss = c->loss[low] + share * (c->loss[high] - c->loss[low]);
  return true;
}
