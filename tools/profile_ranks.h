// What several ranks would make of a profiled training step: docs/scale-out.md has the model.
#ifndef TOOLS_PROFILE_RANKS_H
#define TOOLS_PROFILE_RANKS_H

#include "vkdm/profile.h"

struct profile_network {
  int ranks;
  double bandwidth; // bytes per second, into and out of each rank
  double latency;   // seconds of a message
};

// Seconds, of a batch shared among the ranks.
struct profile_ranks {
  double forward, backward, update;
  double sums;       // of gradients, all of them, and of weights where ranks update parts
  double step;       // what of the sums the backward pass does not hide included
  double hidden;     // share of the sums
  double efficiency; // time of one rank / (ranks * step)
};

// What several ranks met that profiled together.
struct profile_ranks profile_ranks_measured(const struct profile *profile);
// Of a measured profile, of one rank or of several.
struct profile_ranks profile_ranks_foretell(const struct profile *profile, const struct profile_network *network);

#endif
