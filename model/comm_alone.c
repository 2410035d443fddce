// Ranks in a build without MPI: there are none, and the pointer is NULL throughout.
#include "comm_started.h"
#include "vkdm/comm.h"

enum vkd_status comm_create(struct comm **out, struct vkd_error *err) {
  int rank, size = comm_started_size(&rank);
  *out = NULL;
  if (size <= 1) return VKD_OK;
  return vkd_fail(err, VKD_ERR_UNSUPPORTED,
                  "started as one of %d ranks, but built without MPI: install it (libopenmpi-dev) and build again, or "
                  "start one process alone",
                  size);
}

void comm_destroy(struct comm **comm) { *comm = NULL; }

int comm_rank(const struct comm *comm) {
  (void)comm;
  return 0;
}

int comm_size(const struct comm *comm) {
  (void)comm;
  return 1;
}

int comm_local_rank(const struct comm *comm) {
  (void)comm;
  return 0;
}

enum vkd_status comm_meet(struct comm *comm, enum vkd_status st, double *sums, int count, struct vkd_error *err) {
  (void)comm, (void)sums, (void)count, (void)err;
  return st;
}

enum vkd_status comm_agree(struct comm *comm, enum vkd_status st, uint64_t hash, enum vkd_status status,
                           const char *what, struct vkd_error *err) {
  (void)comm, (void)hash, (void)status, (void)what, (void)err;
  return st;
}

enum vkd_status comm_share(struct comm *comm, void *data, size_t bytes, struct vkd_error *err) {
  (void)comm, (void)data, (void)bytes, (void)err;
  return VKD_OK;
}

// Sums are of several ranks, which there are not.
enum vkd_status comm_sum_create(struct comm_sum **out, struct comm *comm, enum comm_sum_kind kind, size_t count,
                                struct vkd_error *err) {
  (void)comm, (void)kind, (void)count;
  *out = NULL;
  return vkd_fail(err, VKD_ERR_INTERNAL, "a sum over ranks in a build without MPI");
}

void comm_sum_destroy(struct comm_sum **sum) { *sum = NULL; }

double comm_sum_squares(const struct comm_sum *sum) {
  (void)sum;
  return 0;
}

enum vkd_status comm_sum_begin(struct comm_sum *sum, float *x, struct vkd_error *err) {
  (void)sum, (void)x, (void)err;
  return VKD_OK;
}

bool comm_sum_done(const struct comm_sum *sum) {
  (void)sum;
  return true;
}

enum vkd_status comm_progress(struct comm *comm, struct vkd_error *err) {
  (void)comm, (void)err;
  return VKD_OK;
}

void comm_pause(unsigned *idle) { ++*idle; }
