// The stages of a pipeline: read from its file, given their batch and learning rate, run, and fitted.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "law_json.h"
#include "reproduce.h"
#include "vkd/log.h"
#include "vkdm/fileio.h"

enum { BOOTSTRAP = 400 };

static const struct {
  const char *name, *folder;
} stages[STAGES] = {
    [STAGE_TUNE] = {"tune", "tune"},         [STAGE_GRID] = {"grid", "sweep"},   [STAGE_SEEDS] = {"seeds", "seeds"},
    [STAGE_NEXT] = {"next", "next"},         [STAGE_FIXED] = {"fixed", "fixed"}, [STAGE_AROUND] = {"around", "around"},
    [STAGE_HOLDOUT] = {"holdout", "holdout"}};

const char *reproduce_stage_name(int stage) { return stages[stage].name; }

// `next` is no grid but numbers; its cells are made later.
enum vkd_status reproduce_load(struct reproduce *r, struct vkd_error *err) {
  enum vkd_status status = VKD_OK;
  for (int s = 0; s < STAGES && !status; s++) {
    bool wanted = s == STAGE_GRID ||
                  (s != STAGE_NEXT && r->file.text && sweep_has_grid(r->file.text, r->file.size, stages[s].name));
    if (wanted)
      status = sweep_file_parse(&r->file, stages[s].name, r->overrides, r->override_count, &r->stage[s].sweep, err);
  }
  return status;
}

// ---- batch and learning rate ---------------------------------------------------------------------------------------
static bool hyper_found(const struct hyper_result *h) {
  for (int t = 0; t < FIT_HYPER_TARGETS; t++)
    if (h->fit.law[t].refusal != FIT_HYPER_FITTED) return false;
  return true;
}

// Several sizes and budgets may give a law; that they do not is no error.
static enum vkd_status fit_tuned(struct reproduce *r, struct vkd_error *err) {
  const struct stage *tune = &r->stage[STAGE_TUNE];
  const struct sweep_part part = {NULL, &tune->sweep, tune->outcome};
  struct fit_runs runs = {0};
  struct vkd_error why = {0};
  struct fit_error bad;
  char *path = fileio_join(r->folder, "tune/runs.csv");
  enum vkd_status status =
      path ? sweep_write_table(path, &part, 1, err) : vkd_fail(err, VKD_ERR_HOST_MEMORY, "out of memory");
  if (!status) status = law_status(fit_runs_read(path, &runs, &bad), &bad, err);
  if (!status) {
    const struct hyper_job job = {.options.window = tune->sweep.window};
    r->has_law = !hyper_run(&runs, &job, &r->hyper, &why) && hyper_found(&r->hyper);
    if (!r->has_law)
      vkd_log(VKD_LOG_INFO, "no law of batch and learning rate (%s); the best pair serves all",
              why.what[0] ? why.what : "too few sizes and budgets have an optimum");
  }
  fit_runs_free(&runs);
  free(path);
  return status;
}

static bool several_cells(const struct sweep *sweep) {
  for (int i = 1; i < sweep->count; i++)
    if (sweep->cells[i].params != sweep->cells[0].params ||
        fabs(sweep_cell_tokens(&sweep->cells[i]) / sweep_cell_tokens(&sweep->cells[0]) - 1) > FIT_CELL_TOLERANCE)
      return true;
  return false;
}

enum vkd_status reproduce_learn(struct reproduce *r, struct vkd_error *err) {
  const struct stage *tune = &r->stage[STAGE_TUNE];
  enum vkd_status status = sweep_failures(&tune->sweep, tune->outcome, err);
  if (status) return status;
  r->choice = reproduce_choose(&tune->sweep, tune->outcome);
  if (r->choice < 0)
    return vkd_fail(err, VKD_ERR_DIVERGED, "%s: every batch and learning rate of `tune` diverged; lower train.lr there",
                    r->name);
  if (several_cells(&tune->sweep) && (status = fit_tuned(r, err))) return status;
  const struct config *best = &tune->sweep.cells[r->choice].config;
  if (!r->has_law)
    vkd_log(VKD_LOG_INFO, "best of %d tried: batch %d (%" PRId64 " tokens), learning rate %g", tune->sweep.count,
            best->train.batch, tune->sweep.cells[r->choice].tokens_per_step, best->train.lr);
  return VKD_OK;
}

