#include "random_batch.h"

#include <stdlib.h>

#include "vkdm/random_fill.h"

enum vkd_status random_batch_create(struct random_batch *out, const struct dit_config *m, int batch,
                                    struct vkd_error *err) {
  size_t n = (size_t)batch;
  size_t latents = n * (size_t)m->in_channels * (size_t)m->latent[0] * (size_t)m->latent[1] * (size_t)m->latent[2];
  size_t text = m->class_rows ? 0 : n * (size_t)m->text_len * (size_t)m->text_dim;
  out->values = malloc((latents + text + 1) * sizeof *out->values);
  out->labels = calloc(n, sizeof *out->labels);
  if (!out->values || !out->labels) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %d random clips", batch);
  random_fill(out->values, latents + text, 0);
  out->data = (struct data_batch){
      .size = (uint32_t)n, .latents = out->values, .labels = out->labels, .text = out->values + latents};
  return VKD_OK;
}

void random_batch_free(struct random_batch *b) {
  free(b->values);
  free(b->labels);
}
