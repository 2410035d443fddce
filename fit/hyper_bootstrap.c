#include "hyper_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats.h"

struct plan {
  const struct fit_runs *runs;
  const struct fit_hyper_options *options;
  struct fit_cells cells;
  int groups;
  int *group;              // [cells]
  int *order, *first_cell; // cells of group g: order[first_cell[g]] .. order[first_cell[g + 1]]
  int *run, *first_run;    // runs of group g, in the same way
  double *times;           // [clusters]: how often each run was drawn
  double *weight;          // [rows of the largest cell]
  struct fit_hyper_point *point;
  bool rows_only;
};

static const struct fit_run *row_of(const struct plan *p, size_t j) { return &p->runs->row[p->cells.row[j]]; }

static int root_of(int *parent, int i) {
  while (parent[i] != i) i = parent[i] = parent[parent[i]];
  return i;
}

int fit__cell_groups(const struct fit_runs *runs, const struct fit_cells *cells, const struct fit_hyper *fitted,
                     int *group) {
  int *seen = malloc((size_t)runs->clusters * sizeof *seen), count = 0; // the first cell of each run
  int *parent = malloc((size_t)cells->count * sizeof *parent);
  for (int i = 0; seen && i < runs->clusters; i++) seen[i] = -1;
  for (int i = 0; seen && parent && i < cells->count; i++) {
    const struct fit_cell *c = &cells->cell[i];
    parent[i] = i;
    group[i] = -1;
    for (size_t j = c->first; !fitted->cell[i].bowl.refusal && j < c->first + c->count; j++) {
      int *cell = &seen[runs->row[cells->row[j]].run];
      if (*cell < 0)
        *cell = i;
      else
        parent[root_of(parent, i)] = root_of(parent, *cell);
    }
  }
  for (int i = 0; seen && parent && i < cells->count; i++) {
    if (fitted->cell[i].bowl.refusal) continue;
    int root = root_of(parent, i);
    if (group[root] < 0) group[root] = count++;
    group[i] = group[root];
  }
  if (!seen || !parent) count = -1;
  free(seen);
  free(parent);
  return count;
}

// Lists the cells and the runs of every group.  seen: [clusters].
static void list_groups(struct plan *p, int *seen) {
  int runs = 0;
  for (int i = 0; i < p->cells.count; i++)
    if (p->group[i] >= 0) p->first_cell[p->group[i] + 1]++;
  for (int g = 0; g < p->groups; g++) p->first_cell[g + 1] += p->first_cell[g];
  for (int i = p->cells.count - 1; i >= 0; i--) // filled from the end, by first_run as a counter
    if (p->group[i] >= 0) p->order[p->first_cell[p->group[i] + 1] - ++p->first_run[p->group[i]]] = i;
  for (int i = 0; i < p->runs->clusters; i++) seen[i] = 0;
  for (int g = 0; g < p->groups; g++) {
    p->first_run[g] = runs;
    for (int k = p->first_cell[g]; k < p->first_cell[g + 1]; k++) {
      const struct fit_cell *c = &p->cells.cell[p->order[k]];
      for (size_t j = c->first; j < c->first + c->count; j++) {
        int run = row_of(p, j)->run;
        if (!seen[run]) p->run[runs++] = run;
        seen[run] = 1;
      }
    }
  }
  p->first_run[p->groups] = runs;
}

static void plan_free(struct plan *p) {
  fit_cells_free(&p->cells);
  free(p->group);
  free(p->order);
  free(p->first_cell);
  free(p->run);
  free(p->first_run);
  free(p->times);
  free(p->weight);
  free(p->point);
}

