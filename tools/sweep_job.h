// What `vkdit sweep` and `vkdit reproduce` share: loading a sweep's file, its plan as a table, and one bar over all its
// runs.
#ifndef VKDIT_SWEEP_JOB_H
#define VKDIT_SWEEP_JOB_H

#include "cmd.h"
#include "progress.h"
#include "step_rate.h"
#include "vkdm/sweep.h"

#define SWEEP_OPTS                                                                                                     \
  {.name = "workers",                                                                                                  \
   .kind = CMD_INT,                                                                                                    \
   .metavar = "K",                                                                                                     \
   .min = 1,                                                                                                           \
   .max = SWEEP_MAX_WORKERS,                                                                                           \
   .help = "processes that train at the same time (default: one per device)"},                                         \
      {.name = "device",                                                                                               \
       .kind = CMD_STRING,                                                                                             \
       .metavar = "N|NAME,...",                                                                                        \
       .help = "device, or one per worker in turn (default: all of the best kind)"},                                   \
      {.name = "bench",                                                                                                \
       .kind = CMD_STRING,                                                                                             \
       .metavar = "FILE",                                                                                              \
       .help = "what `vkdit bench train --save FILE` measured here: the plan tells times too"},                        \
  {                                                                                                                    \
    .name = "dry-run", .kind = CMD_FLAG, .help = "print the plan and end: runs, parameters, FLOPs, memory"             \
  }

// A sweep's file in memory.
struct sweep_file {
  const char *name;
  char *text;
  size_t size;
};

// `name`: a file, or the name of a built-in sweep (assets/sweeps).
enum vkd_status sweep_file_load(const char *name, struct sweep_file *out, struct vkd_error *err);
void sweep_file_free(struct sweep_file *file);

// Parses and plans one grid of the file.
enum vkd_status sweep_file_parse(const struct sweep_file *file, const char *grid, const char *const *overrides,
                                 size_t count, struct sweep *out, struct vkd_error *err);

// rate: for times; count 0: none are told
void sweep_print_plan(const struct sweep *sweep, const char *title, const struct step_rate *rate);
double sweep_seconds(const struct sweep *sweep, const struct step_rate *rate); // by one worker; NaN: not known
double sweep_flops(const struct sweep *sweep);                                 // of all cells, planned
double sweep_cell_tokens(const struct sweep_cell *cell);                       // of the whole run

// Devices as --device names them.
struct sweep_devices {
  char *text;
  const char *names[SWEEP_MAX_WORKERS];
  int count, workers;
  struct vkd_device *device; // with one worker: open
};
enum vkd_status sweep_devices_open(const struct cmd_args *args, struct sweep_devices *out, struct vkd_error *err);
void sweep_devices_close(struct sweep_devices *devices);

// One bar over the cells of one or more sweeps and other work, in the time they are likely to take.
struct sweep_bar {
  struct progress bar;
  double total, before; // work of everything; of what came before this sweep
  const struct sweep *sweep;
  double *share; // [cells] done of each, 0 .. 1
  bool begun;
};
double sweep_cell_work(const struct sweep_cell *cell); // as the time it takes: FLOPs, and something per step
double sweep_work(const struct sweep *sweep);
void sweep_bar_show(struct sweep_bar *bar, double work, const char *note); // work: since `before`

// Runs the sweep, moving bar->before past it.  wish: what it says of data, checkpoints, claim and which cells in what
// order counts.  stop_requested() ends it. outcomes: [sweep->count], allocated here. Errors: those of sweep_run(); runs
// that failed are told by sweep_failures().
enum vkd_status sweep_job_run(const struct sweep *sweep, const char *folder, const struct sweep_params *wish,
                              const struct sweep_devices *devices, struct sweep_bar *bar,
                              struct sweep_outcome **outcomes, struct vkd_error *err);

// VKD_OK, or how many runs failed and why the first did.
enum vkd_status sweep_failures(const struct sweep *sweep, const struct sweep_outcome *outcomes, struct vkd_error *err);

// The finished cell of the lowest held-out loss that did not diverge, -1: none.
int sweep_best(const struct sweep *sweep, const struct sweep_outcome *outcomes);

#endif