void reproduce_set_batch(struct config *c, double batch) {
  bool passes = c->train.micro_batch > 0;
  double pass = passes ? fmin(c->train.micro_batch, fmax(1, round(batch))) : 1;
  c->train.batch = (int)(pass * fmax(1, round(batch / pass)));
  if (passes) c->train.micro_batch = (int)pass;
}

// Evaluations stay at the same tokens.
static void give(const struct reproduce *r, bool by_law, struct sweep_cell *c) {
  struct config *config = &c->config;
  const struct config *best = &r->stage[STAGE_TUNE].sweep.cells[r->choice].config;
  double per_sample = (double)c->tokens_per_step / config->train.batch, before = config->train.batch;
  if (by_law) {
    double tokens = sweep_cell_tokens(c),
           batch = fit_hyper_at(&r->hyper.fit.law[FIT_HYPER_BATCH], (double)c->params, tokens);
    // no less than a sample; and no run of fewer than ten steps, which would be warm-up alone
    reproduce_set_batch(config, fmin(batch, tokens / 10) / per_sample);
    config->train.lr = fit_hyper_at(&r->hyper.fit.law[FIT_HYPER_LR], (double)c->params, tokens);
  } else {
    config->train.batch = best->train.batch;
    config->train.lr = best->train.lr;
  }
  int64_t every = llround((double)config->eval.every * before / config->train.batch);
  config->eval.every = config->eval.every && every < 1 ? 1 : every;
}

enum vkd_status reproduce_settle(struct reproduce *r, int stage, struct vkd_error *err) {
  struct sweep *sweep = &r->stage[stage].sweep;
  if (r->choice < 0) return VKD_OK;          // the file has no `tune`
  if (stage == STAGE_FIXED && !r->has_law) { // they would be the ladder's runs
    sweep_free(sweep);
    return VKD_OK;
  }
  for (int i = 0; i < sweep->count; i++) give(r, r->has_law && stage != STAGE_FIXED, &sweep->cells[i]);
  enum vkd_status status = sweep_plan(sweep, err);
  return status ? vkd_error_prefix(err, "%s: %s", r->name, stages[stage].name) : VKD_OK;
}

// ---- runs and their law --------------------------------------------------------------------------------------------
enum vkd_status reproduce_run_stage(struct reproduce *r, int stage, struct vkd_error *err) {
  struct stage *s = &r->stage[stage];
  char *folder = fileio_join(r->folder, stages[stage].folder);
  if (!folder) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "out of memory");
  // of runs that only their losses are wanted of, and that are short, no checkpoints
  bool losses = stage == STAGE_TUNE || stage == STAGE_SEEDS || stage == STAGE_FIXED || stage == STAGE_AROUND;
  // a stage's cells follow from the runs before it; `watch` reads what they are
  const struct sweep_params wish = {.data = r->folder, .no_checkpoints = losses, .claim = SWEEP_CLAIM_CHANGED};
  enum vkd_status status = sweep_job_run(&s->sweep, folder, &wish, &r->devices, &r->bar, &s->outcome, err);
  free(folder);
  return status;
}

static struct fit_run row_of(const struct stage *s, int i) {
  const struct sweep_cell *c = &s->sweep.cells[i];
  return (struct fit_run){.params = (double)c->params,
                          .tokens = sweep_cell_tokens(c),
                          .loss = reproduce_loss(s, i),
                          .flops = c->flops,
                          .batch_tokens = (double)c->tokens_per_step,
                          .lr = c->config.train.lr,
                          .seed = (double)c->config.train.seed,
                          .steps = (double)c->steps};
}