static enum fit_status plan_make(struct plan *p, const struct fit_hyper *fitted, struct fit_error *err) {
  enum fit_status status = fit_cells_make(p->runs, &p->cells, err);
  if (status) return status;
  size_t cells = (size_t)p->cells.count, runs = (size_t)p->runs->clusters, largest = 0;
  for (size_t i = 0; i < cells; i++) largest = p->cells.cell[i].count > largest ? p->cells.cell[i].count : largest;
  int *seen = malloc(runs * sizeof *seen);
  p->group = malloc(cells * sizeof *p->group);
  p->order = malloc(cells * sizeof *p->order);
  p->first_cell = calloc(cells + 1, sizeof *p->first_cell);
  p->run = malloc(runs * sizeof *p->run);
  p->first_run = calloc(cells + 1, sizeof *p->first_run);
  p->times = calloc(runs, sizeof *p->times);
  p->weight = malloc(largest * sizeof *p->weight);
  if (!seen || !p->group || !p->order || !p->first_cell || !p->run || !p->first_run || !p->times || !p->weight ||
      (p->groups = fit__cell_groups(p->runs, &p->cells, fitted, p->group)) < 0) {
    status = fit_fail(err, FIT_ERR_FAILED, "no memory to resample %zu cells", cells);
    goto fail;
  }
  list_groups(p, seen);
  p->rows_only = p->groups < FIT_MIN_CLUSTERS;
  // a draw may take the largest group every time
  int most = 0;
  for (int g = 0; g < p->groups; g++)
    most = p->first_cell[g + 1] - p->first_cell[g] > most ? p->first_cell[g + 1] - p->first_cell[g] : most;
  p->point = malloc((size_t)most * (size_t)p->groups * sizeof *p->point);
  if (!p->point) status = fit_fail(err, FIT_ERR_FAILED, "no memory to resample %zu cells", cells);
fail:
  free(seen);
  return status;
}

// The vertices of group g with its runs resampled; false without memory.
static bool redraw_group(struct plan *p, int g, uint64_t *state, int *count) {
  int first = p->first_run[g], runs = p->first_run[g + 1] - first;
  for (int k = 0; k < runs; k++) p->times[p->run[first + k]] = 0;
  for (int k = 0; k < runs; k++) p->times[p->run[first + (int)(fit__random(state) % (uint64_t)runs)]]++;
  for (int k = p->first_cell[g]; k < p->first_cell[g + 1]; k++) {
    const struct fit_cell *c = &p->cells.cell[p->order[k]];
    struct fit_bowl bowl;
    for (size_t j = 0; j < c->count; j++) p->weight[j] = p->times[row_of(p, c->first + j)->run];
    if (!fit_bowl_fit(p->runs, p->cells.row + c->first, c->count, p->weight, p->options->window, p->cells.one_batch,
                      &bowl))
      return false;
    if (!bowl.refusal) p->point[(*count)++] = fit__hyper_point(c, &bowl, 1);
  }
  return true;
}

// One resample into law; -1 without memory, 0 when it gives no law.
static int draw(struct plan *p, const struct fit_hyper *fitted, uint64_t *state,
                struct fit_hyper_law law[FIT_HYPER_TARGETS]) {
  int count = 0;
  for (int i = 0; i < p->groups; i++) {
    if (p->rows_only) {
      if (!redraw_group(p, i, state, &count)) return -1;
      continue;
    }
    int g = (int)(fit__random(state) % (uint64_t)p->groups);
    for (int k = p->first_cell[g]; k < p->first_cell[g + 1]; k++)
      p->point[count++] = fit__hyper_point(&fitted->cell[p->order[k]].cell, &fitted->cell[p->order[k]].bowl, 1);
  }
  for (int k = 0; k < FIT_HYPER_TARGETS; k++) {
    if (!fit__hyper_law(p->point, count, p->options, (enum fit_hyper_target)k, true, &law[k])) return -1;
    if (law[k].refusal) return 0;
  }
  return 1;
}

// A resample of few cells spreads less than the estimate does, by (cells - parameters) / cells in variance.
static void widen(const struct plan *p, const struct fit_hyper_law *fitted, enum fit_hyper_target t, double *param) {
  int free_count = FIT_HYPER_COUNT - p->options->hold_tokens[t] - p->options->hold_params[t];
  double times = p->rows_only ? 1 : sqrt((double)p->groups / (p->groups - free_count));
  param[FIT_HYPER_K] = fitted->param[FIT_HYPER_K] * pow(param[FIT_HYPER_K] / fitted->param[FIT_HYPER_K], times);
  for (int j = FIT_HYPER_TOKENS; j < FIT_HYPER_COUNT; j++)
    param[j] = fitted->param[j] + times * (param[j] - fitted->param[j]);
}

