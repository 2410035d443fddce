// What law.json carries for planning beside the laws: noise and ranges of the runs, and resamples of the laws of batch
// and learning rate.
#ifndef VKDIT_LAW_PLAN_H
#define VKDIT_LAW_PLAN_H

#include <jansson.h>
#include <stdbool.h>

#include "fit/design.h"
#include "fit/hyper.h"
#include "fit/report.h"
#include "vkd/status.h"

#define LAW_MAX_HYPER_SAMPLE 400

struct law_plan {
  bool has_noise, has_range;
  struct fit_noise noise;
  double params[2], tokens[2], compute[2]; // lowest and highest of the runs fitted
  int hyper_count[FIT_HYPER_TARGETS];      // 0: none
  double hyper[FIT_HYPER_TARGETS][LAW_MAX_HYPER_SAMPLE][FIT_HYPER_COUNT];
};

// Adds "noise" and "range".  Errors: VKD_ERR_HOST_MEMORY.
enum vkd_status law_plan_add(const struct fit_report *r, json_t *root, struct vkd_error *err);
// At most LAW_MAX_HYPER_SAMPLE laws of a target, evenly taken: [[k, tokens_exp, params_exp], ...].
json_t *law_plan_hyper_sample(const struct fit_hyper_bootstrap *b, int target);
// Reads them, all optional, out of a law.json.  Errors: VKD_ERR_INPUT naming path and field.
enum vkd_status law_plan_read(const char *path, const json_t *root, struct law_plan *out, struct vkd_error *err);

#endif
