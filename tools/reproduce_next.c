// Cells that no file lists: the runs that the law so far asks for, and those around a pair that was foretold.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fit/design.h"
#include "law_json.h"
#include "reproduce.h"

enum { LENGTHS = 7, FIRST_SEED = 100 };

static enum vkd_status no_memory(struct vkd_error *err) { return vkd_fail(err, VKD_ERR_HOST_MEMORY, "out of memory"); }

// ---- next runs -----------------------------------------------------------------------------------------------------
// The sizes of the ladder, a cell of each.
static int sizes_of(const struct sweep *grid, int *cell) {
  int count = 0;
  for (int i = 0; i < grid->count; i++) {
    bool seen = false;
    for (int k = 0; k < count; k++) seen |= grid->cells[cell[k]].params == grid->cells[i].params;
    if (!seen) cell[count++] = i;
  }
  return count;
}

struct choice {
  struct fit_candidate *at; // [count]
  int *cell, count;         // of the ladder, whose model it is
};

// Every size of the ladder at token counts even in their logarithm over the ladder's.
static bool candidates_of(const struct sweep *grid, double flops, struct choice *c) {
  double low = INFINITY, high = 0;
  int *size = calloc((size_t)grid->count, sizeof *size);
  c->at = calloc((size_t)grid->count * LENGTHS, sizeof *c->at);
  c->cell = calloc((size_t)grid->count * LENGTHS, sizeof *c->cell);
  for (int i = 0; i < grid->count; i++) {
    low = fmin(low, sweep_cell_tokens(&grid->cells[i]));
    high = fmax(high, sweep_cell_tokens(&grid->cells[i]));
  }
  int sizes = size && c->at && c->cell ? sizes_of(grid, size) : -1;
  for (int k = 0; k < sizes; k++)
    for (int j = 0; j < LENGTHS; j++) {
      const struct sweep_cell *cell = &grid->cells[size[k]];
      double tokens = low * pow(high / low, j / (LENGTHS - 1.0)), cost = tokens * cell->flops / sweep_cell_tokens(cell);
      if (cost > flops) continue;
      c->cell[c->count] = size[k];
      c->at[c->count++] =
          (struct fit_candidate){.params = (double)cell->params, .tokens = tokens, .cost = cost, .rows = 1};
    }
  free(size);
  return sizes >= 0;
}

// What is to be foretold: the first cell of the hold-out, or the ladder's most expensive one.
static const struct sweep_cell *target_of(const struct reproduce *r) {
  const struct sweep *grid = &r->stage[STAGE_GRID].sweep, *holdout = &r->stage[STAGE_HOLDOUT].sweep;
  const struct sweep_cell *target = &grid->cells[0];
  for (int i = 1; i < grid->count; i++)
    if (grid->cells[i].flops > target->flops) target = &grid->cells[i];
  return holdout->count ? &holdout->cells[0] : target;
}

static enum vkd_status make_cells(struct reproduce *r, const struct choice *c, const struct fit_design *design,
                                  struct vkd_error *err) {
  const struct sweep *grid = &r->stage[STAGE_GRID].sweep;
  struct sweep *next = &r->stage[STAGE_NEXT].sweep;
  *next = *grid;
  next->count = design->count;
  next->cells = calloc((size_t)design->count + 1, sizeof *next->cells);
  if (!next->cells) return no_memory(err);
  for (int i = 0; i < design->count; i++) {
    int pick = design->pick[i], again = 0;
    struct sweep_cell *cell = &next->cells[i];
    *cell = grid->cells[c->cell[pick]];
    for (int k = 0; k < i; k++) again += design->pick[k] == pick;
    cell->config.train.tokens = llround(c->at[pick].tokens);
    cell->config.train.steps = 0;
    cell->config.train.seed = FIRST_SEED + again; // other noise than the ladder's own runs had
    snprintf(cell->name, sizeof cell->name, "N%.0f-T%.4g-%d", c->at[pick].params, c->at[pick].tokens, again);
  }
  enum vkd_status status = sweep_plan(next, err);
  return status ? status : reproduce_settle(r, STAGE_NEXT, err);
}

enum vkd_status reproduce_choose_next(struct reproduce *r, const struct fit_job_result *fit, struct vkd_error *err) {
  const struct sweep *grid = &r->stage[STAGE_GRID].sweep;
  const struct sweep_cell *target = target_of(r);
  struct choice c = {0};
  struct fit_design design = {0};
  struct fit_error bad;
  struct fit_noise noise;
  if (grid->next.runs < 1 || !fit->sample.count) return VKD_OK;
  double params = (double)target->params, tokens = sweep_cell_tokens(target);
  double *loss = calloc((size_t)fit->sample.count, sizeof *loss);
  enum vkd_status status = loss && candidates_of(grid, grid->next.flops, &c)
                               ? law_status(fit_noise_estimate(&fit->runs, &fit->solution, &noise, &bad), &bad, err)
                               : no_memory(err);
  for (int i = 0; i < fit->sample.count && !status; i++)
    loss[i] = log(fit_joint_loss(fit->sample.law + (size_t)i * FIT_JOINT_PARAMS, params, tokens));
  const struct fit_design_problem problem = {.sample = fit->sample,
                                             .target = loss,
                                             .targets = 1,
                                             .candidate = c.at,
                                             .candidates = c.count,
                                             .noise = noise,
                                             .misfit = FIT_DEFAULT_MISFIT,
                                             .params = params,
                                             .tokens = tokens,
                                             .budget = grid->next.flops,
                                             .max_runs = grid->next.runs};
  if (!status && c.count) status = law_status(fit_design_find(&problem, &design, &bad), &bad, err);
  if (!status && design.count) status = make_cells(r, &c, &design, err);
  free(c.at);
  free(c.cell);
  free(loss);
  return status ? vkd_error_prefix(err, "next runs") : VKD_OK;
}

// ---- around a pair -------------------------------------------------------------------------------------------------
// Half and twice of a batch; one has no half, and three times it stands in.
static double batch_beside(int batch, int which) {
  if (which == 1) return batch;
  if (which == 2) return 2 * batch;
  return batch > 1 ? batch / 2.0 : 3 * batch;
}

enum vkd_status reproduce_spread(struct reproduce *r, struct vkd_error *err) {
  static const double factor[] = {0.5, 1, 2};
  struct sweep *around = &r->stage[STAGE_AROUND].sweep;
  int centres = around->count;
  struct sweep_cell *cells = calloc((size_t)centres * REPRODUCE_AROUND, sizeof *cells);
  if (!cells) return no_memory(err);
  for (int i = 0; i < centres * REPRODUCE_AROUND; i++) {
    const struct sweep_cell *centre = &around->cells[i / REPRODUCE_AROUND];
    struct config *config = &cells[i].config;
    cells[i] = *centre;
    reproduce_set_batch(config, batch_beside(centre->config.train.batch, i % REPRODUCE_AROUND / 3));
    config->train.lr = centre->config.train.lr * factor[i % 3];
    snprintf(cells[i].name, sizeof cells[i].name, "%.90s-batch%d-lr%.4g", centre->name, config->train.batch,
             config->train.lr);
  }
  free(around->cells);
  around->cells = cells;
  around->count = centres * REPRODUCE_AROUND;
  return sweep_plan(around, err);
}
