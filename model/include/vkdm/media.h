// Samples out: PNG strips, animated GIF, MP4.  frames: u8 [T, H, W, 3].  Files are written whole or not at all.
#ifndef VKDM_MEDIA_H
#define VKDM_MEDIA_H

#include <stdint.h>

#include "vkd/status.h"
#include "vkdm/latent.h"

// The frames as a sheet of `columns` per row, left to right, top to bottom (0: all in one row); missing cells are
// black.
enum vkd_status media_write_png_strip(const char *path, const uint8_t *frames, uint32_t t, uint32_t h, uint32_t w,
                                      uint32_t columns, struct vkd_error *err);

// The same in memory.  out->data [size]: freed by the caller.
struct media_picture {
  unsigned char *data;
  size_t size;
  uint32_t height, width;
};
enum vkd_status media_png(const uint8_t *frames, uint32_t t, uint32_t h, uint32_t w, uint32_t columns,
                          struct media_picture *out, struct vkd_error *err);

// Animated GIF89a that loops for ever, one palette of at most 256 colours for all frames (exact when they suffice, else
// median cut with ordered dither).  The same frames give the same bytes.  fps is rounded to whole centiseconds, 2 at
// least.
enum vkd_status media_write_gif(const char *path, const uint8_t *frames, uint32_t t, uint32_t h, uint32_t w, double fps,
                                struct vkd_error *err);

// H.264 through an `ffmpeg` child process; an odd side is padded by one pixel.
// Errors: VKD_ERR_UNSUPPORTED where ffmpeg is missing; VKD_ERR_IO with its last line where it fails.
enum vkd_status media_write_mp4(const char *path, const uint8_t *frames, uint32_t t, uint32_t h, uint32_t w, double fps,
                                struct vkd_error *err);

// `count` videos [count, T, H, W, 3] side by side as one video: out u8 [T, rows * H, columns * W, 3], rows = ceil(count
// / columns).
void media_tile(const uint8_t *videos, uint32_t count, uint32_t t, uint32_t h, uint32_t w, uint32_t columns,
                uint8_t *out);

// Latents f32 [count, C, t, h, w] decoded and tiled: *out u8 [T, rows * H, columns * W, 3], freed by the caller.
// Errors: as latent_decode().
enum vkd_status media_from_latents(const struct latent_codec *codec, const float *latents, uint32_t count,
                                   uint32_t columns, uint8_t **out, struct vkd_error *err);

#endif
