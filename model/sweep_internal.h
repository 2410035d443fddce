// Shared by sweep.c (folders and tables) and sweep_workers.c (processes).
#ifndef VKDM_SWEEP_INTERNAL_H
#define VKDM_SWEEP_INTERNAL_H

#include "vkdm/sweep.h"

// A sweep under way.
struct sweep_job {
  const struct sweep_params *p;
  const struct sweep *sweep;
  struct sweep_outcome *outcomes;
  char *data;           // of the shared set; NULL: every run has its own
  uint64_t fingerprint; // of the shared set
  int lock;             // file descriptor
  int processes;        // that train at the same time
};

// Whether the caller wants it to end.
static inline bool sweep__is_stopped(const struct sweep_job *job) { return job->p->stop && job->p->stop(job->p->user); }

// Trains cell `i` in its folder and writes its cell.json, unless stop(user) ended it (*stopped).
enum vkd_status sweep__run_cell(const struct sweep_job *job, int i, struct vkd_device *device,
                                void (*progress)(void *user, const struct train_progress *progress),
                                bool (*stop)(void *user), void *user, bool *stopped, struct vkd_error *err);

// A cell has ended: reads its cell.json (where `failed` is NULL) and rewrites runs.csv.
enum vkd_status sweep__finish_cell(struct sweep_job *job, int i, const struct vkd_error *failed, struct vkd_error *err);

// Moves the costliest of todo[count] to the front; runs that cost the same stay in their order.
void sweep__put_costly_first(const struct sweep *sweep, int *todo, int count);

// Which of list[count] sweeps are spread over: those of the best kind that can be used, their places in best[count].
// Returns how many.
uint32_t sweep__best_devices(const struct vkd_device_caps *list, uint32_t count, uint32_t *best);

// The cells of todo[count] in forked processes.
enum vkd_status sweep__run_workers(struct sweep_job *job, const int *todo, int count, struct vkd_error *err);

#endif
