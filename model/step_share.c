// What a rank takes of a step: its part of the batch, arenas, and train.micro_batch: auto.
#include "step.h"
#include "vkd/log.h"

unsigned step_params_kinds(const struct config *config) {
  return PARAMS_FOR_TRAINING | (config_accumulation(config) > 1 ? 1u << PARAMS_GRAD_SUM : 0) |
         (config->train.precision == CONFIG_FP32 ? 0 : 1u << PARAMS_COPY);
}

enum vkd_status step_params_create(struct params **out, struct vkd_device *dev, const struct config *config,
                                   const struct dit_config *model, const struct comm *comm, struct vkd_error *err) {
  bool parts = config->train.shard_optimizer;
  return params_create_part(out, dev, model, step_params_kinds(config), parts ? comm_rank(comm) : 0,
                            parts ? comm_size(comm) : 1, err);
}

enum vkd_status step_share_batch(struct config *config, int ranks, struct vkd_error *err) {
  int batch = config->train.batch, micro = config->train.micro_batch;
  config->train.batch = batch / ranks;
  if (batch % ranks)
    return vkd_fail(err, VKD_ERR_INPUT, "train.batch: %d samples cannot be shared evenly among %d ranks", batch, ranks);
  if (micro > 0 && config->train.batch % micro)
    return vkd_fail(err, VKD_ERR_INPUT, "train.micro_batch: %d does not divide the %d samples of each of %d ranks",
                    micro, config->train.batch, ranks);
  return VKD_OK;
}

// Bytes of the whole run: parameters, both programs, and the inputs once more, for the held-out loss, which computes in
// the step's memory.  fake: nothing is allocated on it.
static enum vkd_status run_bytes(struct vkd_device *fake, const struct config *config, const struct dit_config *model,
                                 struct comm *comm, uint64_t *bytes, struct vkd_error *err) {
  struct params *params = NULL;
  struct step *step = NULL;
  struct step_part parts[STEP_PARTS];
  int count = 0;
  enum vkd_status st = step_params_create(&params, fake, config, model, comm, err);
  if (st == VKD_OK) st = step_create_plan(&step, config, params, comm, err);
  if (st == VKD_OK) st = step_parts(step, parts, &count, err);
  *bytes = vkd_device_allocated(fake, NULL);
  for (int i = 0; i < count; i++) {
    const struct vkd_plan_info *p = &parts[i].plan;
    *bytes += p->temporaries + p->inputs + p->outputs + p->constants + p->staging;
    if (i == 0) *bytes += 2 * p->inputs + p->constants;
  }
  step_destroy(&step);
  params_destroy(&params);
  return st;
}

enum vkd_status step_settle_micro(struct config *config, struct vkd_device *dev, const struct dit_config *model,
                                  struct comm *comm, struct vkd_error *err) {
  if (config->train.micro_batch != CONFIG_AUTO) return VKD_OK;
  const struct vkd_device_caps *caps = vkd_device_get_caps(dev);
  uint64_t used = vkd_device_allocated(dev, NULL), bytes = 0,
           left = caps->memory_budget > used ? caps->memory_budget - used : 0;
  struct vkd_device *fake = NULL;
  enum vkd_status st = vkd_device_create(&fake, &(struct vkd_device_params){.fake = caps}, err);
  bool fits = false;
  for (int parts = 1, batch = config->train.batch; parts <= batch && st == VKD_OK && !fits; parts++) {
    if (batch % parts) continue;
    struct vkd_error why = {0};
    config->train.micro_batch = batch / parts;
    st = run_bytes(fake, config, model, comm, &bytes, &why);
    fits = st == VKD_OK && bytes <= left;
    if (st == VKD_ERR_DEVICE_MEMORY || st == VKD_ERR_SHAPE) st = VKD_OK; // a smaller one may do
    if (st != VKD_OK) vkd_fail(err, st, "%s", why.what);
  }
  vkd_device_destroy(&fake);
  if (st == VKD_OK && fits)
    vkd_log(VKD_LOG_INFO, "train.micro_batch: auto takes %d of %d (%.1f of %.1f MiB)", config->train.micro_batch,
            config->train.batch, (double)bytes / 1048576, (double)left / 1048576);
  return st;
}