// The runs of STAGE_FIXED, and beside each the ladder's of that size and budget.  Those that diverged stand in neither.
static bool pair_runs(const struct reproduce *r, struct fit_runs *by_law, struct fit_runs *fixed) {
  const struct stage *grid = &r->stage[STAGE_GRID], *s = &r->stage[STAGE_FIXED];
  by_law->row = calloc((size_t)s->sweep.count + 1, sizeof *by_law->row);
  fixed->row = calloc((size_t)s->sweep.count + 1, sizeof *fixed->row);
  for (int i = 0; by_law->row && fixed->row && i < s->sweep.count; i++)
    for (int k = 0; k < grid->sweep.count; k++) {
      struct fit_run a = row_of(grid, k), b = row_of(s, i);
      if (a.params != b.params || !(fabs(a.tokens / b.tokens - 1) <= FIT_CELL_TOLERANCE)) continue;
      if (!isfinite(a.loss) || !isfinite(b.loss)) break;
      a.run = b.run = by_law->clusters++;
      fixed->clusters++;
      by_law->row[by_law->count++] = a;
      fixed->row[fixed->count++] = b;
      break;
    }
  return by_law->row && fixed->row;
}

// The best of many runs of one cell would be lower by luck than one run of another: the joint law stands on runs at the
// pairs that the laws say, those laws on the runs of `tune`.
enum vkd_status reproduce_fit(struct reproduce *r, bool last, struct fit_job_result *fit, struct vkd_error *err) {
  struct sweep_part parts[STAGES];
  struct fit_runs by_law = {0}, fixed = {0};
  const struct sweep_cell *pair = r->stage[STAGE_FIXED].outcome ? &r->stage[STAGE_FIXED].sweep.cells[0] : NULL;
  int count = 0;
  char *table = fileio_join(r->folder, "runs.csv"), *tuned = fileio_join(r->folder, "tune"), title[128], command[512];
  for (int s = STAGE_GRID; s <= STAGE_NEXT; s++) // what comes after was foretold by these
    if (r->stage[s].outcome)
      parts[count++] = (struct sweep_part){stages[s].name, &r->stage[s].sweep, r->stage[s].outcome};
  enum vkd_status status = table && tuned && (!pair || pair_runs(r, &by_law, &fixed))
                               ? sweep_write_table(table, parts, count, err)
                               : vkd_fail(err, VKD_ERR_HOST_MEMORY, "out of memory");
  snprintf(title, sizeof title, "Scaling laws for video diffusion transformers, %.60s", r->name);
  snprintf(command, sizeof command, "vkdit reproduce %.200s -o %.200s", r->name, r->folder);
  const struct fit_job job = {.parts = FIT_JOB_JOINT | (r->has_law ? FIT_JOB_HYPER : 0),
                              .table = table,
                              .hyper_table = tuned,
                              .out = r->folder,
                              .all_rows = true,
                              .bootstrap = BOOTSTRAP,
                              .seed = 1,
                              .family = r->family,
                              .by_law = pair ? &by_law : NULL,
                              .fixed = pair ? &fixed : NULL,
                              .fixed_batch = pair ? (double)pair->tokens_per_step : 0,
                              .fixed_lr = pair ? pair->config.train.lr : 0,
                              .hyper.window = r->stage[STAGE_GRID].sweep.window,
                              .title = title,
                              .command = command};
  if (!status) status = fit_job_run(&job, fit, err);
  if (!status) {
    r->fit = fit;
    if (last && !(status = reproduce_sections(r, err))) {
      fit->report.before_count = fit->has_joint; // the first: the paper's figures
      fit->report.before = r->sections;
      fit->report.after = r->sections + fit->report.before_count;
      fit->report.after_count = r->section_count - fit->report.before_count;
    }
    if (!status) status = fit_job_write(&job, fit, err);
    if (status) fit_job_free(fit);
    r->fit = NULL;
  }
  fit_runs_free(&by_law);
  fit_runs_free(&fixed);
  free(tuned);
  free(table);
  return status;
}
