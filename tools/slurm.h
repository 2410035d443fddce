// A sweep on a cluster: a Slurm job array, an element per run, and a job that collects (docs/scale-out.md).
#ifndef VKDIT_SLURM_H
#define VKDIT_SLURM_H

#include "sweep_job.h"

struct slurm_params {
  const char *program; // argv[0] of this process
  const struct sweep *sweep;
  const struct sweep_outcome *outcomes; // [sweep->count]; those that are done are not submitted
  const struct step_rate *rate;         // of the cluster's devices; count 0: the runs that are done tell
  const struct sweep_file *file;
  const char *folder;           // of the sweep; holds it already
  const char *const *overrides; // of the sweep's file
  int override_count;
  const char *const *options; // "--name=value", of sbatch
  int option_count;
  const char *device; // --device of every run, NULL: none
  bool no_checkpoints;
  int64_t time_limit;         // minutes that an element may take at most, 0: as the cluster has it
  int retries, jobs, at_once; // of an element; elements at most, and at the same time, 0: as many as Slurm takes
};

// "DIR/slurm", made where it is missing, and locked until fileio_unlock(lock).  malloc'd; NULL: *err tells.
// Errors: VKD_ERR_USAGE where another process submits there, or a job that was submitted before is still in the queue.
char *slurm_begin(const char *folder, int *lock, struct vkd_error *err);

// Which of "key=value" and "--name=value" arguments are whose: moves the options behind the overrides.  Returns how
// many there are, -1: *err tells (VKD_ERR_USAGE).
int slurm_split(const char **args, int count, struct vkd_error *err);

// Writes DIR/slurm/sweep.yaml array.sh collect.sh submit.sh, for the runs that are not done.  Errors: VKD_ERR_IO.
enum vkd_status slurm_write(const struct slurm_params *p, struct vkd_error *err);

// Prints submit.sh.
enum vkd_status slurm_print(const char *folder, struct vkd_error *err);

// Runs submit.sh, which leaves the numbers of its jobs in DIR/slurm/jobs, and prints them.  runs: how many it submits.
// Errors: VKD_ERR_UNSUPPORTED where there is no Slurm; VKD_ERR_INPUT with what sbatch says.
enum vkd_status slurm_submit(const char *folder, int runs, struct vkd_error *err);

#endif
