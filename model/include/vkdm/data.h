// Feeding the device: single clips for evaluation, and a loader thread that keeps batches ready.
#ifndef VKDM_DATA_H
#define VKDM_DATA_H

#include "vkdm/dataset.h"

// One clip as a latent, f32 [C, t, h, w].  text (NULL: not wanted): f32 [text_len, text_dim] of the whole set, zero
// padded.
enum vkd_status data_read(const struct dataset *dataset, uint32_t clip, float *latent, float *text,
                          struct vkd_error *err);

// Which clip is drawn for global sample g = step * batch + i: a permutation of the split per epoch (g / n), keyed by
// (seed, epoch) alone, so that any sample is found without replaying those before it.  n = split_clips[split] must not
// be 0.
uint32_t data_sample_clip(const struct dataset *dataset, enum data_split split, uint64_t seed, uint64_t g);

struct data_loader_params {
  const struct dataset *dataset; // outlives the loader
  enum data_split split;
  uint32_t batch;        // samples per step over all ranks
  uint32_t first, count; // this loader's share of each batch, [first, first + count); count 0: from first to the end
  uint64_t seed;
  uint64_t start_step; // the first step that next() gives
  uint32_t ring;       // batches held ready; 0: 3
};

// Pointers stay valid until the next call of data_loader_next() or data_loader_destroy().
struct data_batch {
  uint64_t step;
  uint32_t first;           // number of its first sample in the whole batch, of which it may be a part
  uint32_t size;            // B, samples in this batch
  const float *latents;     // [B, C, t, h, w]
  const int32_t *labels;    // [B], -1: none
  const uint32_t *clips;    // [B], clip indices
  const float *text;        // [B, text_len, text_dim], zero padded; NULL: the set has none
  const int32_t *text_lens; // [B], rows of text; 0: none
  uint32_t text_rows;       // text_len of the set; 0: as many as the model takes
};

struct data_loader;

// Errors: VKD_ERR_INPUT where the split is empty; VKD_ERR_USAGE on a share outside the batch.
enum vkd_status data_loader_create(const struct data_loader_params *params, struct data_loader **out,
                                   struct vkd_error *err);
void data_loader_destroy(struct data_loader **loader); // NULL inside is fine

// The batch of the next step; waits for the thread.  An error of the thread comes out here, and again at every later
// call.
enum vkd_status data_loader_next(struct data_loader *loader, struct data_batch *out, struct vkd_error *err);

#endif
