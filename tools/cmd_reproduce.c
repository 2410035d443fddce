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

#define BOOTSTRAP 400
#define SAMPLE_WORK_SHARE 0.02 // of the bar: samples, fit and report

static const struct cmd_opt opts[] = {
    CMD_OPT_OUTPUT("DIR", "folder for the report, the law, the samples and the runs"),
    SWEEP_OPTS,
    {0},
};

// ---- stages --------------------------------------------------------------------------------------------------------
static bool has_tune(const struct reproduce *r) {
  return r->file.text && (strstr(r->file.text, "\ntune:") || !strncmp(r->file.text, "tune:", 5));
}

static enum vkd_status load(struct reproduce *r, const char *name, const char *const *overrides, size_t count,
                            struct vkd_error *err) {
  char builtin[128];
  snprintf(builtin, sizeof builtin, "reproduce-%.100s", name);
  r->name = name;
  const char *file = config_arg_is_path(name) ? name : builtin;
  enum vkd_status status = sweep_file_load(file, &r->file, err);
  r->file.name = name; // the local buffer ends here
  if (!status) status = sweep_file_parse(&r->file, "grid", overrides, count, &r->grid, err);
  if (!status && has_tune(r)) status = sweep_file_parse(&r->file, "tune", overrides, count, &r->tune, err);
  return status;
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

static enum vkd_status run_stage(struct reproduce *r, const struct sweep *sweep, const char *name, bool no_checkpoints,
                                 struct sweep_outcome **outcomes, struct vkd_error *err) {
  char *folder = fileio_join(r->folder, name);
  if (!folder) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "out of memory");
  enum vkd_status status = sweep_job_run(sweep, folder, r->folder, no_checkpoints, &r->devices, &r->bar, outcomes, err);
  free(folder);
  return status;
}

// The grid again at the batch and rate that were found, evaluated at the same tokens as before.
static enum vkd_status retune_grid(struct reproduce *r, const char *const *overrides, size_t count,
                                   struct vkd_error *err) {
  const struct config *best = &r->tune.cells[r->choice].config, *base = &r->grid.cells[0].config;
  char batch[48], lr[80], every[48], value[64];
  const char **all = calloc(count + 3, sizeof *all);
  if (!all) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "out of memory");
  if (count) memcpy(all, overrides, count * sizeof *all);
  int64_t steps = llround((double)base->eval.every * base->train.batch / best->train.batch);
  enum vkd_status status = config_get(best, "train.lr", value, sizeof value, err);
  snprintf(batch, sizeof batch, "train.batch=%d", best->train.batch);
  snprintf(lr, sizeof lr, "train.lr=%s", value);
  snprintf(every, sizeof every, "eval.every=%" PRId64, base->eval.every && steps < 1 ? 1 : steps);
  all[count] = batch;
  all[count + 1] = lr;
  all[count + 2] = every;
  sweep_free(&r->grid);
  if (!status) status = sweep_file_parse(&r->file, "grid", all, count + 3, &r->grid, err);
  free(all);
  return status;
}

static enum vkd_status tune(struct reproduce *r, const char *const *overrides, size_t count, struct vkd_error *err) {
  enum vkd_status status = run_stage(r, &r->tune, "tune", true, &r->tuned, err);
  if (status || (status = sweep_failures(&r->tune, r->tuned, err))) return status;
  r->choice = reproduce_choose(&r->tune, r->tuned);
  if (r->choice < 0)
    return vkd_fail(err, VKD_ERR_DIVERGED, "%s: every batch and learning rate of `tune` diverged; lower train.lr there",
                    r->name);
  const struct config *best = &r->tune.cells[r->choice].config;
  vkd_log(VKD_LOG_INFO, "best of %d tried: batch %d (%" PRId64 " tokens), learning rate %g", r->tune.count,
          best->train.batch, r->tune.cells[r->choice].tokens_per_step, best->train.lr);
  return retune_grid(r, overrides, count, err);
}

// ---- results -------------------------------------------------------------------------------------------------------
static double largest_compute(const struct fit_runs *runs) {
  double most = 0;
  for (size_t i = 0; i < runs->count; i++) most = fmax(most, fit_run_flops(&runs->row[i]));
  return most;
}

static void print_results(const struct reproduce *r, const struct fit_job_result *fit) {
  const struct fit_solution *s = &fit->solution;
  const struct train_result *best = &r->runs[r->best].result;
  const struct sweep_cell *cell = &r->grid.cells[r->best];
  double compute = largest_compute(&fit->runs);
  struct fit_optimum optimum;
  struct fit_optimum_interval interval;
  printf("L(N,T) = %.4g + %.4g N^-%.4g + %.4g T^-%.4g   fitted to %zu rows of %d runs\n\n", s->params[FIT_E],
         s->params[FIT_A], s->params[FIT_ALPHA], s->params[FIT_B], s->params[FIT_BETA], s->rows, r->grid.count);
  if (fit_optimum_at(s->params, fit->report.family, compute, &optimum, NULL)) {
    printf("compute-optimal size   none: these runs do not determine it\n");
  } else {
    printf("compute-optimal size   %.3g parameters at %.3g FLOPs", optimum.params, compute);
    if (fit->sample.count && !fit_optimum_interval(&fit->sample, fit->report.family, compute, &interval, NULL))
      printf("   (%.0f %% interval %.3g to %.3g)", 100 * fit->sample.level, interval.params.low, interval.params.high);
    printf("\n");
  }
  printf("error of the law       %.2g %% rms on the rows it was fitted to\n", 100 * s->rms);
  printf("held-out loss          %.4f by %s (N = %" PRId64 "), %.1f %% below predicting zeros (%.4f)\n", best->heldout,
         cell->name, cell->params, 100 * (1 - best->heldout / best->heldout_zero), best->heldout_zero);
  for (int j = 0; j < s->law->params; j++)
    if (s->at_bound[j]) printf("not identified: %s ran to the edge of what is tried\n", s->law->param[j]);
  if (!s->e_identified) printf("not identified: E, where the loss ends; do not extrapolate from these runs\n");
  printf("\nreport: %s/report.html\n", r->folder);
}

