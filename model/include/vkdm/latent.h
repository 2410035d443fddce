// Latent codecs: u8 video [T, H, W, 3] <-> float latent [C, t, h, w], without any pretrained network.
//   pixel  x / 127.5 - 1, C = 3, (t, h, w) = (T, H, W)
//   haar   orthonormal Haar transform of blocks of 2^levels_t frames by 2^levels_s x 2^levels_s pixels, on x / 127.5 -
//   1;
//          C = 3 * 2^levels_t * 4^levels_s, (t, h, w) = (T >> levels_t, H >> levels_s, W >> levels_s); then (y - mean)
//          / scale
//   raw    latents made elsewhere, kept as they are; they cannot be decoded here
// Both transforms give the u8 frames back to the bit.  Source of the transform: Haar 1910.
#ifndef VKDM_LATENT_H
#define VKDM_LATENT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "vkd/status.h"

enum latent_kind { LATENT_PIXEL, LATENT_HAAR, LATENT_RAW };

enum {
  LATENT_MAX_CHANNELS = 1536, // 3 * 2^3 * 4^3: three levels in time and in space
  LATENT_MAX_LEVELS = 3,
  LATENT_MAX_SIDE = 16384,
};

// Plain data: copy it freely.  Fill through latent_codec_init().
struct latent_codec {
  enum latent_kind kind;
  uint32_t frames, height, width; // of the video (raw: of the latent)
  uint32_t levels_t, levels_s;    // halvings in time and in space (haar)
  uint32_t channels;              // C
  float mean[LATENT_MAX_CHANNELS], scale[LATENT_MAX_CHANNELS];
};

struct latent_shape {
  uint32_t c, t, h, w;
};

// Sizes and mean = 0, scale = 1.  `channels` is read for LATENT_RAW only, the levels for LATENT_HAAR only.
// Errors: VKD_ERR_INPUT where a size is zero, too large or not a multiple of the block.
enum vkd_status latent_codec_init(struct latent_codec *codec, enum latent_kind kind, uint32_t channels, uint32_t frames,
                                  uint32_t height, uint32_t width, uint32_t levels_t, uint32_t levels_s,
                                  struct vkd_error *err);

struct latent_shape latent_shape(const struct latent_codec *codec);
size_t latent_count(const struct latent_codec *codec);       // floats in one latent, C * t * h * w
size_t latent_frame_bytes(const struct latent_codec *codec); // bytes of one u8 video, T * H * W * 3 (raw: 0)

// frames: u8 [T, H, W, 3]; latent: f32 [C, t, h, w].  Errors: VKD_ERR_UNSUPPORTED for LATENT_RAW.
enum vkd_status latent_encode(const struct latent_codec *codec, const uint8_t *frames, float *latent,
                              struct vkd_error *err);
// The inverse; rounds to nearest and clamps to 0..255, NaN gives 0.
enum vkd_status latent_decode(const struct latent_codec *codec, const float *latent, uint8_t *frames,
                              struct vkd_error *err);

const char *latent_kind_name(enum latent_kind kind); // "pixel", "haar", "raw"

// The codec as a JSON object, for a checkpoint's state; floats keep every bit.  to_json: a new reference, NULL without
// memory. Errors of from_json: VKD_ERR_INPUT, naming the key.
json_t *latent_codec_to_json(const struct latent_codec *codec);
enum vkd_status latent_codec_from_json(const json_t *json, struct latent_codec *codec, struct vkd_error *err);

#endif
