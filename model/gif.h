// Colours and codes of GIF files.
#ifndef VKDM_GIF_H
#define VKDM_GIF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct palette {
  uint32_t count; // 1..256
  uint8_t rgb[256][3];
  bool exact; // every pixel's colour is in it
};

// The palette of `pixels` RGB values: all of them where at most 256 differ, else median cut (Heckbert 1982) over 5 bits
// a channel. False: no memory.
bool palette_build(const uint8_t *rgb, size_t pixels, struct palette *palette);

// Palette index of each pixel of a frame [h, w, 3], with an 8x8 ordered dither (Bayer 1973) unless the palette is
// exact. cache: [32768] of -1 before the first frame, kept between frames.
void palette_map(const struct palette *palette, const uint8_t *rgb, uint32_t h, uint32_t w, int16_t *cache,
                 uint8_t *indices);

#endif
