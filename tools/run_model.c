#include "run_model.h"

#include <stdlib.h>
#include <string.h>

#include "vkdm/base.h"
#include "vkdm/fileio.h"
#include "vkdm/train.h"

// What a run's adapters lie on.
static enum vkd_status load_base(struct run_model *m, const char *folder, struct vkd_error *err) {
  uint64_t hash = 0;
  enum vkd_status st = base_load(m->state.base, m->params, &hash, NULL, err);
  if (st != VKD_OK) return vkd_error_prefix(err, "%s: the base of its adapters", folder);
  if (hash == m->state.base_hash) return VKD_OK;
  return vkd_fail(err, VKD_ERR_INPUT, "%s: its adapters were trained on other weights than those of %s now", folder,
                  m->state.base);
}

enum vkd_status run_model_load(struct run_model *m, const char *folder, bool raw_weights, const enum vkd_dtype *compute,
                               struct vkd_device *dev, struct vkd_error *err) {
  enum vkd_status st = config_from_string(folder, m->state.config, strlen(m->state.config), NULL, 0, &m->config, err);
  if (st == VKD_OK) m->state.model.compute = compute ? *compute : train_compute(&m->config);
  if (st == VKD_OK) st = params_create(&m->params, dev, &m->state.model, PARAMS_FOR_INFERENCE, err);
  bool ema = !raw_weights && m->config.train.ema > 0;
  if (st == VKD_OK) st = ckpt_load(folder, m->params, ema ? PARAMS_EMA : PARAMS_WEIGHT, PARAMS_WEIGHT, err);
  return st == VKD_OK && m->state.base ? load_base(m, folder, err) : st;
}

enum vkd_status run_model_open(struct run_model *m, const char *path, bool raw_weights, const enum vkd_dtype *compute,
                               struct vkd_device *dev, struct vkd_error *err) {
  *m = (struct run_model){.params = NULL};
  char *folder = NULL;
  enum vkd_status st = VKD_OK;
  if (!fileio_is_dir(path)) st = vkd_fail(err, VKD_ERR_INPUT, "%s: no such run or checkpoint folder", path);
  if (st == VKD_OK) st = ckpt_find(path, &folder, &m->state, err);
  if (st == VKD_OK && !folder)
    st = vkd_fail(err, VKD_ERR_INPUT, "%s: holds no checkpoint yet; make one with vkdit train", path);
  if (st == VKD_OK) st = run_model_load(m, folder, raw_weights, compute, dev, err);
  free(folder);
  if (st != VKD_OK) run_model_close(m);
  return st;
}

void run_model_close(struct run_model *m) {
  params_destroy(&m->params);
  streamed_close(&m->streamed);
  ckpt_state_free(&m->state);
}
