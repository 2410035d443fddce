// The rows of a table of runs are fit for a fit.
#include <math.h>
#include <string.h>

#include "fit/runs.h"
#include "targets.h"

bool target_runs(const uint8_t *data, size_t size) {
  struct fit_runs runs;
  struct fit_error err = {{0}};
  enum fit_status st = fit_runs_parse((const char *)data, size, "fuzz.csv", &runs, &err);
  HOLDS(st == FIT_OK || st == FIT_ERR_INPUT, "status %d: %s", st, err.what);
  HOLDS(st == FIT_OK ? runs.rows > 0 : !runs.row && err.what[0] && !strchr(err.what, '\n'), "status %d: %s", st,
        err.what);
  for (size_t i = 0; i < runs.count; i++)
    HOLDS(runs.row[i].params > 0 && runs.row[i].tokens > 0 && runs.row[i].loss > 0 && runs.row[i].loss < INFINITY &&
              runs.row[i].run >= 0 && runs.row[i].run < runs.clusters,
          "row %zu is not fit for a fit", i);
  if (st == FIT_OK && runs.count) {
    size_t rows = runs.count;
    HOLDS(!fit_runs_drop_diverged(&runs, FIT_DIVERGED_FACTOR, &err) && !fit_runs_keep_best(&runs, &err), "%s",
          err.what);
    HOLDS(runs.count <= rows, "%zu rows of %zu", runs.count, rows);
  }
  fit_runs_free(&runs);
  return st == FIT_OK;
}
