// What case.json of a case folder says.  Internal to model/.
#ifndef VKDM_VERIFY_CASE_H
#define VKDM_VERIFY_CASE_H

#include <jansson.h>

#include "vkdm/dit.h"
#include "vkdm/optim.h"

enum { VERIFY_STEPS = 3 };

struct verify_case {
  const char *path; // of case.json
  json_t *root;
  char family[32];
  enum dit_naming naming;
  struct dit_config model;
  int64_t params;
  int batch;
  struct optim_settings optim;
  double loss[VERIFY_STEPS]; // before updates 1, 2, 3
  int sample_steps;
  double sample_shift, sample_cfg;
  double tol_loss, tol_adamw, tol_checks; // absolute
  const json_t *checks;                   // group -> tensor -> [sum, norm, weighted sum]
};

// path outlives the case.  Errors: VKD_ERR_INPUT naming the key; VKD_ERR_UNSUPPORTED on another family.
enum vkd_status verify_case_read(struct verify_case *c, const char *path, struct vkd_error *err);
void verify_case_free(struct verify_case *c);

// checks[group][tensor].  Errors: VKD_ERR_INPUT where it is missing or not three numbers.
enum vkd_status verify_case_checks(const struct verify_case *c, const char *group, const char *tensor, double out[3],
                                   struct vkd_error *err);

#endif
