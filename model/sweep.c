#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_in.h"
#include "sweep_internal.h"
#include "vkdm/fileio.h"

enum { CELL_LIMIT = 64 << 20, CELLS_LIMIT = 64 << 20, CELL_VERSION = 1 };

static enum vkd_status no_memory(const char *what, struct vkd_error *err) {
  return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", what);
}

// "DIR/runs/NAME" or, where `file` is given, that file in it; malloc'd.
static char *cell_path(const struct sweep_job *job, int i, const char *file) {
  const char *name = job->sweep->cells[i].name;
  size_t size = strlen(job->p->folder) + strlen(name) + (file ? strlen(file) : 0) + sizeof "/runs//";
  char *path = malloc(size);
  if (path) snprintf(path, size, "%s/runs/%s%s%s", job->p->folder, name, file ? "/" : "", file ? file : "");
  return path;
}

// ---- cell.json -----------------------------------------------------------------------------------------------------
static json_t *number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static char *fingerprint_text(const struct sweep_job *job, char text[32]) {
  snprintf(text, 32, "%016" PRIx64, job->fingerprint);
  return text;
}

static enum vkd_status write_cell(const struct sweep_job *job, int i, const struct train_result *r,
                                  struct vkd_error *err) {
  char data[32], *path = cell_path(job, i, "cell.json"), *text = NULL,
                 *config = config_to_string(&job->sweep->cells[i].config);
  json_t *points = json_array(), *root = NULL;
  for (int k = 0; k < r->point_count; k++)
    json_array_append_new(points, json_pack("[I,o]", (json_int_t)r->points[k].step, number(r->points[k].loss)));
  if (path && config)
    root = json_pack("{s:i,s:s,s:s,s:I,s:I,s:I,s:f,s:b,s:o,s:o,s:o,s:f,s:I,s:O}", "version", CELL_VERSION, "config",
                     config, "data", fingerprint_text(job, data), "params_all", (json_int_t)r->params, "steps",
                     (json_int_t)r->steps, "tokens_per_step", (json_int_t)r->tokens_per_step, "flops_per_step",
                     r->flops_per_step, "diverged", r->diverged, "loss", number(r->loss), "heldout", number(r->heldout),
                     "heldout_zero", number(r->heldout_zero), "seconds", r->seconds, "device_bytes",
                     (json_int_t)r->device_bytes, "points", points);
  if (root) text = json_dumps(root, JSON_INDENT(1));
  enum vkd_status status = text ? fileio_write_whole(path, text, strlen(text), err) : no_memory("cell.json", err);
  json_decref(root);
  json_decref(points);
  free(text);
  free(config);
  free(path);
  return status;
}

static double real_or_nan(const json_t *root, const char *key) {
  const json_t *value = json_object_get(root, key);
  return json_is_number(value) ? json_number_value(value) : NAN;
}

static bool read_points(const json_t *points, struct train_result *r) {
  size_t count = json_array_size(points);
  int64_t before = 0;
  r->points = calloc(count ? count : 1, sizeof *r->points);
  if (!r->points) return false;
  for (size_t k = 0; k < count; k++) {
    const json_t *pair = json_array_get(points, k), *loss = json_array_get(pair, 1);
    int64_t step = json_integer_value(json_array_get(pair, 0));
    if (step < 1) return false;
    if (step <= before) continue; // measured again after a resume
    before = step;
    r->points[r->point_count++] =
        (struct train_point){step, (double)step * (double)r->tokens_per_step, (double)step * r->flops_per_step,
                             json_is_number(loss) ? json_number_value(loss) : NAN};
  }
  return true;
}

// Whether a text of an earlier run is this configuration.  Fields that came since are at their defaults there.  What a
// run logs beside its numbers does not matter.
static bool is_config(const struct config *config, const char *text) {
  struct config *was = malloc(sizeof *was);
  bool same = was && !config_from_string("cell.json", text, strlen(text), NULL, 0, was, NULL);
  if (same) {
    was->log = config->log;
    same = !memcmp(was, config, sizeof *was);
  }
  free(was);
  return same;
}

