// vkdit sweep: one training run per cell of a grid.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "slurm.h"
#include "stop.h"
#include "sweep_job.h"
#include "vkd/nearest.h"
#include "vkdm/fileio.h"

static const struct cmd_opt opts[] = {
    CMD_OPT_OUTPUT("DIR", "folder for runs.csv and runs/"),
    SWEEP_OPTS,
    {.name = "resume",
     .kind = CMD_FLAG,
     .help = "go on in DIR although SWEEP has changed; runs that are still the same are kept"},
    {.name = "no-checkpoints", .kind = CMD_FLAG, .help = "keep no weights; a run that is cut off starts anew"},
    {.name = "only",
     .kind = CMD_STRING,
     .metavar = "RUN,...",
     .help = "train these runs alone, while other processes may train others; --collect makes the table"},
    {.name = "collect", .kind = CMD_FLAG, .help = "train nothing, make the table of the runs that are done"},
    {.name = "slurm",
     .kind = CMD_FLAG,
     .help = "submit what is not done as a job array, --workers K at a time; with --dry-run write DIR/slurm alone"},
    {.name = "time-limit",
     .kind = CMD_INT,
     .metavar = "MINUTES",
     .min = 5,
     .max = 1e6,
     .help = "--slurm: of a job at most; a run goes on in the next (default: by FLOPs and the runs that are done)"},
    {.name = "retries",
     .kind = CMD_INT,
     .metavar = "N",
     .fallback = "3",
     .min = 0,
     .max = 1000,
     .help = "--slurm: how often a job starts again that ran out of time or failed"},
    {.name = "jobs",
     .kind = CMD_INT,
     .metavar = "K",
     .min = 1,
     .max = SWEEP_MAX_CELLS,
     .help = "--slurm: elements of the array at most, which share the runs (default: what the cluster takes)"},
    {0},
};

struct job {
  const struct cmd_args *args;
  const char *folder;
  int overrides, options; // of args->pos, in this order behind the file's name
  struct sweep_file file;
  struct sweep sweep;
  struct sweep_devices devices;
  struct sweep_bar bar;
  struct step_rate rate;
  struct sweep_outcome *outcomes;
  bool *wanted; // NULL: all
};

static void print_summary(const struct job *job) {
  const struct sweep *sweep = &job->sweep;
  const bool *only = cmd_has(job->args, "only") ? job->wanted : NULL;
  int runs = 0, kept = 0, diverged = 0, done = 0, failed = 0, best = sweep_best(sweep, job->outcomes);
  for (int i = 0; i < sweep->count; i++) {
    const struct sweep_outcome *o = &job->outcomes[i];
    runs += !only || only[i];
    done += o->done;
    kept += o->kept;
    failed += o->error.status != VKD_OK;
    diverged += o->done && o->result.diverged;
  }
  if (done + failed < runs) {
    printf("stopped with %d of %d runs done; the same command goes on\n", done, runs);
    return;
  }
  printf("%d of %d runs done", done, runs);
  if (kept) printf(" (%d by an earlier sweep)", kept);
  if (diverged) printf(", %d diverged", diverged);
  printf("\n");
  if (best >= 0)
    printf("lowest held-out loss: %.6g in %s (predicting zeros: %.6g)\n", job->outcomes[best].result.heldout,
           sweep->cells[best].name, job->outcomes[best].result.heldout_zero);
  if (!only) printf("%s/runs.csv\n", job->folder);
}

static enum vkd_status check_options(struct job *job, struct vkd_error *err) {
  static const char *const of_slurm[] = {"time-limit", "retries", "jobs"};
  const struct cmd_args *args = job->args;
  bool only = cmd_has(args, "only"), collect = cmd_has(args, "collect"), slurm = cmd_has(args, "slurm");
  for (size_t i = 0; i < sizeof of_slurm / sizeof *of_slurm && !slurm; i++)
    if (cmd_has(args, of_slurm[i]))
      return vkd_fail(err, VKD_ERR_USAGE, "sweep: --%s is nothing without --slurm", of_slurm[i]);
  if (only + collect + slurm > 1)
    return vkd_fail(err, VKD_ERR_USAGE, "sweep: of --only, --collect and --slurm one is accepted");
  if (job->options && !slurm)
    return vkd_fail(err, VKD_ERR_USAGE, "sweep: %.200s is for sbatch: nothing without --slurm",
                    args->pos[1 + job->overrides]);
  if (!job->folder && (slurm || !cmd_has(args, "dry-run")))
    return vkd_fail(err, VKD_ERR_USAGE, "sweep: -o DIR is needed, or --dry-run");
  return VKD_OK;
}

// --only: no cell but those that it names; --collect and --slurm: none.
static enum vkd_status choose_cells(struct job *job, struct vkd_error *err) {
  const struct sweep *sweep = &job->sweep;
  const char *only = cmd_string(job->args, "only");
  if (!only && !cmd_has(job->args, "collect") && !cmd_has(job->args, "slurm")) return VKD_OK;
  job->wanted = calloc((size_t)sweep->count, sizeof *job->wanted);
  if (!job->wanted) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "sweep: out of memory");
  while (only && *only) {
    char name[SWEEP_NAME_MAX];
    size_t n = strcspn(only, ",");
    struct vkd_nearest nearest = {.name = name};
    int i = 0;
    snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), only);
    for (; i < sweep->count && strcmp(sweep->cells[i].name, name) != 0; i++)
      vkd_nearest_offer(&nearest, sweep->cells[i].name);
    if (i == sweep->count)
      return vkd_fail(err, VKD_ERR_USAGE, "--only: no run '%s'%s%s%s", name, nearest.best ? "; did you mean '" : "",
                      nearest.best ? nearest.best : "", nearest.best ? "'?" : "");
    job->wanted[i] = true;
    only += n + (only[n] != 0);
  }
  return VKD_OK;
}

