// vkdit reproduce: the paper's pipeline, scaled down: batch and learning rate, a ladder of sizes, the law, samples, a
// report.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_arg.h"
#include "reproduce.h"
#include "vkd/log.h"
#include "vkdm/fileio.h"

#define SAMPLE_WORK_SHARE 0.02 // of the bar: samples, fit and report

static const struct cmd_opt opts[] = {
    CMD_OPT_OUTPUT("DIR", "folder for the report, the law, the samples and the runs"),
    SWEEP_OPTS,
    {0},
};

// ---- stages --------------------------------------------------------------------------------------------------------
static enum vkd_status load(struct reproduce *r, const char *name, struct vkd_error *err) {
  char builtin[128];
  snprintf(builtin, sizeof builtin, "reproduce-%.100s", name);
  r->name = name;
  enum vkd_status status = sweep_file_load(config_arg_is_path(name) ? name : builtin, &r->file, err);
  r->file.name = name; // the local buffer ends here
  return status ? status : reproduce_load(r, err);
}

// DIR/pipeline.txt keeps one pipeline from overwriting another's report.
static enum vkd_status claim_folder(const struct reproduce *r, struct vkd_error *err) {
  char *path = fileio_join(r->folder, "pipeline.txt"), *was = NULL, text[300];
  snprintf(text, sizeof text, "%.290s\n", r->name);
  enum vkd_status status =
      path ? fileio_make_dirs(r->folder, err) : vkd_fail(err, VKD_ERR_HOST_MEMORY, "out of memory");
  if (!status && fileio_is_file(path)) {
    status = fileio_read_whole(path, 4096, &was, NULL, err);
    if (!status && strcmp(was, text) != 0)
      status = vkd_fail(err, VKD_ERR_USAGE, "%s holds what `vkdit reproduce %.*s` made; choose another folder",
                        r->folder, (int)strcspn(was, "\n"), was);
  } else if (!status) {
    status = fileio_write_whole(path, text, strlen(text), err);
  }
  free(was);
  free(path);
  return status;
}

// ---- results -------------------------------------------------------------------------------------------------------
static double largest_compute(const struct fit_runs *runs) {
  double most = 0;
  for (size_t i = 0; i < runs->count; i++) most = fmax(most, fit_run_flops(&runs->row[i]));
  return most;
}

// What the laws foretold and what came.
static void print_tests(const struct reproduce *r) {
  const struct stage *holdout = &r->stage[STAGE_HOLDOUT], *around = &r->stage[STAGE_AROUND];
  struct reproduce_pair pair;
  if (isfinite(r->noise))
    printf("noise between seeds    %.2g %% of the loss, from %d runs\n", 100 * r->noise, r->noise_runs);
  for (int i = 0; i < holdout->sweep.count && holdout->outcome; i++) {
    const struct sweep_cell *c = &holdout->sweep.cells[i];
    printf("foretold               %.4f for %s (N = %" PRId64 ", T = %.3g); measured %.4f, %+.2f %%\n",
           r->foretold[i].loss, c->name, c->params, sweep_cell_tokens(c), holdout->outcome[i].result.heldout,
           100 * (holdout->outcome[i].result.heldout / r->foretold[i].loss - 1));
  }
  for (int k = 0; reproduce_around(r, k, &pair); k += pair.seeds * REPRODUCE_AROUND)
    printf("batch and rate         foretold for N = %" PRId64 ": %+.2f %% against the best of eight around\n",
           around->sweep.cells[k].params, 100 * pair.excess);
}

