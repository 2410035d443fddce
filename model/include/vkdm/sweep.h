// A sweep: one training run per cell of a grid, and the runs table that they make.  The file's format: docs/sweep.md.
// DIR/: synthetic-HASH.vkd runs.csv runs/CELL/ (as vkdm/train.h tells, and cell.json, what the table needs of it).
#ifndef VKDM_SWEEP_H
#define VKDM_SWEEP_H

#include "vkdm/train.h"

enum { SWEEP_NAME_MAX = 128, SWEEP_MAX_CELLS = 10000, SWEEP_MAX_WORKERS = 64 };

struct sweep_cell {
  char name[SWEEP_NAME_MAX]; // of its folder below runs/
  struct config config;
  // Filled by sweep_plan().
  struct dit_config model;
  int64_t params;     // matrices of the blocks: 16 depth dim^2 at ffn = 4 dim, the paper's N
  int64_t params_all; // every trainable number
  int64_t steps, tokens_per_step;
  double flops; // of the run, by dit_token_flops()
};

struct sweep {
  struct sweep_cell *cells; // in grid order: the last axis of the file runs fastest
  int count;
  int rows;         // of runs.csv per run, at most, spaced evenly in log tokens; 0: every evaluation
  double rows_from; // none before this share of a run's tokens
  bool shared_data; // one data set for all cells
  struct {
    int count, steps;
    double cfg;
  } samples; // that `vkdit reproduce` draws
  struct {
    int runs;     // at most; 0: none
    double flops; // of all of them
  } next;         // that `vkdit reproduce` chooses by the law so far
  double window;  // of the bowls of batch and learning rate that it fits, as vkdit fit --window has it; 0: the default
};

struct sweep_source {
  const char *name, *text; // the file's, for messages; its bytes
  size_t size;
  const char *grid; // which grid of the file: "grid" (NULL), or one of those that `vkdit reproduce` has beside it
  // The configuration that the file's `base` names, checked.  NULL: `base` is refused.
  enum vkd_status (*load_base)(void *user, const char *base, struct config *out, struct vkd_error *err);
  void *user;
  const char *const *overrides; // "section.key=value", of the base
  size_t override_count;
};

// Errors: VKD_ERR_INPUT "FILE:LINE: ..." naming the nearest known key; VKD_ERR_USAGE on an override, also of an axis.
enum vkd_status sweep_parse(const struct sweep_source *source, struct sweep *out, struct vkd_error *err);
void sweep_free(struct sweep *sweep);

// Sizes and costs of every cell, from the data file or from what the synthetic set will be; needs no device and builds
// no data. Errors: VKD_ERR_INPUT naming the cell whose model does not fit the data.
enum vkd_status sweep_plan(struct sweep *sweep, struct vkd_error *err);

// Whether the file has this grid.  A file that cannot be read has none.
bool sweep_has_grid(const char *text, size_t size, const char *grid);

// What became of a cell.
struct sweep_outcome {
  bool done, kept; // kept: finished by an earlier sweep
  struct train_result result;
  struct vkd_error error; // where it failed
};

struct sweep_progress {
  int cell;
  bool done; // the cell's last report
  struct train_progress train;
};

// What DIR/cells.yaml, its cells as it was started with, may say: nothing is looked at | these very cells | others,
// whose runs are kept where they are the same.
enum sweep_claim { SWEEP_CLAIM_NONE, SWEEP_CLAIM_SAME, SWEEP_CLAIM_CHANGED };

struct sweep_params {
  const struct sweep *sweep; // planned
  const char *folder;        // DIR; created
  const char *data;          // folder of the shared synthetic set; NULL: DIR
  bool no_checkpoints;       // a cell that was cut off then starts anew
  enum sweep_claim claim;
  const bool *wanted; // [sweep->count] cells to run; NULL: all
  // Other processes, on this machine or others, run other cells of DIR meanwhile: DIR is not locked, the cells that are
  // not wanted are not looked at, and runs.csv is not written.
  bool shared;
  bool costly_first; // the runs of the most FLOPs begin first, so that workers end together; else in grid order
  // Runs one after another on `device`; or, where it is NULL, in `workers` forked processes, worker w on the device
  // chosen by devices[w mod device_count] (none: spread over the devices of the best kind).  The caller has touched no
  // device before.
  struct vkd_device *device;
  int workers;
  const char *const *devices;
  int device_count;
  void (*progress)(void *user, const struct sweep_progress *progress);
  // Asked before every step, with `user`; true: runs under way save a checkpoint and end, no other begins, and those
  // left have neither result nor error.  NULL: never.  Workers ignore SIGINT and SIGTERM, and die with the caller.
  bool (*stop)(void *user);
  void *user;
};

// Runs every wanted cell that has no cell.json of the same configuration and data, resuming those with a checkpoint,
// and rewrites runs.csv after each.  A run that diverges is recorded as such; one that fails is told in its outcome,
// and the others go on. outcomes: [sweep->count], zeroed by the caller, freed by sweep_outcomes_free(). Errors:
// VKD_ERR_USAGE where another sweep is running in DIR, naming its process, or DIR holds another one's cells (claim);
// VKD_ERR_IO; not those of single runs.
enum vkd_status sweep_run(const struct sweep_params *params, struct sweep_outcome *outcomes, struct vkd_error *err);
// One per device of the best kind that this machine has, where that is a GPU; 1 where $VKD_DEVICE has chosen.  Asks in
// a process of its own, since no device survives a fork.
int sweep_default_workers(void);
void sweep_outcomes_free(struct sweep_outcome *outcomes, int count);

// The rows of several sweeps as one table; `run` is then PART/CELL.
struct sweep_part {
  const char *name;
  const struct sweep *sweep;
  const struct sweep_outcome *outcomes;
};
enum vkd_status sweep_write_table(const char *path, const struct sweep_part *parts, int count, struct vkd_error *err);

// Where the shared data set lies or will: data.path, or FOLDER/synthetic-HASH.vkd, its hash that of the data section.
// malloc'd; NULL: out of memory.
char *sweep_data_path(const char *folder, const struct config *config);

// The points of a run that are rows of the table: indices into result->points, [point_count].  Returns how many.
int sweep_rows(const struct sweep *sweep, const struct sweep_cell *cell, const struct train_result *result, int *index);

#endif
