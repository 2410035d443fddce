// law.json: the joint law, and the laws of batch and learning rate, that `vkdit fit` writes and `vkdit plan` reads.
#ifndef VKDIT_LAW_JSON_H
#define VKDIT_LAW_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "fit/hyper.h"
#include "fit/report.h"
#include "law_plan.h"
#include "vkd/status.h"

// A law of batch or learning rate: k * T^tokens_exp * N^params_exp, SI units.
struct law_file_hyper {
  bool has, has_interval;
  double param[FIT_HYPER_COUNT], level, low[FIT_HYPER_COUNT], high[FIT_HYPER_COUNT];
};

#define LAW_MAX_SAMPLE 400

struct law_file {
  struct law_file_hyper hyper[FIT_HYPER_TARGETS];
  double params[FIT_JOINT_PARAMS]; // SI
  bool has_interval[FIT_JOINT_PARAMS];
  double level, low[FIT_JOINT_PARAMS], high[FIT_JOINT_PARAMS];
  double sample[LAW_MAX_SAMPLE][FIT_JOINT_PARAMS]; // laws of the bootstrap, SI; level: as above
  int sample_count;                                // 0: none
  struct law_plan plan;                            // what planning reads beside the laws
  bool e_identified;                               // true where the file does not say
};

// Reads and checks every field.  "paper" is the law printed in arXiv:2411.17470.
// Errors: VKD_ERR_INPUT naming path and field; another law than the joint one is VKD_ERR_UNSUPPORTED.
enum vkd_status law_json_read(const char *path, struct law_file *law, struct vkd_error *err);

// A new object, or NULL without memory.
json_t *law_json_make(const struct fit_report *report);

json_t *law_json_excluded(const struct fit_runs *runs);     // [{"reason":..,"rows":..},...]
json_t *law_json_params(const double si[FIT_JOINT_PARAMS]); // {"E":..,"A":..,...}

// Takes root, which may be NULL for want of memory.  Written whole or not at all.
enum vkd_status law_json_write(const char *path, json_t *root, struct vkd_error *err);

// What a function of fit/ said, as a status of this program.
enum vkd_status law_status(enum fit_status status, const struct fit_error *from, struct vkd_error *err);

#endif