// Whether the cell's record is there, whole, and of this very configuration and data; *r is then filled.
static bool read_cell(const struct sweep_job *job, int i, struct train_result *r) {
  char data[32], *path = cell_path(job, i, "cell.json"), *text = NULL;
  size_t size = 0;
  json_t *root = NULL;
  bool good = false;
  *r = (struct train_result){0};
  if (!path || !fileio_is_file(path) || fileio_read_whole(path, CELL_LIMIT, &text, &size, NULL)) goto done;
  root = json_in(text, size, JSON_IN_VALUES, NULL);
  const char *config_was = json_string_value(json_object_get(root, "config"));
  const char *data_was = json_string_value(json_object_get(root, "data"));
  if (json_integer_value(json_object_get(root, "version")) != CELL_VERSION || !config_was ||
      !is_config(&job->sweep->cells[i].config, config_was) || !data_was ||
      strcmp(data_was, fingerprint_text(job, data)))
    goto done;
  r->params = json_integer_value(json_object_get(root, "params_all"));
  r->steps = json_integer_value(json_object_get(root, "steps"));
  r->tokens_per_step = json_integer_value(json_object_get(root, "tokens_per_step"));
  r->flops_per_step = json_number_value(json_object_get(root, "flops_per_step"));
  r->diverged = json_is_true(json_object_get(root, "diverged"));
  r->loss = real_or_nan(root, "loss");
  r->heldout = real_or_nan(root, "heldout");
  r->heldout_zero = real_or_nan(root, "heldout_zero");
  r->seconds = json_number_value(json_object_get(root, "seconds"));
  r->device_bytes = (uint64_t)json_integer_value(json_object_get(root, "device_bytes"));
  good = r->params > 0 && r->steps > 0 && r->tokens_per_step > 0 && r->flops_per_step > 0 &&
         read_points(json_object_get(root, "points"), r);
done:
  if (!good) train_result_free(r);
  json_decref(root);
  free(text);
  free(path);
  return good;
}

// ---- runs.csv ------------------------------------------------------------------------------------------------------
static void print_row(FILE *out, const struct sweep_part *part, const struct sweep_cell *cell,
                      const struct train_result *r, const struct train_point *p, bool diverged) {
  char lr[64];
  if (config_get(&cell->config, "train.lr", lr, sizeof lr, NULL))
    snprintf(lr, sizeof lr, "%.17g", cell->config.train.lr);
  fprintf(out, "%" PRId64 ",%.17g,", cell->params, p->tokens);
  if (p->loss > 0 && p->loss < INFINITY) fprintf(out, "%.17g", p->loss); // the laws take its logarithm
  fprintf(out, ",%.17g,%" PRId64 ",%s,%" PRId64 ",%" PRId64 ",%d,%s%s%s,%" PRId64 "\n", p->flops, r->tokens_per_step,
          lr, cell->config.train.seed, p->step, diverged, part->name ? part->name : "", part->name ? "/" : "",
          cell->name, r->params);
}

static void print_rows(FILE *out, const struct sweep_part *part, const struct sweep_cell *cell,
                       const struct train_result *r, int *index) {
  int count = sweep_rows(part->sweep, cell, r, index);
  for (int k = 0; k < count; k++) print_row(out, part, cell, r, &r->points[index[k]], r->diverged);
  const struct train_point end = {r->steps, (double)r->steps * (double)r->tokens_per_step,
                                  (double)r->steps * r->flops_per_step, NAN};
  if (r->diverged && (!r->point_count || r->points[r->point_count - 1].step < r->steps))
    print_row(out, part, cell, r, &end, true);
}

enum vkd_status sweep_write_table(const char *path, const struct sweep_part *parts, int count, struct vkd_error *err) {
  struct fileio f = {0};
  int most = 1;
  for (int k = 0; k < count; k++)
    for (int i = 0; i < parts[k].sweep->count; i++) {
      const struct sweep_outcome *o = &parts[k].outcomes[i];
      if (o->done && o->result.point_count > most) most = o->result.point_count;
    }
  int *index = calloc((size_t)most, sizeof *index);
  if (!index) return no_memory(path, err);
  enum vkd_status status = fileio_begin(&f, path, err);
  if (status) goto done;
  fputs("params,tokens,loss,flops,batch_tokens,lr,seed,steps,diverged,run,params_all\n", f.stream);
  for (int k = 0; k < count; k++)
    for (int i = 0; i < parts[k].sweep->count; i++)
      if (parts[k].outcomes[i].done)
        print_rows(f.stream, &parts[k], &parts[k].sweep->cells[i], &parts[k].outcomes[i].result, index);
  status = fileio_commit(&f, err);
done:
  fileio_abort(&f);
  free(index);
  return status;
}

