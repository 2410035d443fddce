// Gradients of a step, summed over ranks.  Internal to model/.
#ifndef VKDM_EXCHANGE_H
#define VKDM_EXCHANGE_H

#include "vkdm/comm.h"
#include "vkdm/params.h"

struct exchange;

// Of the arena `kind`, whose segments must be cut alike on all ranks.
enum vkd_status exchange_create(struct exchange **out, struct comm *comm, struct params *params, enum params_kind kind,
                                struct vkd_error *err);
void exchange_destroy(struct exchange **exchange); // NULL inside is fine

// After this rank's passes, which ended with `st`: the arena and *loss become their sums over ranks, or all ranks fail.
enum vkd_status exchange_run(struct exchange *exchange, enum vkd_status st, double *loss, struct vkd_error *err);

#endif