static enum vkd_status fit_and_report(struct reproduce *r, struct vkd_error *err) {
  struct fit_job_result fit;
  char *table = fileio_join(r->folder, "sweep"), title[128], command[512];
  double aspect = 0;
  enum vkd_status status = table ? reproduce_sections(r, err) : vkd_fail(err, VKD_ERR_HOST_MEMORY, "out of memory");
  if (status) {
    free(table);
    return status;
  }
  for (int i = 0; i < r->grid.count; i++)
    aspect += log((double)r->grid.cells[i].model.dim / r->grid.cells[i].model.depth);
  snprintf(title, sizeof title, "Scaling laws for video diffusion transformers, %.60s", r->name);
  snprintf(command, sizeof command, "vkdit reproduce %.200s -o %.200s", r->name, r->folder);
  struct fit_job job = {
      .table = table,
      .out = r->folder,
      .bootstrap = BOOTSTRAP,
      .seed = 1,
      .family = {.n_ctx = (double)dit_tokens(&r->grid.cells[0].model), .aspect = exp(aspect / r->grid.count)},
      .title = title,
      .command = command,
      .after = r->sections,
      .after_count = r->section_count};
  sweep_bar_show(&r->bar, 0, "law");
  status = fit_job_run(&job, &fit, err);
  if (!status) {
    sweep_bar_show(&r->bar, r->bar.total - r->bar.before, NULL);
    progress_end(&r->bar.bar, NULL);
    r->bar.begun = false;
    print_results(r, &fit);
    fit_job_free(&fit);
  }
  free(table);
  return status;
}

static enum vkd_status sample(struct reproduce *r, struct vkd_error *err) {
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
  vkd_device_destroy(&own);
  return status;
}

static enum vkd_status work(struct reproduce *r, const struct cmd_args *args, const char *const *overrides,
                            size_t count, struct vkd_error *err) {
  enum vkd_status status;
  if ((status = claim_folder(r, err)) || (status = sweep_devices_open(args, &r->devices, err))) return status;
  r->bar.total = (sweep_work(&r->tune) + sweep_work(&r->grid)) * (1 + SAMPLE_WORK_SHARE);
  if (r->tune.count && (status = tune(r, overrides, count, err))) return status;
  r->bar.total = (r->bar.before + sweep_work(&r->grid)) * (1 + SAMPLE_WORK_SHARE);
  if ((status = run_stage(r, &r->grid, "sweep", false, &r->runs, err))) return status;
  if ((status = sweep_failures(&r->grid, r->runs, err))) return status;
  r->best = sweep_best(&r->grid, r->runs);
  if (r->best < 0) return vkd_fail(err, VKD_ERR_DIVERGED, "%s: every run diverged; lower train.lr", r->name);
  status = sample(r, err);
  if (!status) status = fit_and_report(r, err);
  return status;
}

static void close_all(struct reproduce *r) {
  if (r->bar.begun) progress_end(&r->bar.bar, NULL);
  for (int i = 0; i < r->section_count; i++) free(r->html[i]);
  free(r->samples.drawn);
  free(r->samples.real);
  sweep_outcomes_free(r->tuned, r->tune.count);
  sweep_outcomes_free(r->runs, r->grid.count);
  sweep_devices_close(&r->devices);
  sweep_free(&r->tune);
  sweep_free(&r->grid);
  sweep_file_free(&r->file);
}

static enum vkd_status run(struct cmd_args *args, struct vkd_error *err) {
  struct reproduce r = {.folder = cmd_string(args, "output"), .choice = -1, .best = -1};
  bool named = args->count && !strchr(args->pos[0], '=');
  const char *const *overrides = args->pos + named;
  size_t count = (size_t)args->count - named;
  enum vkd_status status = load(&r, named ? args->pos[0] : "smoke", overrides, count, err);
  if (!status && cmd_has(args, "dry-run")) {
    if (r.tune.count) sweep_print_plan(&r.tune, "batch and learning rate");
    sweep_print_plan(&r.grid, "sizes (at the batch and learning rate found above)");
  } else if (!status) {
    status = r.folder ? work(&r, args, overrides, count, err)
                      : vkd_fail(err, VKD_ERR_USAGE, "reproduce: -o DIR is needed, or --dry-run");
  }
  close_all(&r);
  return status;
}

const struct cmd cmd_reproduce = {
    .name = "reproduce",
    .summary = "Runs the paper's pipeline, scaled down: tune, sweep, fit the law, sample, report",
    .usage = "[smoke|small|paper|FILE.yaml] [key=value ...]",
    .details = "smoke: minutes on two CPU cores; small: about an hour on a desktop GPU; paper: the paper's own sizes, "
               "for data-centre GPUs.\n"
               "Started again on the same DIR it goes on where it stopped.",
    .min_pos = 0,
    .max_pos = -1,
    .opts = opts,
    .run = run,
};
