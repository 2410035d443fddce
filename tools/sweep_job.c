#include "sweep_job.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_arg.h"
#include "stop.h"
#include "vkd/log.h"
#include "vkdm/fileio.h"

enum { FILE_LIMIT = 1 << 20, BAR_PARTS = 1000 };

// A step costs something however small its model is; in FLOPs that the same time would take.
#define STEP_OVERHEAD_FLOPS 3e8
// Weights, gradients, both moments and EMA, fp32; one more where gradients are summed over passes.
#define STATE_BYTES 20

enum vkd_status sweep_file_load(const char *name, struct sweep_file *out, struct vkd_error *err) {
  const struct asset *asset;
  enum vkd_status status;
  *out = (struct sweep_file){.name = name};
  if (config_arg_is_path(name)) return fileio_read_whole(name, FILE_LIMIT, &out->text, &out->size, err);
  if ((status = config_arg_asset("sweeps", name, &asset, err))) return status;
  out->text = malloc(asset->size + 1);
  if (!out->text) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", name);
  memcpy(out->text, asset->data, asset->size + 1);
  out->size = asset->size;
  return VKD_OK;
}

void sweep_file_free(struct sweep_file *file) {
  free(file->text);
  *file = (struct sweep_file){0};
}

static enum vkd_status load_base(void *user, const char *base, struct config *out, struct vkd_error *err) {
  (void)user;
  return config_arg_named(base, NULL, 0, out, err);
}

enum vkd_status sweep_file_parse(const struct sweep_file *file, const char *grid, const char *const *overrides,
                                 size_t count, struct sweep *out, struct vkd_error *err) {
  struct sweep_source source = {.name = file->name,
                                .text = file->text,
                                .size = file->size,
                                .grid = grid,
                                .load_base = load_base,
                                .overrides = overrides,
                                .override_count = count};
  enum vkd_status status = sweep_parse(&source, out, err);
  if (!status && (status = sweep_plan(out, err))) {
    vkd_error_prefix(err, "%s", file->name);
    sweep_free(out);
  }
  return status;
}

double sweep_flops(const struct sweep *sweep) {
  double sum = 0;
  for (int i = 0; i < sweep->count; i++) sum += sweep->cells[i].flops;
  return sum;
}

double sweep_cell_tokens(const struct sweep_cell *cell) { return (double)cell->steps * (double)cell->tokens_per_step; }

double sweep_seconds(const struct sweep *sweep, const struct step_rate *rate) {
  double sum = 0;
  for (int i = 0; i < sweep->count; i++) sum += step_rate_seconds(rate, &sweep->cells[i]);
  return sum;
}

void sweep_print_plan(const struct sweep *sweep, const char *title, const struct step_rate *rate) {
  char time[32] = "";
  step_rate_text(sweep_seconds(sweep, rate), time);
  printf("%s: %d runs, %.4g FLOPs", title, sweep->count, sweep_flops(sweep));
  if (rate->count) printf(", about %s by one worker", time);
  printf("\n  %-32s %11s %11s %11s %9s %11s %10s %12s%s\n", "run", "N (blocks)", "parameters", "tokens/step", "steps",
         "tokens", "FLOPs", "state memory", rate->count ? "       time" : "");
  for (int i = 0; i < sweep->count; i++) {
    const struct sweep_cell *c = &sweep->cells[i];
    double bytes = (double)c->params_all * (STATE_BYTES + (config_accumulation(&c->config) > 1 ? 4 : 0));
    printf("  %-32s %11" PRId64 " %11" PRId64 " %11" PRId64 " %9" PRId64 " %11.4g %10.4g %8.1f MiB", c->name, c->params,
           c->params_all, c->tokens_per_step, c->steps, sweep_cell_tokens(c), c->flops, bytes / 1048576);
    step_rate_text(step_rate_seconds(rate, c), time);
    if (rate->count) printf(" %10s", time);
    printf("\n");
  }
  printf("  FLOPs by the formula of the architecture; state: weights, gradients, moments, EMA, without activations\n");
}

// ---- devices -------------------------------------------------------------------------------------------------------
enum vkd_status sweep_devices_open(const struct cmd_args *args, struct sweep_devices *out, struct vkd_error *err) {
  const char *list = cmd_string(args, "device");
  *out = (struct sweep_devices){0};
  if (list) {
    out->text = strdup(list);
    if (!out->text) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "out of memory");
    char *rest = NULL;
    for (char *name = strtok_r(out->text, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
      if (out->count == SWEEP_MAX_WORKERS)
        return vkd_fail(err, VKD_ERR_USAGE, "--device: at most %d devices", SWEEP_MAX_WORKERS);
      out->names[out->count++] = name;
    }
  }
  bool given = cmd_has(args, "workers");
  out->workers = given ? (int)cmd_int(args, "workers") : out->count ? out->count : sweep_default_workers();
  if (out->count > out->workers)
    return vkd_fail(err, VKD_ERR_USAGE, "--device names %d devices for %d workers; raise --workers", out->count,
                    out->workers);
  if (out->workers > 1) return VKD_OK; // they open their own
  return vkd_device_create(&out->device, &(struct vkd_device_params){.select = out->count ? out->names[0] : NULL}, err);
}

