#include "vkdm/synthetic.h"

#include "hash.h"

enum { SHAPES = 3, SUBSAMPLES = 4 };

// Independent uniform numbers in [0, 1) of one clip.
struct draws {
  uint64_t key, next;
};

static double draw(struct draws *d) { return hash_unit(hash_mix(d->key + d->next++)); }
static double draw_between(struct draws *d, double low, double high) { return low + (high - low) * draw(d); }

static int inside(uint32_t shape, double x, double y) { // of a shape of radius about 1 at the origin
  switch (shape) {
  case 0:
    return x * x + y * y < 1;
  case 1:
    return x > -0.85 && x < 0.85 && y > -0.85 && y < 0.85;
  default:
    return y < 0.8 && y > 2 * x - 1.2 && y > -2 * x - 1.2; // point up
  }
}

// A saturated colour: one channel high, one low, one anywhere.
static void shape_colour(struct draws *d, double colour[3]) {
  uint32_t high = (uint32_t)(draw(d) * 3), low = (high + 1 + (uint32_t)(draw(d) * 2)) % 3;
  for (uint32_t c = 0; c < 3; c++) colour[c] = draw_between(d, 40, 240);
  colour[high] = draw_between(d, 215, 255);
  colour[low] = draw_between(d, 0, 40);
}

uint32_t synthetic_clip(uint64_t seed, uint64_t index, uint32_t classes, uint32_t frames, uint32_t height,
                        uint32_t width, uint8_t *rgb) {
  static const double directions[4][2] = {{1, 0}, {0, 1}, {-1, 0}, {0, -1}}; // x, y
  const uint32_t label = (uint32_t)(index % classes), shape = label % SHAPES;
  const double *direction = directions[label / SHAPES];
  struct draws d = {hash_mix(hash_mix(seed) ^ index), 0};
  const double side = height < width ? height : width;
  double colour[3], ground[3];
  shape_colour(&d, colour);
  const double grey = draw_between(&d, 20, 90);
  for (int c = 0; c < 3; c++) ground[c] = grey + draw_between(&d, -12, 12);
  const double slope = draw_between(&d, -0.25, 0.25); // the ground's brightness from top to bottom
  const double radius = draw_between(&d, 0.14, 0.22) * side, travel = draw_between(&d, 0.3, 0.5) * side;
  const double mid_x = draw_between(&d, 0.4, 0.6) * width, mid_y = draw_between(&d, 0.4, 0.6) * height;
  for (uint32_t t = 0; t < frames; t++) {
    const double way = frames > 1 ? ((double)t / (frames - 1) - 0.5) * travel : 0;
    const double cx = mid_x + direction[0] * way, cy = mid_y + direction[1] * way;
    for (uint32_t y = 0; y < height; y++)
      for (uint32_t x = 0; x < width; x++) {
        int hits = 0;
        for (int s = 0; s < SUBSAMPLES * SUBSAMPLES; s++)
          hits += inside(shape, (x + (s % SUBSAMPLES + 0.5) / SUBSAMPLES - cx) / radius,
                         (y + (s / SUBSAMPLES + 0.5) / SUBSAMPLES - cy) / radius);
        const double cover = (double)hits / (SUBSAMPLES * SUBSAMPLES);
        const double light = 1 + slope * (2 * (y + 0.5) / height - 1);
        for (int c = 0; c < 3; c++) *rgb++ = (uint8_t)(cover * colour[c] + (1 - cover) * ground[c] * light + 0.5);
      }
  }
  return label;
}

const char *synthetic_class_name(uint32_t label) {
  static const char *const names[SYNTHETIC_CLASSES] = {
      "circle-right", "square-right", "triangle-right", "circle-down", "square-down", "triangle-down",
      "circle-left",  "square-left",  "triangle-left",  "circle-up",   "square-up",   "triangle-up"};
  return label < SYNTHETIC_CLASSES ? names[label] : "";
}
