// vkdit sweep: one training run per cell of a grid.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sweep_job.h"
#include "vkdm/fileio.h"

enum { COPY_LIMIT = 64 << 20 };

static const struct cmd_opt opts[] = {
    CMD_OPT_OUTPUT("DIR", "folder for runs.csv and runs/"),
    SWEEP_OPTS,
    {.name = "resume",
     .kind = CMD_FLAG,
     .help = "go on in DIR although SWEEP has changed; runs that are still the same are kept"},
    {.name = "no-checkpoints", .kind = CMD_FLAG, .help = "keep no weights; a run that is cut off starts anew"},
    {0},
};

// The table that DIR is made by, as every cell's name and configuration.
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

// DIR/cells.yaml: what the folder was started with.  Another sweep is not mixed in unless asked for.
static enum vkd_status claim_folder(const char *folder, const struct sweep *sweep, bool resume, struct vkd_error *err) {
  char *path = fileio_join(folder, "cells.yaml"), *text = describe(sweep), *was = NULL;
  enum vkd_status status = VKD_OK;
  if (!path || !text) {
    status = vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", folder);
    goto done;
  }
  if ((status = fileio_make_dirs(folder, err))) goto done;
  if (fileio_is_file(path)) {
    if ((status = fileio_read_whole(path, COPY_LIMIT, &was, NULL, err))) goto done;
    if (!strcmp(was, text)) goto done;
    if (!resume) {
      status =
          vkd_fail(err, VKD_ERR_USAGE,
                   "%s holds another sweep; choose another folder, or --resume to go on there with this one", folder);
      goto done;
    }
  }
  status = fileio_write_whole(path, text, strlen(text), err);
done:
  free(was);
  free(text);
  free(path);
  return status;
}

static void print_summary(const struct sweep *sweep, const struct sweep_outcome *outcomes, const char *folder) {
  int kept = 0, diverged = 0, done = 0, best = sweep_best(sweep, outcomes);
  for (int i = 0; i < sweep->count; i++) {
    done += outcomes[i].done;
    kept += outcomes[i].kept;
    diverged += outcomes[i].done && outcomes[i].result.diverged;
  }
  printf("%d of %d runs done", done, sweep->count);
  if (kept) printf(" (%d by an earlier sweep)", kept);
  if (diverged) printf(", %d diverged", diverged);
  printf("\n");
  if (best >= 0)
    printf("lowest held-out loss: %.6g in %s (predicting zeros: %.6g)\n", outcomes[best].result.heldout,
           sweep->cells[best].name, outcomes[best].result.heldout_zero);
  printf("%s/runs.csv\n", folder);
}

static enum vkd_status run(struct cmd_args *args, struct vkd_error *err) {
  const char *folder = cmd_string(args, "output");
  struct sweep_file file = {0};
  struct sweep sweep = {0};
  struct sweep_devices devices = {0};
  struct sweep_bar bar = {.total = 0};
  struct sweep_outcome *outcomes = NULL;
  enum vkd_status status = sweep_file_load(args->pos[0], &file, err);
  if (!status) status = sweep_file_parse(&file, "grid", args->pos + 1, (size_t)args->count - 1, &sweep, err);
  if (status) goto done;
  if (cmd_has(args, "dry-run")) {
    sweep_print_plan(&sweep, args->pos[0]);
    goto done;
  }
  if (!folder) {
    status = vkd_fail(err, VKD_ERR_USAGE, "sweep: -o DIR is needed, or --dry-run");
    goto done;
  }
  if ((status = claim_folder(folder, &sweep, cmd_has(args, "resume"), err))) goto done;
  if ((status = sweep_devices_open(args, &devices, err))) goto done;
  bar.total = sweep_work(&sweep);
  status = sweep_job_run(&sweep, folder, NULL, cmd_has(args, "no-checkpoints"), &devices, &bar, &outcomes, err);
  if (bar.begun) progress_end(&bar.bar, NULL);
  if (status) goto done;
  print_summary(&sweep, outcomes, folder);
  status = sweep_failures(&sweep, outcomes, err);
done:
  sweep_outcomes_free(outcomes, sweep.count);
  sweep_devices_close(&devices);
  sweep_free(&sweep);
  sweep_file_free(&file);
  return status;
}

const struct cmd cmd_sweep = {
    .name = "sweep",
    .summary = "Trains one run per cell of a grid and makes their runs table",
    .usage = "SWEEP.yaml [key=value ...]",
    .details =
        "SWEEP.yaml is a configuration with a `grid:` over its keys (docs/sweep.md), or the name of a built-in one.\n"
        "Cells that are done are not run again: a sweep that was cut off goes on when it is started again.",
    .min_pos = 1,
    .max_pos = -1,
    .opts = opts,
    .run = run,
};