static enum fit_status summarise(struct fit_hyper_bootstrap *out, int good, struct fit_error *err) {
  const int stride = FIT_HYPER_TARGETS * FIT_HYPER_COUNT;
  out->failed = out->replicates - good;
  if (good < 2 || out->failed > out->replicates / 10)
    return fit_fail(err, FIT_ERR_FAILED,
                    "%d of %d resamples gave no hyperparameter law: the table is too small for that", out->failed,
                    out->replicates);
  double *value = malloc((size_t)good * sizeof *value);
  if (!value) return fit_fail(err, FIT_ERR_FAILED, "no memory for %d replicates", good);
  for (int j = 0; j < stride; j++) {
    for (int i = 0; i < good; i++) value[i] = out->sample[i * stride + j];
    out->param[j / FIT_HYPER_COUNT][j % FIT_HYPER_COUNT] = fit__interval(value, good, out->level);
  }
  free(value);
  return FIT_OK;
}

enum fit_status fit_hyper_resample(const struct fit_runs *runs, const struct fit_hyper_options *options,
                                   const struct fit_hyper *fitted, int replicates, double level,
                                   unsigned long long seed, struct fit_hyper_bootstrap *out, struct fit_error *err) {
  static const struct fit_hyper_options defaults;
  struct plan p = {.runs = runs, .options = options ? options : &defaults};
  int good = 0;
  *out = (struct fit_hyper_bootstrap){.level = level != 0 ? level : 0.9, .replicates = replicates};
  if (!(out->level > 0 && out->level < 1))
    return fit_fail(err, FIT_ERR_INPUT, "interval level %g is not between 0 and 1", out->level);
  if (replicates < 2 || replicates > 1000000)
    return fit_fail(err, FIT_ERR_INPUT, "%d bootstrap replicates; 2 to 1000000 are possible", replicates);
  for (int k = 0; k < FIT_HYPER_TARGETS; k++)
    if (fitted->law[k].refusal)
      return fit_fail(err, FIT_ERR_INPUT, "law %s: %s", fit_hyper_target_name[k],
                      fit_hyper_refusal_text(fitted->law[k].refusal));
  enum fit_status status = plan_make(&p, fitted, err);
  if (status) goto fail;
  out->groups = p.groups;
  out->rows_only = p.rows_only;
  out->sample = malloc((size_t)replicates * FIT_HYPER_TARGETS * FIT_HYPER_COUNT * sizeof *out->sample);
  for (int i = 0; i < replicates; i++) {
    uint64_t state = fit__random_stream(seed, (uint64_t)i);
    struct fit_hyper_law law[FIT_HYPER_TARGETS];
    int drawn = out->sample ? draw(&p, fitted, &state, law) : -1;
    if (drawn < 0) {
      status = fit_fail(err, FIT_ERR_FAILED, "no memory for %d replicates", replicates);
      goto fail;
    }
    for (int k = 0; drawn && k < FIT_HYPER_TARGETS; k++) {
      widen(&p, &fitted->law[k], (enum fit_hyper_target)k, law[k].param);
      memcpy(out->sample + (good * FIT_HYPER_TARGETS + k) * FIT_HYPER_COUNT, law[k].param, sizeof law[k].param);
    }
    good += drawn;
  }
  if ((status = summarise(out, good, err))) goto fail;
  plan_free(&p);
  return FIT_OK;
fail:
  plan_free(&p);
  fit_hyper_bootstrap_free(out);
  return status;
}

void fit_hyper_bootstrap_free(struct fit_hyper_bootstrap *b) {
  if (!b) return;
  free(b->sample);
  *b = (struct fit_hyper_bootstrap){0};
}
