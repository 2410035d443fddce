// A batch of random clips, for steps that are timed and nothing else.  Internal to model/.
#ifndef VKDM_RANDOM_BATCH_H
#define VKDM_RANDOM_BATCH_H

#include "vkdm/data.h"
#include "vkdm/dit.h"

struct random_batch {
  struct data_batch data; // size, latents, and text or labels
  float *values;
  int32_t *labels;
};

// Errors: VKD_ERR_HOST_MEMORY.  random_batch_free() in either case.
enum vkd_status random_batch_create(struct random_batch *out, const struct dit_config *model, int batch,
                                    struct vkd_error *err);
void random_batch_free(struct random_batch *batch);

#endif