void sweep_devices_close(struct sweep_devices *devices) {
  vkd_device_destroy(&devices->device);
  free(devices->text);
  *devices = (struct sweep_devices){0};
}

// ---- the bar -------------------------------------------------------------------------------------------------------
double sweep_cell_work(const struct sweep_cell *cell) {
  return cell->flops + STEP_OVERHEAD_FLOPS * (double)cell->steps;
}

double sweep_work(const struct sweep *sweep) {
  double sum = 0;
  for (int i = 0; i < sweep->count; i++) sum += sweep_cell_work(&sweep->cells[i]);
  return sum;
}

void sweep_bar_show(struct sweep_bar *bar, double work, const char *note) {
  double share = bar->total > 0 ? (bar->before + work) / bar->total : 1;
  uint64_t done = (uint64_t)(BAR_PARTS * (share < 1 ? share : 1));
  if (!bar->begun)
    progress_begin(&bar->bar, "runs", "parts", done, BAR_PARTS); // what is kept from before does not count as speed
  bar->begun = true;
  progress_update(&bar->bar, done, note);
}

static double shown_work(const struct sweep_bar *bar) {
  double sum = 0;
  for (int i = 0; i < bar->sweep->count; i++) sum += bar->share[i] * sweep_cell_work(&bar->sweep->cells[i]);
  return sum;
}

static void on_progress(void *user, const struct sweep_progress *p) {
  struct sweep_bar *bar = user;
  const struct sweep_cell *cell = &bar->sweep->cells[p->cell];
  char note[256];
  bar->share[p->cell] = p->done ? 1 : (double)p->train.step / (double)p->train.steps;
  int n = snprintf(note, sizeof note, "%s step %" PRId64 "/%" PRId64, cell->name, p->train.step, p->train.steps);
  if (isfinite(p->train.heldout)) snprintf(note + n, sizeof note - (size_t)n, " held out %.4f", p->train.heldout);
  sweep_bar_show(bar, shown_work(bar), note);
}

enum vkd_status sweep_job_run(const struct sweep *sweep, const char *folder, const struct sweep_params *wish,
                              const struct sweep_devices *devices, struct sweep_bar *bar,
                              struct sweep_outcome **outcomes, struct vkd_error *err) {
  bar->sweep = sweep;
  bar->share = calloc((size_t)sweep->count, sizeof *bar->share);
  *outcomes = calloc((size_t)sweep->count, sizeof **outcomes);
  enum vkd_status status =
      bar->share && *outcomes ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", folder);
  struct sweep_params params = {.sweep = sweep,
                                .folder = folder,
                                .data = wish->data,
                                .no_checkpoints = wish->no_checkpoints,
                                .claim = wish->claim,
                                .wanted = wish->wanted,
                                .shared = wish->shared,
                                .costly_first = wish->costly_first,
                                .device = devices->device,
                                .workers = devices->workers,
                                .devices = devices->names,
                                .device_count = devices->count,
                                .progress = on_progress,
                                .stop = stop_requested,
                                .user = bar};
  if (!status) status = sweep_run(&params, *outcomes, err);
  bar->before += sweep_work(sweep);
  free(bar->share);
  bar->share = NULL;
  return status;
}

// ---- what became of it ---------------------------------------------------------------------------------------------
enum vkd_status sweep_failures(const struct sweep *sweep, const struct sweep_outcome *outcomes, struct vkd_error *err) {
  int failed = 0, first = -1;
  for (int i = 0; i < sweep->count; i++) {
    if (!outcomes[i].error.status) continue;
    failed++;
    if (first < 0) first = i;
    vkd_log(VKD_LOG_WARN, "run %s failed: %s", sweep->cells[i].name, outcomes[i].error.what);
  }
  if (!failed) return VKD_OK;
  return vkd_fail(err, VKD_ERR_INTERNAL, "%d of %d runs failed; the first, %s: %.700s", failed, sweep->count,
                  sweep->cells[first].name, outcomes[first].error.what);
}

int sweep_best(const struct sweep *sweep, const struct sweep_outcome *outcomes) {
  int best = -1;
  for (int i = 0; i < sweep->count; i++) {
    if (!outcomes[i].done || outcomes[i].result.diverged || !isfinite(outcomes[i].result.heldout)) continue;
    if (best < 0 || outcomes[i].result.heldout < outcomes[best].result.heldout) best = i;
  }
  return best;
}
