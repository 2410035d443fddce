// Seeded moving shapes: clip i of seed s is always the same video.  Class = shape + 3 * direction.
#ifndef VKDM_SYNTHETIC_H
#define VKDM_SYNTHETIC_H

#include <stdint.h>

enum { SYNTHETIC_CLASSES = 12 }; // circle, square, triangle x right, down, left, up

// rgb: u8 [frames, height, width, 3].  Returns the class, index % classes (1 <= classes <= SYNTHETIC_CLASSES).
uint32_t synthetic_clip(uint64_t seed, uint64_t index, uint32_t classes, uint32_t frames, uint32_t height,
                        uint32_t width, uint8_t *rgb);

const char *synthetic_class_name(uint32_t label); // such as "circle-right"

#endif
