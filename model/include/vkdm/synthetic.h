// Seeded moving shapes: clip i of seed s is always the same video.  Class = shape + 3 * direction, of the shape in
// front.
#ifndef VKDM_SYNTHETIC_H
#define VKDM_SYNTHETIC_H

#include <stdint.h>

enum { SYNTHETIC_CLASSES = 12 }; // circle, square, triangle x right, down, left, up

enum synthetic_scene {
  SYNTHETIC_PLAIN, // one shape of one colour on a plain ground
  // Three shapes that hide each other, on a ground, each in two colours of a pattern, seen by a camera that moves.  The
  // patterns are SYNTHETIC_PATTERNS fixed ones; the k-th is drawn with a probability in proportion to 1 / k, so that a
  // model gains by learning ever rarer ones.
  SYNTHETIC_RICH
};
enum { SYNTHETIC_PATTERNS = 256 };

// rgb: u8 [frames, height, width, 3].  Returns the class, index % classes (1 <= classes <= SYNTHETIC_CLASSES).
uint32_t synthetic_clip(enum synthetic_scene scene, uint64_t seed, uint64_t index, uint32_t classes, uint32_t frames,
                        uint32_t height, uint32_t width, uint8_t *rgb);

const char *synthetic_class_name(uint32_t label); // such as "circle-right"

#endif