static void print_results(const struct reproduce *r, const struct fit_job_result *fit) {
  const struct fit_solution *s = &fit->solution;
  const struct stage *grid = &r->stage[STAGE_GRID];
  const struct train_result *best = &grid->outcome[r->best].result;
  const struct sweep_cell *cell = &grid->sweep.cells[r->best];
  double compute = largest_compute(&fit->runs);
  struct fit_optimum optimum;
  struct fit_optimum_interval interval;
  printf("L(N,T) = %.4g + %.4g N^-%.4g + %.4g T^-%.4g   fitted to %zu rows of %d runs\n\n", s->params[FIT_E],
         s->params[FIT_A], s->params[FIT_ALPHA], s->params[FIT_B], s->params[FIT_BETA], s->rows, fit->runs.clusters);
  if (fit_optimum_at(s->params, &r->family, compute, &optimum, NULL)) {
    printf("compute-optimal size   none: these runs do not determine it\n");
  } else {
    printf("compute-optimal size   %.3g parameters at %.3g FLOPs", optimum.params, compute);
    if (fit->sample.count && !fit_optimum_interval(&fit->sample, &r->family, compute, &interval, NULL))
      printf("   (%.0f %% interval %.3g to %.3g)", 100 * fit->sample.level, interval.params.low, interval.params.high);
    printf("\n");
  }
  printf("error of the law       %.2g %% rms on the rows it was fitted to\n", 100 * s->rms);
  printf("held-out loss          %.4f by %s (N = %" PRId64 "), %.1f %% below predicting zeros (%.4f)\n", best->heldout,
         cell->name, cell->params, 100 * (1 - best->heldout / best->heldout_zero), best->heldout_zero);
  for (int j = 0; j < s->law->params; j++)
    if (s->at_bound[j]) printf("not identified: %s ran to the edge of what is tried\n", s->law->param[j]);
  if (!s->e_identified) printf("not identified: E, where the loss ends; do not extrapolate from these runs\n");
  print_tests(r);
  printf("\nreport: %s/report.html\n", r->folder);
}

// ---- the pipeline --------------------------------------------------------------------------------------------------
static enum vkd_status run_stage(struct reproduce *r, int stage, struct vkd_error *err) {
  struct stage *s = &r->stage[stage];
  if (!s->sweep.count) return VKD_OK;
  enum vkd_status status = reproduce_run_stage(r, stage, err);
  if (!status) status = sweep_failures(&s->sweep, s->outcome, err);
  return status ? vkd_error_prefix(err, "%s", reproduce_stage_name(stage)) : VKD_OK;
}

static double work_of(const struct reproduce *r, int from) {
  double sum = 0;
  for (int s = from; s < STAGES; s++)
    sum += (s == STAGE_AROUND ? REPRODUCE_AROUND : 1) * sweep_work(&r->stage[s].sweep);
  return sum + r->stage[STAGE_GRID].sweep.next.flops * (from <= STAGE_NEXT);
}

static enum vkd_status tune(struct reproduce *r, struct vkd_error *err) {
  enum vkd_status status = VKD_OK;
  r->bar.total = work_of(r, 0) * (1 + SAMPLE_WORK_SHARE);
  if (r->stage[STAGE_TUNE].sweep.count && !(status = run_stage(r, STAGE_TUNE, err))) status = reproduce_learn(r, err);
  for (int s = STAGE_GRID; s < STAGES && !status; s++) status = reproduce_settle(r, s, err);
  r->bar.total = (r->bar.before + work_of(r, STAGE_GRID)) * (1 + SAMPLE_WORK_SHARE);
  return status;
}

static enum vkd_status climb(struct reproduce *r, struct vkd_error *err) {
  struct stage *grid = &r->stage[STAGE_GRID];
  double aspect = 0;
  enum vkd_status status;
  if ((status = run_stage(r, STAGE_GRID, err)) || (status = run_stage(r, STAGE_SEEDS, err))) return status;
  r->best = sweep_best(&grid->sweep, grid->outcome);
  if (r->best < 0) return vkd_fail(err, VKD_ERR_DIVERGED, "%s: every run diverged; lower train.lr", r->name);
  r->smallest = r->best;
  for (int i = 0; i < grid->sweep.count; i++) {
    const struct sweep_cell *c = &grid->sweep.cells[i], *least = &grid->sweep.cells[r->smallest];
    aspect += log((double)c->model.dim / c->model.depth);
    // of the smallest size the longest run
    if (c->params < least->params || (c->params == least->params && c->flops > least->flops)) r->smallest = i;
  }
  r->family = (struct fit_family){.n_ctx = (double)dit_tokens(&grid->sweep.cells[0].model),
                                  .aspect = exp(aspect / grid->sweep.count)};
  reproduce_noise(r);
  return VKD_OK;
}

