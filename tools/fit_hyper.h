// The part of a fit that tells the best batch and learning rate: run, printed, and as JSON.
#ifndef VKDIT_FIT_HYPER_H
#define VKDIT_FIT_HYPER_H

#include <jansson.h>

#include "fit/compare.h"
#include "vkd/status.h"

struct hyper_job {
  struct fit_hyper_options options;
  int bootstrap; // replicates; 0: none
  double level;  // of the intervals, 0: 0.9
  unsigned long long seed;
  struct fit_compare_options compare;     // fixed against optimal; its replicates, level and seed are those above
  const struct fit_runs *optimal, *fixed; // of fit_compare_pairs(); NULL: the cells' optima, and the runs near a pair
};

struct hyper_result {
  struct fit_hyper fit;
  bool has_bootstrap, has_compare;
  struct fit_hyper_bootstrap bootstrap;
  struct fit_compare compare;
  char bootstrap_note[512], compare_note[512]; // why there is none; empty: not asked for
};

// The table must hold every run, not the best of each cell.  Errors: VKD_ERR_INPUT on a table without batches and
// learning rates, or where no cell has an optimum (the reasons are told).  That no law follows is no error.
enum vkd_status hyper_run(const struct fit_runs *runs, const struct hyper_job *job, struct hyper_result *out,
                          struct vkd_error *err);
void hyper_print(const struct hyper_result *r);
// Adds "laws", the laws of batch and learning rate, and "hyper", what they rest on.
void hyper_add_json(const struct hyper_result *r, json_t *root);
void hyper_free(struct hyper_result *r);

#endif
