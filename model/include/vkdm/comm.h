// Ranks: processes that train one model together, each on its own device, and what they tell each other.  A process
// alone has no ranks: for it the pointer is NULL, which every function takes, and then nothing is sent.
// All ranks make the same calls in the same order; one that fails goes on to the next comm_meet() or comm_agree(), and
// what others do before these must not need it.  Once one of these failed, later ones fail at once.  A message that
// cannot be sent or received is VKD_ERR_IO.
#ifndef VKDM_COMM_H
#define VKDM_COMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vkd/status.h"

struct comm;

// Whether the environment tells that mpirun, srun or their like started this process as one of several, and as which.
bool comm_started(int *rank);

// Joins the others; *out is NULL where there are none.  Called once in a process.
// Errors: VKD_ERR_UNSUPPORTED where there are others, and the build has no MPI.
enum vkd_status comm_create(struct comm **out, struct vkd_error *err);
// Leaves them; after a message that failed, without waiting for them: what started the ranks then ends them all.
void comm_destroy(struct comm **comm);

int comm_rank(const struct comm *comm); // 0: the first, which alone writes files and speaks
int comm_size(const struct comm *comm);
int comm_local_rank(const struct comm *comm); // among those on the same machine

// A failure `st` of any rank becomes everybody's: with the message of the first one that failed, which names its rank.
// sums [count], count <= COMM_SUMS: become their sums over ranks, in the order of ranks; where it fails, they stay.
enum { COMM_SUMS = 8 };
enum vkd_status comm_meet(struct comm *comm, enum vkd_status st, double *sums, int count, struct vkd_error *err);

// The same, and fails on all ranks, with `status`, where `hash` is not one on all: "rank 2 of 4 has WHAT than rank 0".
enum vkd_status comm_agree(struct comm *comm, enum vkd_status st, uint64_t hash, enum vkd_status status,
                           const char *what, struct vkd_error *err);

// Rank 0's bytes become everybody's.
enum vkd_status comm_share(struct comm *comm, void *data, size_t bytes, struct vkd_error *err);

// Numbers are sent in buckets of this many at most, 4 MiB, which take a network of 100 Gbit/s a third of a millisecond.
enum { COMM_BUCKET = 1 << 20 };

// Where part k begins of n numbers that are cut into `parts`: at multiples of 4 KiB, so that kernels treat a number
// alike wherever what they are given begins.
static inline uint64_t comm_cut(uint64_t n, uint64_t k, uint64_t parts) {
  const uint64_t piece = 1024;
  uint64_t at = (n + piece - 1) / piece * k / parts * piece;
  return at < n ? at : n;
}

// A sum over ranks of x [count], in float64 and the order of ranks whatever the size of messages, rounded once: the
// same bits on all.  Made once, begun again and again; several at a time are of one kind, are begun in the same order
// on all ranks, and go on while comm_progress() is called.  count < 2^31
struct comm_sum;
enum comm_sum_kind {
  COMM_SUM,
  COMM_SUM_PART, // each rank gets its part of the sum alone, as comm_cut() cuts x
  COMM_GATHER    // no sum: every rank's part as that rank has it
};
enum vkd_status comm_sum_create(struct comm_sum **out, struct comm *comm, enum comm_sum_kind kind, size_t count,
                                struct vkd_error *err);
void comm_sum_destroy(struct comm_sum **sum); // NULL inside is fine
// Of the last sum's squares, over this rank's part.
double comm_sum_squares(const struct comm_sum *sum);
// x is not touched until comm_sum_done().
enum vkd_status comm_sum_begin(struct comm_sum *sum, float *x, struct vkd_error *err);
bool comm_sum_done(const struct comm_sum *sum);
enum vkd_status comm_progress(struct comm *comm, struct vkd_error *err);
// Gives way to other threads and ranks for a moment: between calls of comm_progress() that find nothing to do.  *idle
// counts them, from 0.
void comm_pause(unsigned *idle);

#endif