// The runs that the law asks for; then what it foretells is run.
static enum vkd_status test_law(struct reproduce *r, struct vkd_error *err) {
  struct fit_job_result fit;
  enum vkd_status status = VKD_OK;
  if (r->stage[STAGE_GRID].sweep.next.runs && !(status = reproduce_fit(r, false, &fit, err))) {
    status = reproduce_choose_next(r, &fit, err);
    fit_job_free(&fit);
    if (!status) status = run_stage(r, STAGE_NEXT, err);
  }
  if (!status && r->stage[STAGE_HOLDOUT].sweep.count && !(status = reproduce_fit(r, false, &fit, err))) {
    status = reproduce_foretell(r, &fit, err);
    fit_job_free(&fit);
  }
  if (!status && r->stage[STAGE_AROUND].sweep.count) status = reproduce_spread(r, err);
  if (!status) status = run_stage(r, STAGE_FIXED, err);
  if (!status) status = run_stage(r, STAGE_AROUND, err);
  return status ? status : run_stage(r, STAGE_HOLDOUT, err);
}

static enum vkd_status use_models(struct reproduce *r, struct vkd_error *err) {
  struct vkd_device *own = NULL;
  enum vkd_status status = VKD_OK;
  if (!r->devices.device) { // the workers are done, so this process may open one
    status = vkd_device_create(
        &own, &(struct vkd_device_params){.select = r->devices.count ? r->devices.names[0] : NULL}, err);
    if (status) return status;
  }
  struct vkd_device *device = own ? own : r->devices.device;
  snprintf(r->device, sizeof r->device, "%s%s", vkd_device_get_caps(device)->name,
           r->devices.workers > 1 ? " (and others, where there are)" : "");
  sweep_bar_show(&r->bar, 0, "samples");
  status = reproduce_sample(r, device, err);
  if (!status && r->samples.drawn && !(status = reproduce_cost(r, device, err))) status = reproduce_draw_cost(r, err);
  vkd_device_destroy(&own);
  return status;
}

static enum vkd_status report(struct reproduce *r, struct vkd_error *err) {
  struct fit_job_result fit;
  sweep_bar_show(&r->bar, 0, "law");
  enum vkd_status status = reproduce_fit(r, true, &fit, err);
  if (status) return status;
  sweep_bar_show(&r->bar, r->bar.total - r->bar.before, NULL);
  progress_end(&r->bar.bar, NULL);
  r->bar.begun = false;
  print_results(r, &fit);
  fit_job_free(&fit);
  return VKD_OK;
}

// Of everything, before anything starts.  What the law chooses counts with its budget, at the ladder's rate.
static void print_total(const struct reproduce *r, const struct step_rate *rate, int workers) {
  const struct sweep *grid = &r->stage[STAGE_GRID].sweep;
  double flops = grid->next.flops, seconds = grid->next.flops * sweep_seconds(grid, rate) / sweep_flops(grid);
  int runs = grid->next.runs;
  char time[32];
  for (int s = 0; s < STAGES; s++) {
    const struct sweep *sweep = &r->stage[s].sweep;
    int times = s == STAGE_AROUND ? REPRODUCE_AROUND : 1;
    runs += times * sweep->count;
    flops += times * sweep_flops(sweep);
    seconds += times * sweep_seconds(sweep, rate);
  }
  step_rate_text(seconds / workers, time);
  printf("%s: %s%d runs, %.4g FLOPs", r->name, grid->next.runs ? "at most " : "", runs, flops);
  if (rate->count)
    printf("; about %s at the rates measured on %s, %d worker%s, each as fast as one alone\n", time, rate->device,
           workers, workers > 1 ? "s" : "");
  else
    printf("; --bench tells how long that takes here\n");
}

