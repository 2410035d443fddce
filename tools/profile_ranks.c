#include "profile_ranks.h"

#include <math.h>
#include <string.h>

#define BUCKET 4194304.0 // bytes, as model/exchange.c cuts gradients

struct profile_ranks profile_ranks_foretell(const struct profile *p, const struct profile_network *n) {
  double forward = 0, backward = 0, update = 0;
  for (uint32_t i = 0; i < p->count; i++) {
    const struct profile_row *row = &p->rows[i];
    bool grad = strncmp(row->label, "grad/", 5) == 0 || strncmp(row->label, "recompute/", 10) == 0;
    *(strncmp(row->label, "optim", 5) == 0 ? &update : grad ? &backward : &forward) += 1e-9 * row->ns * row->repeats;
  }
  double bytes = (double)p->memory.gradients, share = 2 * (1 - 1.0 / n->ranks), last = fmin(bytes, BUCKET);
  struct profile_ranks r = {.forward = forward / n->ranks, .backward = backward / n->ranks, .update = update};
  r.sums = share * bytes / n->bandwidth + 2 * ceil(bytes / BUCKET) * n->latency;
  double tail = share * last / n->bandwidth + 2 * n->latency;
  double late = fmax(r.sums - r.backward, tail);
  r.step = r.forward + r.backward + late + r.update;
  r.hidden = 1 - late / r.sums;
  r.efficiency = (forward + backward + update) / (n->ranks * r.step);
  return r;
}
