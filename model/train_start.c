// What a run begins from: a checkpoint of its folder, other weights, or its seed.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "train_internal.h"
#include "vkd/log.h"
#include "vkdm/base.h"
#include "vkdm/ckpt.h"

// Keys that may change between a checkpoint and what goes on from it.
static bool may_change(const char *key) {
  static const char *const free_keys[] = {"train.steps",
                                          "train.tokens",
                                          "train.micro_batch",
                                          "train.max_skipped",
                                          "train.check_weights",
                                          "train.shard_optimizer",
                                          "data.path",
                                          "eval.",
                                          "checkpoint.",
                                          "train.base",
                                          "log."};
  for (size_t i = 0; i < sizeof free_keys / sizeof free_keys[0]; i++)
    if (strncmp(key, free_keys[i], strlen(free_keys[i])) == 0) return true;
  return false;
}

// *same_base: train.base names what it named then.
static enum vkd_status check_same_config(const struct run *r, const char *path, const struct ckpt_state *s,
                                         bool *same_base, struct vkd_error *err) {
  struct config *old = malloc(sizeof *old);
  if (!old) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a configuration");
  enum vkd_status st = config_from_string(path, s->config, strlen(s->config), NULL, 0, old, err);
  const char *key, *fallback, *help;
  char accepted[160], was[CONFIG_TEXT_MAX], now[CONFIG_TEXT_MAX];
  for (size_t i = 0; st == VKD_OK && config_describe(i, &key, &fallback, &help, accepted, sizeof accepted); i++) {
    if (may_change(key)) continue;
    st = config_get(old, key, was, sizeof was, err);
    if (st == VKD_OK) st = config_get(&r->config, key, now, sizeof now, err);
    if (st == VKD_OK && strcmp(was, now) != 0)
      st = vkd_fail(err, VKD_ERR_INPUT,
                    "%s: was made with %s=%.100s, not %.100s; give the same configuration, or another folder", path,
                    key, was, now);
  }
  *same_base = st == VKD_OK && strcmp(old->train.base, r->config.train.base) == 0;
  free(old);
  return st;
}

// The base that a checkpoint's adapters were trained on: where it was found then, or where train.base now says.
static enum vkd_status restore_base(struct run *r, const char *path, const struct ckpt_state *s, bool same_base,
                                    struct vkd_error *err) {
  if (!s->base) return VKD_OK;
  enum vkd_status st = base_load(same_base ? s->base : r->config.train.base, &r->whole, &r->base_hash, &r->base, err);
  if (st == VKD_OK && r->base_hash != s->base_hash)
    st = vkd_fail(err, VKD_ERR_INPUT, "%s: its adapters were trained on other weights than those of %s", path, r->base);
  return st;
}

static enum vkd_status restore(struct run *r, const char *path, const struct ckpt_state *s, struct vkd_error *err) {
  bool same_base = true;
  enum vkd_status st = check_same_config(r, path, s, &same_base, err);
  if (st == VKD_OK) st = restore_base(r, path, s, same_base, err);
  if (st == VKD_OK && s->data_fingerprint != dataset_get_info(r->data)->fingerprint)
    st = vkd_fail(err, VKD_ERR_INPUT, "%s: was trained on other data than %s", path, dataset_path(r->data));
  if (st == VKD_OK && s->step > r->steps)
    st = vkd_fail(err, VKD_ERR_INPUT, "%s: already at step %" PRId64 " of %" PRId64 "; raise train.steps", path,
                  s->step, r->steps);
  for (int i = 0; i < CKPT_FILES && st == VKD_OK; i++)
    if (!params_in_parts(r->params, ckpt_kind(i))) st = ckpt_load(path, r->params, ckpt_kind(i), ckpt_kind(i), err);
  if (st == VKD_OK && step_loss_scale(r->step)->scale > 0 && !(s->loss_scale.scale > 0))
    st = vkd_fail(err, VKD_ERR_INPUT, "%s: loss_scale is missing", path);
  if (st == VKD_OK) *step_loss_scale(r->step) = s->loss_scale;
  if (st == VKD_OK) r->done = r->saved = s->step;
  return st;
}

static enum vkd_status start(struct run *r, struct vkd_error *err) {
  const char *base = r->config.train.base;
  if (r->model.lora.rank > 0 && !*base)
    return vkd_fail(err, VKD_ERR_INPUT,
                    "train.lora_rank: adapters need train.base: the run, checkpoint or weight file they lie on");
  int first = *base ? dit_base_rows(&r->model) : 0; // the base gives all rows before
  enum vkd_status st = *base ? base_load(base, &r->whole, &r->base_hash, &r->base, err) : VKD_OK;
  return st == VKD_OK ? params_init_from(&r->whole, first, (uint64_t)r->config.train.seed, err) : st;
}

enum vkd_status train_start(struct run *r, struct vkd_error *err) {
  struct ckpt_state state = {0};
  enum vkd_status st = r->p->resume ? ckpt_find(r->p->run, &r->from, &state, err) : VKD_OK;
  const char *found = r->from;
  if (st == VKD_OK && found) {
    st = restore(r, found, &state, err);
    // What the last process was ended at.  A step-N.old was found beside a damaged step-N: both stay.
    bool old = strcmp(found + strlen(found) - 4, ".old") == 0;
    if (st == VKD_OK && !old) st = ckpt_prune(r->p->run, r->config.checkpoint.keep, state.step, err);
    if (st == VKD_OK) vkd_log(VKD_LOG_INFO, "resuming from %s", found);
  } else if (st == VKD_OK) {
    st = start(r, err);
  }
  ckpt_state_free(&state);
  return st;
}