static enum vkd_status work(struct reproduce *r, const struct cmd_args *args, const struct step_rate *rate,
                            struct vkd_error *err) {
  enum vkd_status status;
  if ((status = claim_folder(r, err)) || (status = sweep_devices_open(args, &r->devices, err))) return status;
  print_total(r, rate, r->devices.workers);
  fflush(stdout);
  if ((status = tune(r, err)) || (status = climb(r, err)) || (status = test_law(r, err)) ||
      (status = use_models(r, err)))
    return status;
  return report(r, err);
}

static void print_plans(const struct reproduce *r, const struct step_rate *rate) {
  static const char *const title[STAGES] = {
      [STAGE_TUNE] = "batch and learning rate",
      [STAGE_GRID] = "sizes (at the batch and learning rate found above)",
      [STAGE_SEEDS] = "other seeds",
      [STAGE_FIXED] = "one batch and learning rate for all",
      [STAGE_AROUND] = "a size and budget for batch and learning rate, nine runs each",
      [STAGE_HOLDOUT] = "foretold, then run",
  };
  for (int s = 0; s < STAGES; s++) {
    if (s == STAGE_NEXT && r->stage[STAGE_GRID].sweep.next.runs)
      printf("chosen by the law: at most %d runs, %.4g FLOPs\n", r->stage[STAGE_GRID].sweep.next.runs,
             r->stage[STAGE_GRID].sweep.next.flops);
    if (r->stage[s].sweep.count) sweep_print_plan(&r->stage[s].sweep, title[s], rate);
  }
}

static void close_all(struct reproduce *r) {
  if (r->bar.begun) progress_end(&r->bar.bar, NULL);
  for (int i = 0; i < r->section_count; i++) free(r->html[i]);
  free(r->samples.drawn);
  free(r->samples.small);
  free(r->samples.real);
  free(r->foretold);
  free(r->cost);
  hyper_free(&r->hyper);
  for (int s = 0; s < STAGES; s++) {
    sweep_outcomes_free(r->stage[s].outcome, r->stage[s].sweep.count);
    sweep_free(&r->stage[s].sweep);
  }
  sweep_devices_close(&r->devices);
  sweep_file_free(&r->file);
}

static enum vkd_status run(struct cmd_args *args, struct vkd_error *err) {
  bool named = args->count && !strchr(args->pos[0], '=');
  struct reproduce r = {.folder = cmd_string(args, "output"),
                        .choice = -1,
                        .best = -1,
                        .noise = NAN,
                        .overrides = args->pos + named,
                        .override_count = (size_t)args->count - named};
  struct step_rate rate;
  enum vkd_status status = step_rate_read(cmd_string(args, "bench"), &rate, err);
  if (!status) status = load(&r, named ? args->pos[0] : "smoke", err);
  if (!status && cmd_has(args, "dry-run")) {
    print_plans(&r, &rate);
    print_total(&r, &rate, (int)cmd_int(args, "workers"));
  } else if (!status) {
    status = r.folder ? work(&r, args, &rate, err)
                      : vkd_fail(err, VKD_ERR_USAGE, "reproduce: -o DIR is needed, or --dry-run");
  }
  close_all(&r);
  return status;
}

const struct cmd cmd_reproduce = {
    .name = "reproduce",
    .summary = "Runs the paper's pipeline, scaled down: tune, sweep, fit the law, sample, report",
    .usage = "[smoke|small|footage|paper|FILE.yaml] [key=value ...]",
    .details = "smoke: minutes on two CPU cores; small: 35 minutes on two idle CPU cores with --workers 2; paper: the "
               "paper's own sizes, for data-centre GPUs; footage: a short ladder on real video (data.path=FILE.vkd).\n"
               "Started again on the same DIR it goes on where it stopped.",
    .min_pos = 0,
    .max_pos = -1,
    .opts = opts,
    .run = run,
};
