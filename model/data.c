#include "vkdm/data.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "vkd/hash.h"

enum vkd_status data_read(const struct dataset *dataset, uint32_t clip, float *latent, float *text,
                          struct vkd_error *err) {
  const struct dataset_info *info = dataset_get_info(dataset);
  enum vkd_status status;
  if (text && (status = dataset_read_text(dataset, clip, text, err)) != VKD_OK) return status;
  if (info->codec.kind == LATENT_RAW) return dataset_read_raw(dataset, clip, latent, err);
  uint8_t *frames = malloc(latent_frame_bytes(&info->codec));
  if (!frames) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory for one clip", dataset_path(dataset));
  status = dataset_read_raw(dataset, clip, frames, err);
  if (status == VKD_OK) status = latent_encode(&info->codec, frames, latent, err);
  free(frames);
  return status;
}

// A permutation of [0, n) that needs no table: a Feistel network over the next even number of bits, walked until it
// falls below n (Black & Rogaway 2002).  The domain is less than 4n, so the walk is short.
static uint32_t permute(uint32_t i, uint32_t n, uint64_t key) {
  uint32_t half = 1;
  while (half < 16 && (uint64_t)1 << (2 * half) < n) half++;
  const uint32_t mask = (1u << half) - 1;
  do {
    uint32_t left = i >> half, right = i & mask;
    for (uint32_t round = 0; round < 8; round++) {
      uint32_t next = left ^ ((uint32_t)hash_mix(key ^ ((uint64_t)round << 32 | right)) & mask);
      left = right;
      right = next;
    }
    i = left << half | right;
  } while (i >= n);
  return i;
}

uint32_t data_sample_clip(const struct dataset *dataset, enum data_split split, uint64_t seed, uint64_t g) {
  const uint32_t n = dataset_get_info(dataset)->split_clips[split];
  const uint64_t key = hash_mix(hash_mix(seed) ^ (g / n));
  return dataset_split_clip(dataset, split, permute((uint32_t)(g % n), n, key));
}

struct slot {
  struct data_batch batch;
  float *latents, *text;
  int32_t *labels, *text_lens;
  uint32_t *clips;
};

struct data_loader {
  struct data_loader_params params;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t filled, freed;
  bool started, stop;
  struct slot *slots;
  uint64_t produced, consumed; // batches since start_step; the slot of batch k is k % ring
  bool lent;                   // the caller still holds the slot of batch consumed
  struct vkd_error error;      // of the thread
};

static enum vkd_status fill(const struct data_loader *l, struct slot *slot, uint64_t step, struct vkd_error *err) {
  const struct data_loader_params *p = &l->params;
  const struct dataset_info *info = dataset_get_info(p->dataset);
  const size_t latent = latent_count(&info->codec), text = (size_t)info->text_len * info->text_dim;
  for (uint32_t i = 0; i < p->count; i++) {
    const uint32_t clip = data_sample_clip(p->dataset, p->split, p->seed, step * p->batch + p->first + i);
    const struct dataset_clip about = dataset_get_clip(p->dataset, clip);
    slot->clips[i] = clip;
    slot->labels[i] = about.label;
    slot->text_lens[i] = (int32_t)about.text_len;
    enum vkd_status status =
        data_read(p->dataset, clip, slot->latents + i * latent, slot->text ? slot->text + i * text : NULL, err);
    if (status != VKD_OK) return status;
  }
  slot->batch = (struct data_batch){.step = step,
                                    .first = p->first,
                                    .size = p->count,
                                    .latents = slot->latents,
                                    .labels = slot->labels,
                                    .clips = slot->clips,
                                    .text = slot->text,
                                    .text_lens = slot->text_lens,
                                    .text_rows = info->text_len};
  return VKD_OK;
}

static void *run(void *argument) {
  struct data_loader *l = argument;
  struct vkd_error error = {0};
  pthread_mutex_lock(&l->lock);
  while (!l->stop && !l->error.status) {
    if (l->produced - l->consumed == l->params.ring) {
      pthread_cond_wait(&l->freed, &l->lock);
      continue;
    }
    const uint64_t k = l->produced;
    pthread_mutex_unlock(&l->lock);
    enum vkd_status status = fill(l, &l->slots[k % l->params.ring], l->params.start_step + k, &error);
    pthread_mutex_lock(&l->lock);
    if (status == VKD_OK)
      l->produced++;
    else
      l->error = error;
    pthread_cond_signal(&l->filled);
  }
  pthread_mutex_unlock(&l->lock);
  return NULL;
}

