#include "vkdm/synthetic.h"

#include <math.h>
#include <stdbool.h>

#include "vkd/hash.h"

enum { SHAPES = 3, SUBSAMPLES = 4 };
static const double directions[4][2] = {{1, 0}, {0, 1}, {-1, 0}, {0, -1}}; // x, y: of a class

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

static void draw_plain(struct draws d, uint32_t label, uint32_t frames, uint32_t height, uint32_t width, uint8_t *rgb) {
  const uint32_t shape = label % SHAPES;
  const double *direction = directions[label / SHAPES];
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
}

// ---- rich scenes ---------------------------------------------------------------------------------------------------
enum { OBJECTS = 3, GROUND = OBJECTS, RICH_SUBSAMPLES = 2 };

// One of the patterns: what it is at a place of the surface that it covers.
struct pattern {
  uint32_t kind;
  double across[2], along[2], sharp;
};

// k with a probability in proportion to 1 / (k + 1).
static uint32_t draw_rank(struct draws *d) {
  double total = 0;
  for (uint32_t k = 0; k < SYNTHETIC_PATTERNS; k++) total += 1.0 / (k + 1);
  double left = draw(d) * total;
  uint32_t k = 0;
  while (k + 1 < SYNTHETIC_PATTERNS && (left -= 1.0 / (k + 1)) >= 0) k++;
  return k;
}

// Those of rank k are the same in every clip of every seed.  Nothing here rounds otherwise on another machine: no sine.
static struct pattern pattern_of(uint32_t rank) {
  struct draws d = {hash_mix(0x7061747465726e73u + rank), 0};
  const double t = draw_between(&d, -1, 1), x = (1 - t * t) / (1 + t * t), y = 2 * t / (1 + t * t); // half a circle
  const double waves = draw_between(&d, 1.5, 5), along = waves * draw_between(&d, 0.4, 1);
  return (struct pattern){.kind = (uint32_t)(draw(&d) * 4),
                          .across = {x * waves, y * waves},
                          .along = {-y * along, x * along},
                          .sharp = draw_between(&d, 1, 4)};
}

static double wave(double x) { return 4 * fabs(x - floor(x) - 0.5) - 1; } // in [-1, 1], of period 1

// In [0, 1].  x, y: in shorter sides of the frame.
static double pattern_at(const struct pattern *p, double x, double y) {
  const double u = p->across[0] * x + p->across[1] * y, v = p->along[0] * x + p->along[1] * y;
  double level;
  switch (p->kind) {
  case 0: // stripes
    level = wave(u);
    break;
  case 1: // checks
    level = wave(u) * wave(v);
    break;
  case 2: // rings
    level = wave(sqrt(u * u + v * v));
    break;
  default: // dots
    level = wave(u) + wave(v) - 0.5;
  }
  level = 0.5 + 0.5 * p->sharp * level;
  return level < 0 ? 0 : level > 1 ? 1 : level;
}

struct surface {
  struct pattern pattern;
  double colour[2][3], shift[2]; // where the pattern lies on it
};
struct object {
  struct surface surface;
  uint32_t shape;
  double radius, mid[2], travel[2]; // in pixels; travel: over the whole clip
};

static struct surface draw_surface(struct draws *d, bool bright) {
  struct surface s = {.pattern = pattern_of(draw_rank(d))};
  for (int i = 0; i < 2; i++) {
    s.shift[i] = draw(d);
    if (bright) shape_colour(d, s.colour[i]);
    for (int c = 0; c < 3 && !bright; c++) s.colour[i][c] = draw_between(d, 20, 130);
  }
  return s;
}

// Objects from front to back; the first is the one that the label tells of.
static void draw_rich(struct draws d, uint32_t label, uint32_t frames, uint32_t height, uint32_t width, uint8_t *rgb) {
  const double size[2] = {width, height}, side = height < width ? height : width;
  struct object object[OBJECTS];
  double pan[2];
  for (int i = 0; i < OBJECTS; i++) {
    struct object *o = &object[i];
    const uint32_t class = i ? (uint32_t)(draw(&d) * SYNTHETIC_CLASSES) : label;
    const double travel = draw_between(&d, 0.3, 0.5) * side;
    *o = (struct object){.shape = class % SHAPES, .radius = draw_between(&d, 0.16, 0.26) * side};
    for (int k = 0; k < 2; k++) {
      o->mid[k] = draw_between(&d, i ? 0.15 : 0.4, i ? 0.85 : 0.6) * size[k];
      o->travel[k] = directions[class / SHAPES][k] * travel;
    }
    o->surface = draw_surface(&d, true);
  }
  const struct surface ground = draw_surface(&d, false);
  for (int k = 0; k < 2; k++) pan[k] = draw_between(&d, -0.25, 0.25) * side;
  for (uint32_t t = 0; t < frames; t++) {
    const double way = frames > 1 ? (double)t / (frames - 1) - 0.5 : 0;
    for (uint32_t y = 0; y < height; y++)
      for (uint32_t x = 0; x < width; x++) {
        double sum[3] = {0};
        for (int s = 0; s < RICH_SUBSAMPLES * RICH_SUBSAMPLES; s++) {
          // on the ground, under the camera
          const double at[2] = {x + (s % RICH_SUBSAMPLES + 0.5) / RICH_SUBSAMPLES + pan[0] * way,
                                y + (s / RICH_SUBSAMPLES + 0.5) / RICH_SUBSAMPLES + pan[1] * way};
          const struct surface *surface = &ground;
          double from[2] = {at[0], at[1]};
          for (int i = 0; i < OBJECTS && surface == &ground; i++) {
            const struct object *o = &object[i];
            const double u = at[0] - o->mid[0] - o->travel[0] * way, v = at[1] - o->mid[1] - o->travel[1] * way;
            if (!inside(o->shape, u / o->radius, v / o->radius)) continue;
            surface = &o->surface;
            from[0] = u, from[1] = v;
          }
          const double mix =
              pattern_at(&surface->pattern, from[0] / side + surface->shift[0], from[1] / side + surface->shift[1]);
          for (int c = 0; c < 3; c++)
            sum[c] += surface->colour[0][c] + mix * (surface->colour[1][c] - surface->colour[0][c]);
        }
        for (int c = 0; c < 3; c++) *rgb++ = (uint8_t)(sum[c] / (RICH_SUBSAMPLES * RICH_SUBSAMPLES) + 0.5);
      }
  }
}

uint32_t synthetic_clip(enum synthetic_scene scene, uint64_t seed, uint64_t index, uint32_t classes, uint32_t frames,
                        uint32_t height, uint32_t width, uint8_t *rgb) {
  const uint32_t label = (uint32_t)(index % classes);
  const struct draws d = {hash_mix(hash_mix(seed) ^ index), 0};
  if (scene == SYNTHETIC_RICH)
    draw_rich(d, label, frames, height, width, rgb);
  else
    draw_plain(d, label, frames, height, width, rgb);
  return label;
}

const char *synthetic_class_name(uint32_t label) {
  static const char *const names[SYNTHETIC_CLASSES] = {
      "circle-right", "square-right", "triangle-right", "circle-down", "square-down", "triangle-down",
      "circle-left",  "square-left",  "triangle-left",  "circle-up",   "square-up",   "triangle-up"};
  return label < SYNTHETIC_CLASSES ? names[label] : "";
}
