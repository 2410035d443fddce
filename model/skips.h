// Steps of a run that changed nothing because their loss or gradient was not finite.  Internal to model/.
#ifndef VKDM_SKIPS_H
#define VKDM_SKIPS_H

#include "step.h"

struct skips {
  int64_t most;   // in a row: the run ends
  int64_t total;  // of the whole run
  int64_t in_row; // up to now, without those that a lower loss scale may mend
  int64_t first;  // step of the first of them
};

bool skips_is_one(const struct step_result *result);
// Counts a step; whether the run ends with it.
bool skips_note(struct skips *skips, const struct step_result *result);

// One line on a run that ended: the steps, the first tensor that is not finite when step `last` runs again
// (step_trace()), and the checkpoint that is left in `run` (NULL: none are written).
void skips_explain(const struct skips *skips, struct step *step, const struct step_result *last,
                   const struct config *config, struct dataset *data, const char *run, char *why, size_t size);

#endif