static enum vkd_status allocate_slots(struct data_loader *l, struct vkd_error *err) {
  const struct data_loader_params *p = &l->params;
  const struct dataset_info *info = dataset_get_info(p->dataset);
  const size_t n = p->count, latent = latent_count(&info->codec), text = (size_t)info->text_len * info->text_dim;
  bool ok = (l->slots = calloc(p->ring, sizeof *l->slots)) != NULL;
  for (uint32_t i = 0; ok && i < p->ring; i++) {
    struct slot *s = &l->slots[i];
    s->latents = calloc(n, latent * sizeof *s->latents);
    s->labels = calloc(n, sizeof *s->labels);
    s->clips = calloc(n, sizeof *s->clips);
    s->text_lens = calloc(n, sizeof *s->text_lens);
    if (text) s->text = calloc(n, text * sizeof *s->text);
    ok = s->latents && s->labels && s->clips && s->text_lens && (s->text || !text);
  }
  if (ok) return VKD_OK;
  return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory for %u batches of %zu latents of %zu numbers",
                  dataset_path(p->dataset), p->ring, n, latent);
}

enum vkd_status data_loader_create(const struct data_loader_params *params, struct data_loader **out,
                                   struct vkd_error *err) {
  *out = NULL;
  enum vkd_status status;
  if (params->split >= DATA_SPLITS || !dataset_get_info(params->dataset)->split_clips[params->split])
    return vkd_fail(err, VKD_ERR_INPUT, "%s: it holds no %s clips", dataset_path(params->dataset),
                    params->split == DATA_HELDOUT ? "held-out" : "training");
  const uint32_t rest = params->batch > params->first ? params->batch - params->first : 0;
  if (!rest || params->count > rest)
    return vkd_fail(err, VKD_ERR_USAGE, "samples %u to %u are no part of a batch of %u", params->first,
                    params->first + params->count, params->batch);
  struct data_loader *l = calloc(1, sizeof *l);
  if (!l) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a data loader");
  l->params = *params;
  if (!l->params.count) l->params.count = rest;
  if (!l->params.ring) l->params.ring = 3;
  if (l->params.ring < 2) l->params.ring = 2; // one is with the caller while the other is filled
  pthread_mutex_init(&l->lock, NULL);
  pthread_cond_init(&l->filled, NULL);
  pthread_cond_init(&l->freed, NULL);
  if ((status = allocate_slots(l, err)) != VKD_OK) goto fail;
  if (pthread_create(&l->thread, NULL, run, l)) {
    status = vkd_fail(err, VKD_ERR_HOST_MEMORY, "cannot start the data loader's thread");
    goto fail;
  }
  l->started = true;
  *out = l;
  return VKD_OK;
fail:
  data_loader_destroy(&l);
  return status;
}

void data_loader_destroy(struct data_loader **loader) {
  struct data_loader *l = *loader;
  *loader = NULL;
  if (!l) return;
  if (l->started) {
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_signal(&l->freed);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, NULL);
  }
  pthread_cond_destroy(&l->freed);
  pthread_cond_destroy(&l->filled);
  pthread_mutex_destroy(&l->lock);
  for (uint32_t i = 0; l->slots && i < l->params.ring; i++) {
    free(l->slots[i].latents);
    free(l->slots[i].labels);
    free(l->slots[i].clips);
    free(l->slots[i].text);
    free(l->slots[i].text_lens);
  }
  free(l->slots);
  free(l);
}

enum vkd_status data_loader_next(struct data_loader *l, struct data_batch *out, struct vkd_error *err) {
  enum vkd_status status = VKD_OK;
  pthread_mutex_lock(&l->lock);
  if (l->lent) {
    l->consumed++;
    l->lent = false;
    pthread_cond_signal(&l->freed);
  }
  while (l->produced == l->consumed && !l->error.status) pthread_cond_wait(&l->filled, &l->lock);
  if (l->produced > l->consumed) {
    *out = l->slots[l->consumed % l->params.ring].batch;
    l->lent = true;
  } else {
    status = vkd_fail(err, l->error.status, "%s", l->error.what);
  }
  pthread_mutex_unlock(&l->lock);
  return status;
}
