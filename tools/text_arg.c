#include "text_arg.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vkdm/safetensors.h"

enum { NAMES = 3 };

// The only tensor of a file, or the first of those names that it has.
static enum vkd_status pick(const struct st_file *file, const char *const names[NAMES], const struct st_tensor **t,
                            struct vkd_error *err) {
  *t = st_count(file) == 1 ? st_at(file, 0) : NULL;
  for (int i = 0; i < NAMES && !*t; i++) *t = st_find(file, names[i]);
  if (*t) return VKD_OK;
  return vkd_fail(err, VKD_ERR_INPUT, "%s: holds %zu tensors: one is wanted, or one that is called %s, %s or %s",
                  st_path(file), st_count(file), names[0], names[1], names[2]);
}

// Part of a tensor; a value that is not finite would make nothing but such values.
static enum vkd_status read_part(const struct st_tensor *t, uint64_t first, uint64_t count, float *dst,
                                 struct vkd_error *err) {
  enum vkd_status st = st_read_f32_part(t, first, count, dst, err);
  for (uint64_t i = 0; i < count && st == VKD_OK; i++)
    if (!isfinite(dst[i]))
      return vkd_fail(err, VKD_ERR_INPUT, "%s: tensor '%.200s': element %" PRIu64 " is %g", st_path(t->file), t->name,
                      first + i, (double)dst[i]);
  return st;
}

// n matrices [length, width] of the tensor, each zero padded to `rows`, to `count` places by turns.
static enum vkd_status read_rows(const char *path, const char *const names[NAMES], const struct dit_config *c,
                                 int count, bool one, float **out, struct vkd_error *err) {
  struct st_file *file = NULL;
  const struct st_tensor *t = NULL;
  enum vkd_status st = st_open(path, &file, err);
  if (st == VKD_OK) st = pick(file, names, &t, err);
  if (st != VKD_OK) goto fail;
  int d = t->ndim - 2;
  uint64_t n = d == 1 ? t->shape[0] : 1, width = (uint64_t)c->text_dim, room = (uint64_t)c->text_len * width;
  if (d < 0 || d > 1 || n < 1 || (one && n > 1) || t->shape[d] < 1 || t->shape[d] > (uint64_t)c->text_len ||
      t->shape[d + 1] != width) {
    char shape[80] = "";
    for (int i = 0, used = 0; i < t->ndim && used < (int)sizeof shape; i++)
      used += snprintf(shape + used, sizeof shape - (size_t)used, "%s%" PRIu64, i ? ", " : "", t->shape[i]);
    st = vkd_fail(err, VKD_ERR_INPUT, "%s: tensor '%.200s' is [%s]; [1 to %d, %d]%s is wanted", path, t->name, shape,
                  c->text_len, c->text_dim, one ? "" : ", or several of these,");
    goto fail;
  }
  if (!(*out = calloc((size_t)count * room, sizeof **out))) {
    st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory for %d texts", path, count);
    goto fail;
  }
  uint64_t part = t->shape[d] * width;
  for (int i = 0; i < count && st == VKD_OK; i++)
    st = read_part(t, (uint64_t)i % n * part, part, *out + (uint64_t)i * room, err);
fail:
  st_close(&file);
  return st;
}

static enum vkd_status read_noise(const char *path, const struct dit_config *c, int count, float **out,
                                  struct vkd_error *err) {
  static const char *const names[NAMES] = {"noise", "latents", "x"};
  struct st_file *file = NULL;
  const struct st_tensor *t = NULL;
  uint64_t numel = (uint64_t)count * (uint64_t)c->in_channels;
  for (int i = 0; i < 3; i++) numel *= (uint64_t)c->latent[i];
  enum vkd_status st = st_open(path, &file, err);
  if (st == VKD_OK) st = pick(file, names, &t, err);
  if (st == VKD_OK && t->numel != numel)
    st = vkd_fail(err, VKD_ERR_INPUT, "%s: tensor '%.200s' has %" PRIu64 " elements, %d x %d x %d x %d x %d are wanted",
                  path, t->name, t->numel, count, c->in_channels, c->latent[0], c->latent[1], c->latent[2]);
  if (st == VKD_OK && !(*out = malloc(numel * sizeof **out)))
    st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory for noise", path);
  if (st == VKD_OK) st = read_part(t, 0, numel, *out, err);
  st_close(&file);
  return st;
}

enum vkd_status text_arg_read(const struct cmd_args *args, const struct dit_config *c, int count, struct text_arg *out,
                              struct vkd_error *err) {
  static const char *const names[NAMES] = {"prompt_embeds", "context", "text"}, *const null_names[NAMES] = {
                                                                                    "negative_prompt_embeds",
                                                                                    "null_context", "null_text"};
  const char *text = cmd_string(args, "text"), *null_text = cmd_string(args, "null-text"),
             *noise = cmd_string(args, "noise");
  *out = (struct text_arg){.text = NULL};
  if ((text || null_text) && c->class_rows)
    return vkd_fail(err, VKD_ERR_USAGE, "%s: --%s: the model was trained without text", args->cmd->name,
                    text ? "text" : "null-text");
  enum vkd_status st = text ? read_rows(text, names, c, count, false, &out->text, err) : VKD_OK;
  if (st == VKD_OK && null_text) st = read_rows(null_text, null_names, c, 1, true, &out->null_text, err);
  return st == VKD_OK && noise ? read_noise(noise, c, count, &out->noise, err) : st;
}

void text_arg_free(struct text_arg *t) {
  free(t->text);
  free(t->null_text);
  free(t->noise);
  *t = (struct text_arg){.text = NULL};
}
