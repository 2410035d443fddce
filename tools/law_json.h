// law.json: the joint law that `vkdit fit` writes and `vkdit plan` reads.
#ifndef VKDIT_LAW_JSON_H
#define VKDIT_LAW_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "fit/report.h"
#include "vkd/status.h"

struct law_file {
  double params[FIT_JOINT_PARAMS]; // SI
  bool has_interval[FIT_JOINT_PARAMS];
  double level, low[FIT_JOINT_PARAMS], high[FIT_JOINT_PARAMS];
  bool e_identified; // true where the file does not say
};

// Reads and checks every field.  "paper" is the law printed in arXiv:2411.17470.
// Errors: VKD_ERR_INPUT naming path and field; another law than the joint one is VKD_ERR_UNSUPPORTED.
enum vkd_status law_json_read(const char *path, struct law_file *law, struct vkd_error *err);

// A new object, or NULL without memory.
json_t *law_json_make(const struct fit_report *report);

enum vkd_status law_json_write(const char *path, const struct fit_report *report, struct vkd_error *err);

// What a function of fit/ said, as a status of this program.
enum vkd_status law_status(enum fit_status status, const struct fit_error *from, struct vkd_error *err);

#endif
