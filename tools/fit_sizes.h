// The part of a fit that tells the compute-optimal sizes: IsoFLOP parabolas and the envelope of the training curves,
// and all ways side by side; run, printed, and as JSON.
#ifndef VKDIT_FIT_SIZES_H
#define VKDIT_FIT_SIZES_H

#include <jansson.h>

#include "fit/report.h"
#include "fit/sizes.h"
#include "vkd/status.h"

struct sizes_result {
  bool has_isoflop, has_envelope;
  struct fit_isoflop isoflop;
  struct fit_envelope envelope;
  char isoflop_note[512], envelope_note[512]; // why there is none
};

// Neither table nor curves that allow it is no error: the notes say it.  Errors: VKD_ERR_HOST_MEMORY.
enum vkd_status sizes_run(const struct fit_runs *runs, const struct fit_isoflop_options *options,
                          struct sizes_result *out, struct vkd_error *err);
void sizes_free(struct sizes_result *r);

// Budgets, what became of each, and the laws.
void sizes_print(const struct sizes_result *r);
void sizes_add_json(const struct sizes_result *r, json_t *root); // "isoflop" and "envelope"

// N_opt at whole powers of ten over low .. high FLOPs.
void sizes_print_ways(const struct fit_size_sources *s, double low, double high);
void sizes_add_ways_json(const struct fit_size_sources *s, double low, double high, json_t *root); // "sizes"

#endif
