// What case.json of a case folder says.  Internal to model/.
#ifndef VKDM_VERIFY_CASE_H
#define VKDM_VERIFY_CASE_H

#include <jansson.h>

#include "vkdm/dit.h"
#include "vkdm/optim.h"

enum { VERIFY_STEPS = 3, VERIFY_SOLVERS = 3, VERIFY_SOLVER_STEPS = 1000, VERIFY_BATCH = 4096 };

// A sampler whose latents the case stores, as KEY_x in sample.safetensors.
struct verify_solver {
  const char *key, *sampler; // in the case, here
  int steps;
  const json_t *grid, *timesteps; // the noise levels, with the last 0, and what the model is fed; NULL: not stated
  const json_t *stored;           // steps whose latents are there; NULL: all
};

struct verify_case {
  const char *path; // of case.json
  json_t *root;
  const char *family; // as the case names it
  enum dit_naming naming;
  struct dit_config model;
  int64_t params;
  int batch;
  struct optim_settings optim;
  double loss[VERIFY_STEPS]; // before updates 1, 2, 3
  const json_t *mse, *vb;    // arrays [batch] of the loss' terms; NULL: not stated
  struct verify_solver solvers[VERIFY_SOLVERS];
  int solver_count;
  double sample_shift, sample_cfg;
  int sample_channels;                    // that guidance moves; 0: as the family has it
  double tol_loss, tol_adamw, tol_checks; // absolute
  const json_t *checks;                   // group -> tensor -> [sum, norm, weighted sum]
};

// path outlives the case.  Errors: VKD_ERR_INPUT naming the key; VKD_ERR_UNSUPPORTED on another family.
enum vkd_status verify_case_read(struct verify_case *c, const char *path, struct vkd_error *err);
void verify_case_free(struct verify_case *c);

// Entry i of an array of numbers; NaN where it is none.
double verify_case_number(const json_t *array, size_t i);

// checks[group][tensor].  Errors: VKD_ERR_INPUT where it is missing or not three numbers.
enum vkd_status verify_case_checks(const struct verify_case *c, const char *group, const char *tensor, double out[3],
                                   struct vkd_error *err);

#endif
