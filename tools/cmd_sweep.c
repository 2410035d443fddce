// vkdit sweep: one training run per cell of a grid.
#include <stdio.h>

#include "stop.h"
#include "sweep_job.h"

static const struct cmd_opt opts[] = {
    CMD_OPT_OUTPUT("DIR", "folder for runs.csv and runs/"),
    SWEEP_OPTS,
    {.name = "resume",
     .kind = CMD_FLAG,
     .help = "go on in DIR although SWEEP has changed; runs that are still the same are kept"},
    {.name = "no-checkpoints", .kind = CMD_FLAG, .help = "keep no weights; a run that is cut off starts anew"},
    {0},
};

static void print_summary(const struct sweep *sweep, const struct sweep_outcome *outcomes, const char *folder) {
  int kept = 0, diverged = 0, done = 0, failed = 0, best = sweep_best(sweep, outcomes);
  for (int i = 0; i < sweep->count; i++) {
    done += outcomes[i].done;
    kept += outcomes[i].kept;
    failed += outcomes[i].error.status != VKD_OK;
    diverged += outcomes[i].done && outcomes[i].result.diverged;
  }
  if (done + failed < sweep->count) {
    printf("stopped with %d of %d runs done; the same command goes on\n", done, sweep->count);
    return;
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
  struct step_rate rate;
  struct sweep_outcome *outcomes = NULL;
  enum vkd_status status = sweep_file_load(args->pos[0], &file, err);
  if (!status) status = step_rate_read(cmd_string(args, "bench"), &rate, err);
  if (!status) status = sweep_file_parse(&file, "grid", args->pos + 1, (size_t)args->count - 1, &sweep, err);
  if (status) goto done;
  if (cmd_has(args, "dry-run")) {
    sweep_print_plan(&sweep, args->pos[0], &rate);
    goto done;
  }
  if (!folder) {
    status = vkd_fail(err, VKD_ERR_USAGE, "sweep: -o DIR is needed, or --dry-run");
    goto done;
  }
  if ((status = sweep_devices_open(args, &devices, err))) goto done;
  bar.total = sweep_work(&sweep);
  stop_on_signals();
  const struct sweep_params wish = {.no_checkpoints = cmd_has(args, "no-checkpoints"),
                                    .claim = cmd_has(args, "resume") ? SWEEP_CLAIM_CHANGED : SWEEP_CLAIM_SAME};
  status = sweep_job_run(&sweep, folder, &wish, &devices, &bar, &outcomes, err);
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
