#include "vkdm/params.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64 };

static void layout(struct params *p) {
  uint64_t limit = vkd_device_get_caps(p->dev)->max_allocation / ALIGN * ALIGN, at = 0;
  p->segments = 1;
  for (int i = 0; i < p->count; i++) {
    uint64_t bytes = ((uint64_t)p->rows[i].numel * 4 + ALIGN - 1) / ALIGN * ALIGN;
    if (at && at + bytes > limit) {
      p->segment_bytes[p->segments - 1] = at;
      p->segments++;
      at = 0;
    }
    p->places[i].segment = p->segments - 1;
    p->places[i].offset = at;
    p->numel += p->rows[i].numel;
    at += bytes;
  }
  p->segment_bytes[p->segments - 1] = at;
}

enum vkd_status params_create(struct params **out, struct vkd_device *dev, const struct dit_config *config,
                              unsigned kinds, struct vkd_error *err) {
  struct params *p = *out = calloc(1, sizeof *p);
  enum vkd_status st = VKD_OK;
  if (!p) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for parameters");
  p->dev = dev;
  p->config = *config;
  if ((st = dit_config_check(config, err)) != VKD_OK) goto fail;
  if ((st = dit_params(config, &p->rows, &p->count, err)) != VKD_OK) goto fail;
  p->places = calloc((size_t)p->count, sizeof *p->places);
  p->segment_bytes = calloc((size_t)p->count, sizeof *p->segment_bytes);
  if (!p->places || !p->segment_bytes) {
    st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %d parameters", p->count);
    goto fail;
  }
  layout(p);
  uint64_t total = 0, budget = vkd_device_get_caps(dev)->memory_budget, used = vkd_device_allocated(dev, NULL);
  for (uint32_t s = 0; s < p->segments; s++) total += p->segment_bytes[s];
  int kept = 0;
  for (int k = 0; k < PARAMS_KINDS; k++) kept += kinds >> k & 1;
  if (total * (uint64_t)kept > budget - (used < budget ? used : budget)) {
    st = vkd_fail(err, VKD_ERR_DEVICE_MEMORY,
                  "%.1f M parameters take %.1f MiB (%d arenas of %.1f MiB), %s has %.1f MiB; lower model.dim or depth",
                  (double)p->numel / 1e6, (double)total * kept / 1048576, kept, (double)total / 1048576,
                  vkd_device_get_caps(dev)->name, (double)budget / 1048576);
    goto fail;
  }
  for (int k = 0; k < PARAMS_KINDS; k++) {
    if (!(kinds >> k & 1)) continue;
    p->buffers[k] = calloc(p->segments, sizeof *p->buffers[k]);
    if (!p->buffers[k]) {
      st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for parameters");
      goto fail;
    }
    for (uint32_t s = 0; s < p->segments; s++)
      if ((st = vkd_buffer_create(&p->buffers[k][s], dev, p->segment_bytes[s], err)) != VKD_OK) goto fail;
  }
  return VKD_OK;
fail:
  params_destroy(out);
  return st;
}

void params_destroy(struct params **pp) {
  struct params *p = *pp;
  if (!p) return;
  for (int k = 0; k < PARAMS_KINDS; k++) {
    for (uint32_t s = 0; p->buffers[k] && s < p->segments; s++) vkd_buffer_destroy(&p->buffers[k][s]);
    free(p->buffers[k]);
  }
  free(p->rows);
  free(p->places);
  free(p->segment_bytes);
  free(p);
  *pp = NULL;
}

enum vkd_status params_init(struct params *p, uint64_t seed, struct vkd_error *err) {
  int64_t largest = 1;
  for (int i = 0; i < p->count; i++)
    if (p->rows[i].numel > largest) largest = p->rows[i].numel;
  float *values = malloc((size_t)largest * sizeof *values);
  if (!values) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for initial weights");
  enum vkd_status st = VKD_OK;
  for (int i = 0; i < p->count && st == VKD_OK; i++) {
    dit_param_init(&p->config, &p->rows[i], i, seed, values);
    st = params_write(p, PARAMS_WEIGHT, i, values, err);
    if (st == VKD_OK && p->buffers[PARAMS_EMA]) st = params_write(p, PARAMS_EMA, i, values, err);
  }
  free(values);
  return st;
}

void params_tensors(const struct params *p, struct vkd_graph *g, enum params_kind kind, vkd_tensor *out) {
  for (int i = 0; i < p->count; i++)
    out[i] = vkd_bound(g, p->rows[i].name[DIT_NAMING_WAN], VKD_F32, p->rows[i].shape,
                       p->buffers[kind][p->places[i].segment], p->places[i].offset);
}

vkd_tensor params_segment(const struct params *p, struct vkd_graph *g, enum params_kind kind, uint32_t segment) {
  return vkd_bound(g, "arena", VKD_F32, VKD_SHAPE((int64_t)(p->segment_bytes[segment] / 4)), p->buffers[kind][segment],
                   0);
}

enum vkd_status params_write(struct params *p, enum params_kind kind, int i, const float *src, struct vkd_error *err) {
  return vkd_buffer_write(p->buffers[kind][p->places[i].segment], p->places[i].offset, src,
                          (uint64_t)p->rows[i].numel * 4, err);
}

enum vkd_status params_read(const struct params *p, enum params_kind kind, int i, float *dst, struct vkd_error *err) {
  return vkd_buffer_read(p->buffers[kind][p->places[i].segment], p->places[i].offset, dst,
                         (uint64_t)p->rows[i].numel * 4, err);
}