static enum vkd_status write_csv(const struct sweep_job *job, struct vkd_error *err) {
  if (job->p->shared) return VKD_OK;
  const struct sweep_part part = {NULL, job->sweep, job->outcomes};
  char *path = fileio_join(job->p->folder, "runs.csv");
  enum vkd_status status = path ? sweep_write_table(path, &part, 1, err) : no_memory("runs.csv", err);
  free(path);
  return status;
}

// ---- one cell ------------------------------------------------------------------------------------------------------
enum vkd_status sweep__run_cell(const struct sweep_job *job, int i, struct vkd_device *device,
                                void (*progress)(void *user, const struct train_progress *progress),
                                bool (*stop)(void *user), void *user, bool *stopped, struct vkd_error *err) {
  const struct sweep_cell *cell = &job->sweep->cells[i];
  struct train_result result = {0};
  struct vkd_error first = {0};
  struct config config = cell->config;
  char *run = cell_path(job, i, NULL);
  enum vkd_status status = VKD_OK;
  *stopped = false;
  if (!run) return no_memory(cell->name, err);
  if (job->data && strlen(job->data) >= sizeof config.data.path) {
    status = vkd_fail(err, VKD_ERR_INPUT, "%s: the path is too long", job->data);
    goto done;
  }
  if (job->data) snprintf(config.data.path, sizeof config.data.path, "%s", job->data);
  struct train_params train = {.device = device,
                               .config = &config,
                               .run = run,
                               .resume = true,
                               .no_checkpoints = job->p->no_checkpoints,
                               .progress = progress,
                               .stop = stop,
                               .user = user};
  status = train_run(&train, &result, &first);
  if (status == VKD_ERR_INPUT) { // a checkpoint of another configuration, or a damaged one: the run starts anew
    train_result_free(&result);
    train.resume = false;
    train.overwrite = true;
    status = train_run(&train, &result, err);
  } else if (status && err) {
    *err = first;
  }
  *stopped = result.stopped;
  if (!status && !*stopped) status = write_cell(job, i, &result, err);
done:
  train_result_free(&result);
  free(run);
  return status;
}

enum vkd_status sweep__finish_cell(struct sweep_job *job, int i, const struct vkd_error *failed,
                                   struct vkd_error *err) {
  struct sweep_outcome *o = &job->outcomes[i];
  if (failed) {
    o->error = *failed;
  } else {
    o->done = read_cell(job, i, &o->result);
    if (!o->done)
      return vkd_fail(err, VKD_ERR_IO, "%s/runs/%s/cell.json: not as it was written", job->p->folder,
                      job->sweep->cells[i].name);
  }
  if (job->p->progress) {
    struct sweep_progress report = {.cell = i, .done = true};
    report.train = (struct train_progress){.step = o->result.steps,
                                           .steps = job->sweep->cells[i].steps,
                                           .loss = o->result.loss,
                                           .heldout = o->done ? o->result.heldout : NAN};
    job->p->progress(job->p->user, &report);
  }
  return write_csv(job, err);
}

struct local {
  struct sweep_job *job;
  int cell;
};

static void on_step(void *user, const struct train_progress *progress) {
  const struct local *local = user;
  struct sweep_progress report = {.cell = local->cell, .train = *progress};
  if (local->job->p->progress) local->job->p->progress(local->job->p->user, &report);
}

static bool is_stopped(void *user) {
  const struct local *local = user;
  return sweep__is_stopped(local->job);
}

static enum vkd_status run_local(struct sweep_job *job, const int *todo, int count, struct vkd_error *err) {
  enum vkd_status status = VKD_OK;
  for (int k = 0; k < count && !status && !sweep__is_stopped(job); k++) {
    struct vkd_error failed = {0};
    struct local local = {.job = job, .cell = todo[k]};
    bool stopped, bad = sweep__run_cell(job, todo[k], job->p->device, on_step, is_stopped, &local, &stopped, &failed);
    if (stopped) break;
    status = sweep__finish_cell(job, todo[k], bad ? &failed : NULL, err);
  }
  return status;
}

// ---- cells.yaml ----------------------------------------------------------------------------------------------------
static char *describe(const struct sweep *sweep) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  if (!out) return NULL;
  for (int i = 0; i < sweep->count; i++) {
    char *config = config_to_string(&sweep->cells[i].config);
    fprintf(out, "# cell %s\n%s---\n", sweep->cells[i].name, config ? config : "");
    free(config);
  }
  if (fclose(out)) {
    free(text);
    return NULL;
  }
  return text;
}

