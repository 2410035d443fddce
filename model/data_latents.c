// Latents made elsewhere, from .safetensors files.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "vkd_format.h"

static enum vkd_status find_latents(const struct st_file *file, const struct st_tensor **out, struct vkd_error *err) {
  const struct st_tensor *only = NULL;
  *out = st_find(file, "latents");
  for (size_t i = 0, n = 0; !*out && i < st_count(file); i++) {
    if (st_at(file, i)->ndim < 4 || st_at(file, i)->ndim > 5) continue;
    only = n++ ? NULL : st_at(file, i);
  }
  if (!*out) *out = only;
  if (!*out)
    return vkd_fail(err, VKD_ERR_INPUT, "%s: no tensor \"latents\" of shape [N, C, T, H, W] or [C, T, H, W]",
                    st_path(file));
  if ((*out)->ndim < 4 || (*out)->ndim > 5 || (*out)->numel < 1)
    return vkd_fail(err, VKD_ERR_INPUT,
                    "%s: tensor %s has %d dimensions, but latents are [N, C, T, H, W] or [C, T, H, W]", st_path(file),
                    (*out)->name, (*out)->ndim);
  return VKD_OK;
}

// NULL where the file has none, or --labels overrules them.
static enum vkd_status read_labels(const struct build *b, const struct st_file *file, uint64_t n, int32_t **out,
                                   struct vkd_error *err) {
  *out = NULL;
  if (b->p.labels || !st_find(file, "labels")) return VKD_OK;
  const struct st_tensor *tensor = NULL;
  enum vkd_status status = st_require(file, "labels", 1, &n, &tensor, err);
  if (status != VKD_OK) return status;
  int32_t *labels = malloc((size_t)n * sizeof *labels);
  if (!labels) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory for labels", st_path(file));
  if ((status = st_read_i32(tensor, labels, err)) != VKD_OK) goto fail;
  for (uint64_t i = 0; i < n; i++)
    if (labels[i] < -1 || labels[i] >= VKD_MAX_CLASSES) {
      status = vkd_fail(err, VKD_ERR_INPUT, "%s: labels[%llu] is %d, but must be -1 to %d", st_path(file),
                        (unsigned long long)i, labels[i], VKD_MAX_CLASSES - 1);
      goto fail;
    }
  *out = labels;
  return VKD_OK;
fail:
  free(labels);
  return status;
}

static enum vkd_status name_classes(struct source_list *list, uint32_t count, struct vkd_error *err) {
  if (!(list->classes = calloc((size_t)count + 1, sizeof *list->classes)))
    return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for class names");
  for (; list->class_count < count; list->class_count++) {
    char name[16];
    snprintf(name, sizeof name, "%u", list->class_count);
    if (!(list->classes[list->class_count] = strdup(name)))
      return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for class names");
  }
  return VKD_OK;
}

enum vkd_status build_prepare_latents(struct build *b, struct vkd_error *err) {
  int32_t largest = -1;
  for (uint32_t i = 0; i < b->sources.count; i++) {
    struct st_file *file = NULL;
    int32_t *labels = NULL;
    const struct st_tensor *tensor = NULL;
    enum vkd_status status = st_open(b->sources.items[i].path, &file, err);
    if (status == VKD_OK) status = find_latents(file, &tensor, err);
    if (status == VKD_OK) {
      const uint64_t *s = tensor->shape + (tensor->ndim - 4), n = tensor->ndim == 5 ? tensor->shape[0] : 1;
      const bool small =
          s[0] <= LATENT_MAX_CHANNELS && s[1] <= LATENT_MAX_SIDE && s[2] <= LATENT_MAX_SIDE && s[3] <= LATENT_MAX_SIDE;
      if (!small)
        status = vkd_fail(err, VKD_ERR_INPUT, "%s: latents of more than %d channels or %d a side", st_path(file),
                          LATENT_MAX_CHANNELS, LATENT_MAX_SIDE);
      else if (i == 0)
        status = latent_codec_init(&b->codec, LATENT_RAW, (uint32_t)s[0], (uint32_t)s[1], (uint32_t)s[2],
                                   (uint32_t)s[3], 0, 0, err);
      b->expected += n;
      if (status == VKD_OK) status = read_labels(b, file, n, &labels, err);
      for (uint64_t j = 0; status == VKD_OK && labels && j < n; j++)
        if (labels[j] > largest) largest = labels[j];
    }
    free(labels);
    st_close(&file);
    if (status != VKD_OK) return status;
  }
  return b->p.labels ? VKD_OK : name_classes(&b->sources, (uint32_t)(largest + 1), err);
}

enum vkd_status build_add_latents(struct build *b, uint32_t index, struct vkd_error *err) {
  struct source *s = &b->sources.items[index];
  struct st_file *file = NULL;
  int32_t *labels = NULL;
  const struct st_tensor *tensor = NULL;
  enum vkd_status status = st_open(s->path, &file, err);
  if (status == VKD_OK) status = find_latents(file, &tensor, err);
  if (status != VKD_OK) goto done;
  const uint64_t *shape = tensor->shape + (tensor->ndim - 4), n = tensor->ndim == 5 ? tensor->shape[0] : 1;
  const struct latent_codec *k = &b->codec;
  if (shape[0] != k->channels || shape[1] != k->frames || shape[2] != k->height || shape[3] != k->width) {
    status =
        vkd_fail(err, VKD_ERR_INPUT, "%s: latents are [%llu, %llu, %llu, %llu], but those before are [%u, %u, %u, %u]",
                 s->path, (unsigned long long)shape[0], (unsigned long long)shape[1], (unsigned long long)shape[2],
                 (unsigned long long)shape[3], k->channels, k->frames, k->height, k->width);
    goto done;
  }
  if (n > UINT32_MAX) {
    status = vkd_fail(err, VKD_ERR_INPUT, "%s: more than 2^32 latents", s->path);
    goto done;
  }
  if ((status = read_labels(b, file, n, &labels, err)) != VKD_OK) goto done;
  const uint64_t count = latent_count(k);
  for (uint64_t i = 0; i < n && !(b->p.max_clips && i >= b->p.max_clips); i++) {
    if ((status = st_read_f32_part(tensor, i * count, count, (float *)b->clip, err)) != VKD_OK) goto done;
    if (!vkd_all_finite((float *)b->clip, count)) {
      status = vkd_fail(err, VKD_ERR_INPUT, "%s: latent %llu holds numbers that are not finite", s->path,
                        (unsigned long long)i);
      goto done;
    }
    status = build_add_clip(b, b->clip, s->name, s->stem, index, (uint32_t)i, labels ? labels[i] : s->label, err);
    if (status != VKD_OK) goto done;
    s->clips++;
  }
done:
  free(labels);
  st_close(&file);
  return status;
}
