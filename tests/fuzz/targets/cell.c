// The record of a sweep's run is taken, and its rows of runs.csv are a table that reads; or the run is not done.
#include <jansson.h>
#include <string.h>

#include "../../../model/sweep_internal.h"
#include "fit/runs.h"
#include "targets.h"
#include "vkdm/fileio.h"

// The record has to hold the run's very configuration: @CONFIG@ in an input stands for it, as JSON.
static void write_record(const uint8_t *data, size_t size, const struct config *config) {
  static const char mark[] = "@CONFIG@";
  const uint8_t *at = size ? memmem(data, size, mark, sizeof mark - 1) : NULL;
  if (!at) {
    target_write("runs/cell.json", data, size);
    return;
  }
  char *text = config_to_string(config);
  json_t *string = text ? json_string(text) : NULL;
  char *quoted = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
  size_t before = (size_t)(at - data), n = quoted ? strlen(quoted) : 0, rest = size - before - (sizeof mark - 1);
  char *all = malloc(before + n + rest);
  HOLDS(quoted && all, "no memory");
  memcpy(all, data, before);
  memcpy(all + before, quoted, n);
  memcpy(all + before + n, at + sizeof mark - 1, rest);
  target_write("runs/cell.json", all, before + n + rest);
  free(all);
  free(quoted);
  json_decref(string);
  free(text);
}

bool target_cell(const uint8_t *data, size_t size) {
  static struct sweep_cell cell = {.name = "."}; // runs/./cell.json
  static struct sweep sweep = {.cells = &cell, .count = 1};
  struct sweep_outcome *outcome = calloc(1, sizeof *outcome);
  const struct sweep_params params = {.sweep = &sweep, .folder = target_folder()};
  struct sweep_job job = {.p = &params, .sweep = &sweep, .outcomes = outcome, .fingerprint = 1};
  struct vkd_error err = {0};
  struct fit_error bad = {{0}};
  struct fit_runs runs = {0};
  static const char config[] = "train: {steps: 30}\ndata: {synthetic: true}\n";
  HOLDS(config_from_string("c", config, sizeof config - 1, NULL, 0, &cell.config, &err) == VKD_OK, "%s", err.what);
  cell.params = 1000;
  char *folder = fileio_join(target_folder(), "runs"), *table = fileio_join(target_folder(), "runs.csv");
  HOLDS(outcome && folder && table && fileio_make_dirs(folder, &err) == VKD_OK, "%s", err.what);
  write_record(data, size, &cell.config);
  enum vkd_status st = sweep__finish_cell(&job, 0, NULL, &err);
  HOLDS(st == VKD_OK ? outcome->done : st == VKD_ERR_IO && !outcome->result.points, "%s", err.what);
  if (st == VKD_OK) {
    enum fit_status read = fit_runs_read(table, &runs, &bad);
    HOLDS(read == FIT_OK || strstr(bad.what, "no rows"), "%s", bad.what);
  }
  fit_runs_free(&runs);
  sweep_outcomes_free(outcome, 1);
  free(folder);
  free(table);
  return st == VKD_OK;
}
