#include "vkdm/base.h"

#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "vkdm/ckpt.h"
#include "vkdm/fileio.h"

enum { PIECE = 1 << 20 }; // elements hashed at once; part of the hash's meaning

static enum vkd_status hash_values(const struct params *p, uint64_t *hash, struct vkd_error *err) {
  float *piece = malloc(PIECE * sizeof *piece);
  if (!piece) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory to hash weights");
  enum vkd_status st = VKD_OK;
  *hash = 0;
  for (int i = 0; i < p->count; i++)
    for (uint64_t at = 0, numel = (uint64_t)p->rows[i].numel; at < numel && st == VKD_OK; at += PIECE) {
      uint64_t n = numel - at < PIECE ? numel - at : PIECE;
      st = params_read_part(p, PARAMS_WEIGHT, i, at, n, piece, err);
      if (st == VKD_OK) *hash = hash_xxh64(piece, n * sizeof *piece, *hash);
    }
  free(piece);
  return st;
}

// Whether there are averages apart from the weights.
static bool keeps_ema(const struct params *p) {
  for (int i = 0; p->buffers[PARAMS_EMA] && i < p->count; i++)
    if (!p->rows[i].frozen) return true;
  return false;
}

// Shapes are checked with the file's names; what they do not tell is compared here.
static enum vkd_status check_model(const char *path, const struct dit_config *base, const struct dit_config *want,
                                   struct vkd_error *err) {
  if (base->lora.rank > 0)
    return vkd_fail(err, VKD_ERR_INPUT, "%s: holds adapters alone; start from the weights that they were trained on",
                    path);
  if (base->family != want->family || base->heads != want->heads)
    return vkd_fail(err, VKD_ERR_INPUT, "%s: a model of family %s with %d heads, not %s with %d", path,
                    dit_family_name(base->family), base->heads, dit_family_name(want->family), want->heads);
  return VKD_OK;
}

static enum vkd_status load_checkpoint(const char *folder, struct params *p, struct vkd_error *err) {
  struct ckpt_state state;
  struct config *config = malloc(sizeof *config);
  enum vkd_status st = config ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a configuration");
  if (st == VKD_OK) st = ckpt_open(folder, &state, err);
  if (st != VKD_OK) {
    free(config);
    return st;
  }
  st = check_model(folder, &state.model, &p->config, err);
  if (st == VKD_OK) st = config_from_string(folder, state.config, strlen(state.config), NULL, 0, config, err);
  enum params_kind from = st == VKD_OK && config->train.ema > 0 ? PARAMS_EMA : PARAMS_WEIGHT;
  if (st == VKD_OK) st = ckpt_load(folder, p, from, PARAMS_WEIGHT, err);
  if (st == VKD_OK && keeps_ema(p)) st = ckpt_load(folder, p, from, PARAMS_EMA, err);
  ckpt_state_free(&state);
  free(config);
  return st;
}

static enum vkd_status load_file(const char *path, struct params *p, struct vkd_error *err) {
  struct weights *weights = NULL;
  enum vkd_status st = weights_open(&weights, path, err);
  if (st == VKD_OK) st = params_load_weights(p, PARAMS_WEIGHT, weights, NULL, err);
  if (st == VKD_OK && keeps_ema(p)) st = params_load_weights(p, PARAMS_EMA, weights, NULL, err);
  weights_close(&weights);
  return st;
}

enum vkd_status base_load(const char *path, struct params *params, uint64_t *hash, char **found,
                          struct vkd_error *err) {
  struct params base = params_base(params);
  char *newest = NULL, *state = fileio_join(path, "state.json");
  enum vkd_status st = state ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a path");
  if (st == VKD_OK && fileio_is_dir(path) && !fileio_is_file(state)) st = ckpt_newest(path, &newest, err);
  const char *at = newest ? newest : path;
  if (st == VKD_OK && (newest || fileio_is_file(state)))
    st = load_checkpoint(at, &base, err);
  else if (st == VKD_OK)
    st = load_file(at, &base, err);
  if (st == VKD_OK && hash) st = hash_values(&base, hash, err);
  if (st == VKD_OK && found && !(*found = realpath(at, NULL)))
    st = vkd_fail(err, VKD_ERR_INPUT, "%s: has no absolute path", at);
  free(newest);
  free(state);
  return st;
}
