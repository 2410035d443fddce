// The model of a finished or running run, for commands that use it: RUN, or one of its checkpoint folders.
#ifndef VKDIT_RUN_MODEL_H
#define VKDIT_RUN_MODEL_H

#include "streamed.h"
#include "vkdm/ckpt.h"

struct run_model {
  struct ckpt_state state;
  struct config config;
  struct params *params;    // EMA weights, or the raw ones, as PARAMS_WEIGHT
  struct streamed streamed; // of a weight file that does not fit the device
};

// compute: as struct dit_config has it; NULL: as the run was trained.  Errors: VKD_ERR_INPUT where `path` holds no
// checkpoint.
enum vkd_status run_model_open(struct run_model *out, const char *path, bool raw_weights, const enum vkd_dtype *compute,
                               struct vkd_device *dev, struct vkd_error *err);
// The same from a checkpoint that ckpt_find() has found: model->state is `folder`'s, all else zero.  The caller closes
// the model, also after an error.
enum vkd_status run_model_load(struct run_model *model, const char *folder, bool raw_weights,
                               const enum vkd_dtype *compute, struct vkd_device *dev, struct vkd_error *err);
void run_model_close(struct run_model *model);

#endif