// Another sweep is not mixed in unless asked for.
static enum vkd_status claim(const struct sweep_params *p, struct vkd_error *err) {
  if (p->claim == SWEEP_CLAIM_NONE) return VKD_OK;
  char *path = fileio_join(p->folder, "cells.yaml"), *text = describe(p->sweep), *was = NULL;
  enum vkd_status status = path && text ? VKD_OK : no_memory(p->folder, err);
  if (!status && !fileio_is_missing(path)) status = fileio_read_whole(path, CELLS_LIMIT, &was, NULL, err);
  bool same = was && text && strcmp(was, text) == 0;
  if (!status && was && !same && p->claim == SWEEP_CLAIM_SAME)
    status =
        vkd_fail(err, VKD_ERR_USAGE,
                 "%s holds another sweep; choose another folder, or --resume to go on there with this one", p->folder);
  if (!status && !same) status = fileio_write_whole(path, text, strlen(text), err);
  free(was);
  free(text);
  free(path);
  return status;
}

// ---- the sweep -----------------------------------------------------------------------------------------------------
char *sweep_data_path(const char *folder, const struct config *c) {
  // FNV-1a of the section that the set is made by: another set never takes its place
  char *text = *c->data.path ? NULL : config_to_string(c), name[48];
  uint32_t hash = 2166136261u;
  if (*c->data.path) return strdup(c->data.path);
  if (!text) return NULL;
  const char *from = strstr(text, "data:\n"), *to = strstr(text, "train:\n");
  for (const char *p = from; p && p < to; p++) hash = (hash ^ (unsigned char)*p) * 16777619u;
  free(text);
  snprintf(name, sizeof name, "synthetic-%08" PRIx32 ".vkd", hash);
  return fileio_join(folder, name);
}

static enum vkd_status open_data(struct sweep_job *job, struct vkd_error *err) {
  const struct config *c = &job->sweep->cells[0].config;
  struct dataset *data = NULL;
  if (!job->sweep->shared_data) return VKD_OK;
  job->data = sweep_data_path(job->p->data ? job->p->data : job->p->folder, c);
  if (!job->data) return no_memory(job->p->folder, err);
  enum vkd_status status = train_open_data(c, job->data, &data, err);
  if (!status) job->fingerprint = dataset_get_info(data)->fingerprint;
  dataset_close(&data);
  return status;
}

void sweep__put_costly_first(const struct sweep *sweep, int *todo, int count) {
  for (int k = 1; k < count; k++) {
    int cell = todo[k], at = k;
    for (; at && sweep->cells[todo[at - 1]].flops < sweep->cells[cell].flops; at--) todo[at] = todo[at - 1];
    todo[at] = cell;
  }
}

enum vkd_status sweep_run(const struct sweep_params *params, struct sweep_outcome *outcomes, struct vkd_error *err) {
  struct sweep_job job = {.p = params, .sweep = params->sweep, .outcomes = outcomes, .lock = -1};
  int count = 0, *todo = calloc((size_t)params->sweep->count, sizeof *todo);
  enum vkd_status status = todo ? fileio_make_dirs(params->folder, err) : no_memory(params->folder, err);
  if (!status && !params->shared) status = fileio_lock(params->folder, &job.lock, err);
  if (status || (status = claim(params, err))) goto done;
  if (!params->shared) fileio_remove_temps(params->folder); // of a sweep that was killed
  if ((status = open_data(&job, err))) goto done;
  for (int i = 0; i < params->sweep->count; i++) {
    bool wanted = !params->wanted || params->wanted[i];
    if (params->shared && !wanted) continue;
    outcomes[i].done = outcomes[i].kept = read_cell(&job, i, &outcomes[i].result);
    if (!outcomes[i].done && wanted) todo[count++] = i;
  }
  if (params->costly_first) sweep__put_costly_first(params->sweep, todo, count);
  if ((status = write_csv(&job, err))) goto done;
  status = params->device ? run_local(&job, todo, count, err) : sweep__run_workers(&job, todo, count, err);
done:
  fileio_unlock(&job.lock);
  free(job.data);
  free(todo);
  return status;
}

void sweep_outcomes_free(struct sweep_outcome *outcomes, int count) {
  for (int i = 0; outcomes && i < count; i++) train_result_free(&outcomes[i].result);
  free(outcomes);
}
