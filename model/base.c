#include "vkdm/base.h"

#include <stdlib.h>
#include <string.h>

#include "vkd/hash.h"
#include "vkd/log.h"
#include "vkdm/ckpt.h"
#include "vkdm/derive.h"
#include "vkdm/fileio.h"
#include "vkdm/source.h"

enum { PIECE = 1 << 20 }; // elements hashed at once; part of the hash's meaning

static enum vkd_status hash_values(const struct weights *weights, const struct params *p, uint64_t *hash,
                                   struct vkd_error *err) {
  struct source *source = NULL;
  float *piece = malloc(PIECE * sizeof *piece);
  enum vkd_status st = piece ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory to hash weights");
  if (st == VKD_OK) st = source_open(&source, weights, &p->config, err);
  *hash = 0;
  for (int i = 0; i < p->count; i++)
    for (uint64_t at = 0, numel = (uint64_t)p->rows[i].numel; at < numel && st == VKD_OK; at += PIECE) {
      uint64_t n = numel - at < PIECE ? numel - at : PIECE;
      st = source_read(source, i, at, n, piece, err);
      if (st == VKD_OK) *hash = hash_xxh64(piece, n * sizeof *piece, *hash);
    }
  source_close(&source);
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

// *folder: the checkpoint that `path` is or whose run it is, NULL: neither; *file: its weights.  Both malloc'd.
static enum vkd_status open_checkpoint(const char *path, const struct dit_config *want, char **folder, char **file,
                                       struct vkd_error *err) {
  struct ckpt_state state = {0};
  struct config *config = malloc(sizeof *config);
  enum vkd_status st = config ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a configuration");
  if (st == VKD_OK) st = ckpt_find(path, folder, &state, err);
  if (st != VKD_OK || !*folder) {
    free(config);
    return st;
  }
  st = check_model(*folder, &state.model, want, err);
  if (st == VKD_OK) st = config_from_string(*folder, state.config, strlen(state.config), NULL, 0, config, err);
  bool averaged = st == VKD_OK && config->train.ema > 0;
  if (st == VKD_OK && !(*file = fileio_join(*folder, ckpt_file(averaged ? PARAMS_EMA : PARAMS_WEIGHT))))
    st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a path");
  ckpt_state_free(&state);
  free(config);
  return st;
}

// Heads leave no trace in the shapes, nor does the text's length, which changes what the model gives (its padding is
// attended to); config.json or metadata may tell them, and public models take 512 rows.
static enum vkd_status check_unseen(const struct weights *weights, const struct dit_config *want,
                                    struct vkd_error *err) {
  struct derived d;
  enum vkd_status st = derive_model(weights, &(struct derive_options){.any_heads = true}, &d, err);
  if (st == VKD_OK && !want->class_rows && d.config.text_len != want->text_len)
    vkd_log(VKD_LOG_WARN, "%s: takes text of %d rows%s, here it gets %d; model.text_len=%d pads it",
            weights_path(weights), d.config.text_len, d.text_known ? "" : ", as public models do", want->text_len,
            d.config.text_len);
  if (st != VKD_OK || !d.heads_known || d.config.heads == want->heads) return st;
  return vkd_fail(err, VKD_ERR_INPUT, "%s: a model with %d heads (by %s), not %d: set model.heads=%d",
                  weights_path(weights), d.config.heads, d.heads_from, want->heads, d.config.heads);
}

static enum vkd_status load_file(const char *path, struct params *p, uint64_t *hash, struct vkd_error *err) {
  struct weights *weights = NULL;
  enum vkd_status st = weights_open(&weights, path, err);
  if (st == VKD_OK) st = params_load_weights(p, PARAMS_WEIGHT, weights, NULL, err);
  if (st == VKD_OK) st = check_unseen(weights, &p->config, err);
  if (st == VKD_OK && keeps_ema(p)) st = params_load_weights(p, PARAMS_EMA, weights, NULL, err);
  if (st == VKD_OK && hash) st = hash_values(weights, p, hash, err);
  weights_close(&weights);
  return st;
}

enum vkd_status base_load(const char *path, struct params *params, uint64_t *hash, char **found,
                          struct vkd_error *err) {
  struct params base = params_base(params);
  char *folder = NULL, *file = NULL;
  enum vkd_status st = fileio_is_dir(path) ? open_checkpoint(path, &params->config, &folder, &file, err) : VKD_OK;
  const char *at = folder ? folder : path;
  if (st == VKD_OK) st = load_file(file ? file : at, &base, hash, err);
  if (st == VKD_OK && found && !(*found = realpath(at, NULL)))
    st = vkd_fail(err, VKD_ERR_INPUT, "%s: has no absolute path", at);
  free(folder);
  free(file);
  return st;
}
