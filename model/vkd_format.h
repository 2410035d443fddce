// The byte layout of `.vkd` files, version 1, shared by writer and reader.  In words: docs/data-format.md.
#ifndef VKDM_VKD_FORMAT_H
#define VKDM_VKD_FORMAT_H

#include <math.h>
#include <stdbool.h>

#include "vkdm/latent.h"

enum {
  VKD_FORMAT_VERSION = 1,
  VKD_MAGIC_BYTES = 8,
  VKD_HEADER_BYTES = 128,
  VKD_CLIP_BYTES = 64,
  VKD_TEXT_BYTES = 40,
  VKD_MAX_CLASSES = 1 << 16,
  VKD_MAX_TEXT = 1 << 16,       // rows, and numbers in a row
  VKD_MAX_CLIP_BYTES = 1 << 30, // of one clip or text before compression
};

struct vkd_header {
  uint64_t file_bytes, tables_offset, meta_bytes, tables_hash;
  uint32_t clips, texts, classes, text_len, text_dim;
  uint32_t kind, channels, frames, height, width, levels_t, levels_s;
};

// A compressed run of bytes in the file.
struct vkd_blob {
  uint64_t offset, stored_bytes, raw_bytes;
  uint64_t stored_hash; // of the compressed bytes
};

struct vkd_clip {
  struct vkd_blob blob;
  uint64_t content; // hash of the uncompressed bytes
  int32_t label, text;
  uint32_t split, source, start;
};

struct vkd_text {
  struct vkd_blob blob;
  uint32_t rows;
};

void vkd_header_put(const struct vkd_header *header, uint8_t out[VKD_HEADER_BYTES]); // with its own hash
// Errors: VKD_ERR_INPUT where magic, version or hash are wrong.
enum vkd_status vkd_header_get(const uint8_t in[VKD_HEADER_BYTES], struct vkd_header *header, struct vkd_error *err);

void vkd_clip_put(const struct vkd_clip *clip, uint8_t out[VKD_CLIP_BYTES]);
void vkd_clip_get(const uint8_t in[VKD_CLIP_BYTES], struct vkd_clip *clip);
void vkd_text_put(const struct vkd_text *text, uint8_t out[VKD_TEXT_BYTES]);
void vkd_text_get(const uint8_t in[VKD_TEXT_BYTES], struct vkd_text *text);

static inline bool vkd_all_finite(const float *x, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (!isfinite(x[i])) return false;
  return true;
}

// Bytes of one uncompressed clip.
uint64_t vkd_clip_raw_bytes(const struct latent_codec *codec);

#endif
