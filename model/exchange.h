// Gradients of a step, summed over ranks in buckets while the backward pass goes on, and what ranks have updated in
// parts. Internal to model/.
#ifndef VKDM_EXCHANGE_H
#define VKDM_EXCHANGE_H

#include "vkd/exec.h"
#include "vkdm/comm.h"
#include "vkdm/params.h"

struct exchange;

// Of the arena `kind`, which must be cut alike on all ranks; params outlive it.
enum vkd_status exchange_create(struct exchange **out, struct comm *comm, const struct params *params,
                                enum params_kind kind, enum comm_sum_kind what, struct vkd_error *err);
void exchange_destroy(struct exchange **exchange); // NULL inside is fine

// What the program whose runs are exchanged is made with.
const struct vkd_bucket *exchange_buckets(const struct exchange *exchange, uint32_t *count);

// After vkd_program_submit_buckets(), or what failed before with `st`: the arena, or this rank's part of it, becomes
// its sum over ranks, or what all ranks have as their parts, unless a rank failed.  Every rank comes here, also one
// that failed, since the others wait for its bytes.
enum vkd_status exchange_run(struct exchange *exchange, struct vkd_program *program, enum vkd_status st,
                             struct vkd_error *err);

// Of the last sum's squares, over what is this rank's: their sum over ranks is the whole, bit for bit the same whether
// COMM_SUM or COMM_SUM_PART.
double exchange_squares(const struct exchange *exchange);

// Of a COMM_GATHER: what the ranks have of `kind`, in parts or as their parts of it, is in PARAMS_GRAD, on all of them.
// Between steps; a rank that failed before goes on to the next comm_meet() instead.
enum vkd_status exchange_gather(struct exchange *exchange, enum params_kind kind, struct vkd_error *err);

// Of all runs so far, in seconds.
struct exchange_times {
  double sums; // that sums were under way
  double late; // of it, after the last bucket was there: what the backward pass did not hide
};
struct exchange_times exchange_times(const struct exchange *exchange); // of NULL: 0

#endif
