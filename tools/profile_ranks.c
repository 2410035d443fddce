#include "profile_ranks.h"

#include <math.h>
#include <string.h>

// Seconds of a step as profiled: the batch's share of p->ranks, and the update of all parameters.
struct parts {
  double forward, backward, update;
};

static struct parts parts_of(const struct profile *p) {
  struct parts t = {0};
  for (uint32_t i = 0; i < p->count; i++) {
    const struct profile_row *row = &p->rows[i];
    bool grad = strncmp(row->label, "grad/", 5) == 0 || strncmp(row->label, "recompute/", 10) == 0;
    *(strncmp(row->label, "optim", 5) == 0 ? &t.update
      : grad                               ? &t.backward
                                           : &t.forward) += 1e-9 * row->ns * row->repeats;
  }
  if (p->parts) t.update *= p->ranks;
  return t;
}

// On a busy machine ranks may wait longer than bytes are under way.
static double hidden(double sums, double late) { return sums > 0 ? fmax(1 - late / sums, 0) : 0; }

static double alone(const struct profile *p, const struct parts *t) {
  return p->ranks * (t->forward + t->backward) + t->update;
}

struct profile_ranks profile_ranks_foretell(const struct profile *p, const struct profile_network *n) {
  const double bucket = COMM_BUCKET * sizeof(float);
  struct parts t = parts_of(p);
  double bytes = (double)p->memory.gradients, share = 2 * (1 - 1.0 / n->ranks), last = fmin(bytes, bucket);
  double scale = (double)p->ranks / n->ranks;
  struct profile_ranks r = {.forward = t.forward * scale, .backward = t.backward * scale};
  r.update = p->parts ? t.update / n->ranks : t.update;
  r.sums = share * bytes / n->bandwidth + 2 * ceil(bytes / bucket) * n->latency;
  double tail = share * last / n->bandwidth + 2 * n->latency;
  double late = fmax(r.sums - r.backward, tail);
  if (p->parts) late = fmax(r.sums / 2 - r.backward, tail / 2) + r.sums / 2; // weights come after the update
  r.step = r.forward + r.backward + late + r.update;
  r.hidden = hidden(r.sums, late);
  r.efficiency = alone(p, &t) / (n->ranks * r.step);
  return r;
}

struct profile_ranks profile_ranks_measured(const struct profile *p) {
  struct parts t = parts_of(p);
  const struct profile_exchange *e = &p->exchange;
  return (struct profile_ranks){.forward = t.forward,
                                .backward = t.backward,
                                .update = p->parts ? t.update / p->ranks : t.update,
                                .sums = e->sums,
                                .step = e->step,
                                .hidden = hidden(e->sums, e->late),
                                .efficiency = alone(p, &t) / (p->ranks * e->step)};
}
