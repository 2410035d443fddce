// Reading `.vkd` files: clips with labels, text embeddings, a train/held-out split and checksums.  Layout:
// docs/data-format.md. A dataset is immutable once open, and every function here may be called from several threads at
// once.
#ifndef VKDM_DATASET_H
#define VKDM_DATASET_H

#include <stdbool.h>

#include "vkdm/latent.h"

// A gap clip shares frames with a held-out one (clips of one video may overlap), and so belongs to neither split.
enum data_split { DATA_TRAIN, DATA_HELDOUT, DATA_GAP, DATA_SPLITS };

struct dataset_info {
  struct latent_codec codec; // the latent's shape: latent_shape(&info->codec)
  uint32_t clips, split_clips[DATA_SPLITS];
  uint32_t classes;               // 0: no labels
  const char *const *class_names; // [classes]
  uint32_t text_len, text_dim;    // longest text and its width; 0, 0: no text
  uint64_t file_bytes, raw_bytes; // raw: all clips before compression
  uint64_t fingerprint;           // of header and index: equal files only
  const json_t *meta;             // how it was built: "sources", "stride", "hop", "seed", ...
};

struct dataset_clip {
  int32_t label; // -1: none
  enum data_split split;
  uint32_t text_len; // rows of its text; 0: none
  uint32_t source;   // index into meta "sources"
  uint32_t start;    // first frame in its source
  uint64_t content;  // hash of the uncompressed clip
  uint64_t raw_bytes, stored_bytes;
};

struct dataset;

// Checks header, tables and every offset before use; clips are checked as they are read.
// Errors: VKD_ERR_INPUT where the file is missing, is no .vkd, is truncated or corrupt.
enum vkd_status dataset_open(const char *path, struct dataset **out, struct vkd_error *err);
void dataset_close(struct dataset **dataset); // NULL inside is fine

const struct dataset_info *dataset_get_info(const struct dataset *dataset);
const char *dataset_path(const struct dataset *dataset);
struct dataset_clip dataset_get_clip(const struct dataset *dataset, uint32_t clip);
// The k-th clip of a split, k < split_clips[split], in file order.
uint32_t dataset_split_clip(const struct dataset *dataset, enum data_split split, uint32_t k);

// The stored bytes of a clip, after its checksums: u8 [T, H, W, 3], or f32 [C, t, h, w] for LATENT_RAW.
// `out` takes dataset_clip.raw_bytes.  Errors: VKD_ERR_INPUT on a bad checksum, naming the clip.
enum vkd_status dataset_read_raw(const struct dataset *dataset, uint32_t clip, void *out, struct vkd_error *err);

// The clip's text, f32 [text_len, text_dim] of the whole set, zero after the clip's own rows.
enum vkd_status dataset_read_text(const struct dataset *dataset, uint32_t clip, float *out, struct vkd_error *err);

// Every checksum, and every clip and text decoded.
enum vkd_status dataset_verify(const struct dataset *dataset, struct vkd_error *err);

#endif