static enum vkd_status run_sweep(struct job *job, struct vkd_error *err) {
  const struct cmd_args *args = job->args;
  const struct sweep_params wish = {.no_checkpoints = cmd_has(args, "no-checkpoints"),
                                    .claim = cmd_has(args, "resume") ? SWEEP_CLAIM_CHANGED : SWEEP_CLAIM_SAME,
                                    .wanted = job->wanted,
                                    .shared = cmd_has(args, "only"),
                                    .costly_first = job->devices.workers > 1};
  job->bar.total = sweep_work(&job->sweep);
  enum vkd_status status =
      sweep_job_run(&job->sweep, job->folder, &wish, &job->devices, &job->bar, &job->outcomes, err);
  if (job->bar.begun) progress_end(&job->bar.bar, NULL);
  return status;
}

static int count_done(const struct job *job) {
  int done = 0;
  for (int i = 0; i < job->sweep.count; i++) done += job->outcomes[i].done;
  return done;
}

// What is left goes to Slurm.
static enum vkd_status submit(struct job *job, struct vkd_error *err) {
  const struct cmd_args *args = job->args;
  int lock;
  char *to = slurm_begin(job->folder, &lock, err);
  if (!to) return err->status;
  enum vkd_status status = run_sweep(job, err);
  int left = status ? 0 : job->sweep.count - count_done(job);
  const struct slurm_params params = {.program = args->program,
                                      .sweep = &job->sweep,
                                      .outcomes = job->outcomes,
                                      .rate = &job->rate,
                                      .file = &job->file,
                                      .folder = job->folder,
                                      .overrides = args->pos + 1,
                                      .override_count = job->overrides,
                                      .options = args->pos + 1 + job->overrides,
                                      .option_count = job->options,
                                      .device = cmd_string(args, "device"),
                                      .no_checkpoints = cmd_has(args, "no-checkpoints"),
                                      .time_limit = cmd_int(args, "time-limit"),
                                      .retries = (int)cmd_int(args, "retries"),
                                      .jobs = (int)cmd_int(args, "jobs"),
                                      .at_once = cmd_has(args, "workers") ? (int)cmd_int(args, "workers") : 0};
  if (left) status = slurm_write(&params, err);
  if (left && !status)
    status = cmd_has(args, "dry-run") ? slurm_print(job->folder, err) : slurm_submit(job->folder, left, err);
  if (!status && !left) print_summary(job);
  fileio_unlock(&lock);
  free(to);
  return status;
}

static enum vkd_status collect(struct job *job, struct vkd_error *err) {
  enum vkd_status status = run_sweep(job, err);
  if (status) return status;
  int done = count_done(job), first = 0;
  if (done == job->sweep.count) {
    print_summary(job);
    return VKD_OK;
  }
  while (job->outcomes[first].done) first++;
  return vkd_fail(err, VKD_ERR_INTERNAL, "%s/runs.csv holds %d of %d runs; the first that is not done: %s", job->folder,
                  done, job->sweep.count, job->sweep.cells[first].name);
}

static enum vkd_status train(struct job *job, struct vkd_error *err) {
  enum vkd_status status = sweep_devices_open(job->args, &job->devices, err);
  if (status) return status;
  stop_on_signals();
  if ((status = run_sweep(job, err))) return status;
  print_summary(job);
  return sweep_failures(&job->sweep, job->outcomes, err);
}

static enum vkd_status run(struct cmd_args *args, struct vkd_error *err) {
  struct job job = {.args = args, .folder = cmd_string(args, "output")};
  job.options = slurm_split(args->pos + 1, args->count - 1, err);
  if (job.options < 0) return err->status;
  job.overrides = args->count - 1 - job.options;
  enum vkd_status status = check_options(&job, err);
  if (!status) status = sweep_file_load(args->pos[0], &job.file, err);
  if (!status) status = sweep_file_parse(&job.file, "grid", args->pos + 1, (size_t)job.overrides, &job.sweep, err);
  if (!status) status = step_rate_read(cmd_string(args, "bench"), &job.rate, err);
  if (!status) status = choose_cells(&job, err);
  if (status) goto done;
  if (cmd_has(args, "slurm"))
    status = submit(&job, err);
  else if (cmd_has(args, "dry-run"))
    sweep_print_plan(&job.sweep, args->pos[0], &job.rate);
  else
    status = cmd_has(args, "collect") ? collect(&job, err) : train(&job, err);
done:
  sweep_outcomes_free(job.outcomes, job.sweep.count);
  sweep_devices_close(&job.devices);
  sweep_free(&job.sweep);
  sweep_file_free(&job.file);
  free(job.wanted);
  return status;
}

const struct cmd cmd_sweep = {
    .name = "sweep",
    .summary = "Trains one run per cell of a grid and makes their runs table",
    .usage = "SWEEP.yaml [key=value ...]",
    .details =
        "SWEEP.yaml is a configuration with a `grid:` over its keys (docs/sweep.md), or the name of a built-in one.\n"
        "Cells that are done are not run again: a sweep that was cut off goes on when it is started again.\n"
        "--slurm hands what stands behind `--` to sbatch: vkdit sweep SWEEP.yaml -o DIR --slurm -- --partition=gpu",
    .min_pos = 1,
    .max_pos = -1,
    .opts = opts,
    .run = run,
};
