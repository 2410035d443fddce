// Synthetic clips: the same for the same seed and index, whole in every size, and what a rich scene is made of.
#include <stdint.h>
#include <string.h>

#include "check.h"
#include "vkdm/synthetic.h"

enum { FRAMES = 4, SIDE = 16, BYTES = FRAMES * SIDE * SIDE * 3, CLIPS = 200, GUARD = 64 };

static uint8_t clip[CLIPS][BYTES], again[BYTES + GUARD];

// Pixels of the first and of the last frame that differ, among the four corners.
static int corners_moved(const uint8_t *rgb) {
  int moved = 0;
  for (int k = 0; k < 4; k++) {
    const size_t at = (size_t)((k / 2 * (SIDE - 1)) * SIDE + k % 2 * (SIDE - 1)) * 3;
    moved += memcmp(rgb + at, rgb + at + (FRAMES - 1) * SIDE * SIDE * 3, 3) != 0;
  }
  return moved;
}

// Distinct colours, as counted in 3 bits a channel.
static int colours(const uint8_t *rgb) {
  static uint8_t seen[512];
  int count = 0;
  memset(seen, 0, sizeof seen);
  for (int i = 0; i < BYTES; i += 3) {
    uint8_t *s = &seen[rgb[i] / 32 * 64 + rgb[i + 1] / 32 * 8 + rgb[i + 2] / 32];
    count += !*s;
    *s = 1;
  }
  return count;
}

static void scenes(void) {
  double most[2] = {0}, moved[2] = {0};
  for (int scene = SYNTHETIC_PLAIN; scene <= SYNTHETIC_RICH; scene++)
    for (int i = 0; i < CLIPS; i++) {
      uint32_t label =
          synthetic_clip((enum synthetic_scene)scene, 7, (uint64_t)i, SYNTHETIC_CLASSES, FRAMES, SIDE, SIDE, clip[i]);
      CHECK(label == (uint32_t)i % SYNTHETIC_CLASSES, "clip %d has class %u", i, label);
      memset(again, 0xa5, sizeof again);
      synthetic_clip((enum synthetic_scene)scene, 7, (uint64_t)i, SYNTHETIC_CLASSES, FRAMES, SIDE, SIDE, again);
      CHECK(!memcmp(again, clip[i], BYTES), "scene %d, clip %d: not the same again", scene, i);
      for (int k = BYTES; k < BYTES + GUARD; k++) CHECK(again[k] == 0xa5, "scene %d, clip %d: writes beyond", scene, i);
      for (int k = 0; k < i; k++)
        CHECK(memcmp(clip[k], clip[i], BYTES), "scene %d: clips %d and %d are one", scene, k, i);
      most[scene] += colours(clip[i]) / (double)CLIPS;
      moved[scene] += corners_moved(clip[i]) / (4.0 * CLIPS);
    }
  // A plain scene has a shape, its edge and a ground; its corners rest, as the shape does not reach them.
  CHECK(most[0] < 20 && most[1] > 1.8 * most[0], "%.1f and %.1f colours in a clip", most[0], most[1]);
  CHECK(moved[0] == 0 && moved[1] > 0.7, "%.2f and %.2f of the corners change", moved[0], moved[1]);
}

int main(void) {
  scenes();
  return check_done();
}
