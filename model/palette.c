#include "gif.h"

#include <stdlib.h>
#include <string.h>

enum { BINS = 32768, COLOUR_SLOTS = 1024 };

struct bin {
  uint64_t count, sum[3];
};

// A box of bins: those at order[first, first + count).
struct box {
  uint32_t first, count;
  double spread; // weighted squared distance from its mean along its widest channel
  int channel;
};

static uint32_t bin_of(const uint8_t *p) {
  return (uint32_t)(p[0] >> 3) << 10 | (uint32_t)(p[1] >> 3) << 5 | p[2] >> 3;
}

static bool take_exact(const uint8_t *rgb, size_t pixels, struct palette *palette) {
  uint32_t slots[COLOUR_SLOTS]; // open addressing; colour + 1, 0: free
  memset(slots, 0, sizeof slots);
  palette->count = 0;
  for (size_t i = 0; i < pixels; i++, rgb += 3) {
    const uint32_t colour = (uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2];
    uint32_t slot = (colour * 2654435761u) >> 22;
    while (slots[slot] && slots[slot] != colour + 1) slot = (slot + 1) % COLOUR_SLOTS;
    if (slots[slot]) continue;
    if (palette->count == 256) return false;
    slots[slot] = colour + 1;
    memcpy(palette->rgb[palette->count++], rgb, 3);
  }
  return true;
}

static double bin_mean(const struct bin *bin, int channel) { return (double)bin->sum[channel] / (double)bin->count; }

static void measure(struct box *box, const struct bin *bins, const uint16_t *order) {
  box->spread = -1;
  for (int c = 0; c < 3; c++) {
    double n = 0, sum = 0, squares = 0;
    for (uint32_t i = 0; i < box->count; i++) {
      const struct bin *bin = &bins[order[box->first + i]];
      const double mean = bin_mean(bin, c);
      n += (double)bin->count;
      sum += mean * (double)bin->count;
      squares += mean * mean * (double)bin->count;
    }
    const double spread = squares - sum * sum / n;
    if (spread > box->spread) box->spread = spread, box->channel = c;
  }
  if (box->count < 2) box->spread = -1; // cannot be cut
}

struct sort_key {
  double mean;
  uint16_t bin;
};

static int by_mean(const void *a, const void *b) {
  const struct sort_key *x = a, *y = b;
  if (x->mean != y->mean) return x->mean < y->mean ? -1 : 1;
  return (x->bin > y->bin) - (x->bin < y->bin);
}

// Cuts `box` at the median of its pixels along its widest channel; the upper part goes to *upper.
static void cut(struct box *box, struct box *upper, const struct bin *bins, uint16_t *order, struct sort_key *keys) {
  uint64_t total = 0, below = 0;
  for (uint32_t i = 0; i < box->count; i++) {
    const uint16_t b = order[box->first + i];
    keys[i] = (struct sort_key){bin_mean(&bins[b], box->channel), b};
    total += bins[b].count;
  }
  qsort(keys, box->count, sizeof *keys, by_mean);
  uint32_t at = 0;
  for (uint32_t i = 0; i < box->count; i++) order[box->first + i] = keys[i].bin;
  while (at < box->count - 1 && (at == 0 || below + bins[keys[at].bin].count <= total / 2))
    below += bins[keys[at++].bin].count;
  *upper = (struct box){.first = box->first + at, .count = box->count - at};
  box->count = at;
  measure(box, bins, order);
  measure(upper, bins, order);
}

bool palette_build(const uint8_t *rgb, size_t pixels, struct palette *palette) {
  if ((palette->exact = take_exact(rgb, pixels, palette))) return true;
  struct bin *bins = calloc(BINS, sizeof *bins);
  uint16_t *order = malloc(BINS * sizeof *order);
  struct sort_key *keys = malloc(BINS * sizeof *keys);
  const bool ok = bins && order && keys;
  if (ok) {
    for (size_t i = 0; i < pixels; i++, rgb += 3) {
      struct bin *bin = &bins[bin_of(rgb)];
      bin->count++;
      for (int c = 0; c < 3; c++) bin->sum[c] += rgb[c];
    }
    struct box boxes[256] = {{0}};
    uint32_t count = 1;
    for (uint32_t i = 0; i < BINS; i++)
      if (bins[i].count) order[boxes[0].count++] = (uint16_t)i;
    measure(&boxes[0], bins, order);
    while (count < 256) {
      uint32_t widest = 0;
      for (uint32_t i = 1; i < count; i++)
        if (boxes[i].spread > boxes[widest].spread) widest = i;
      if (!(boxes[widest].spread > 0)) break;
      cut(&boxes[widest], &boxes[count], bins, order, keys);
      count++;
    }
    palette->count = count;
    for (uint32_t i = 0; i < count; i++) {
      uint64_t n = 0, sum[3] = {0};
      for (uint32_t j = 0; j < boxes[i].count; j++) {
        const struct bin *bin = &bins[order[boxes[i].first + j]];
        n += bin->count;
        for (int c = 0; c < 3; c++) sum[c] += bin->sum[c];
      }
      for (int c = 0; c < 3; c++) palette->rgb[i][c] = (uint8_t)((sum[c] + n / 2) / n);
    }
  }
  free(bins);
  free(order);
  free(keys);
  return ok;
}

static uint8_t nearest(const struct palette *palette, int r, int g, int b) {
  uint32_t best = 0;
  int least = INT32_MAX;
  for (uint32_t i = 0; i < palette->count; i++) {
    const int dr = r - palette->rgb[i][0], dg = g - palette->rgb[i][1], db = b - palette->rgb[i][2];
    const int distance = 3 * dr * dr + 6 * dg * dg + db * db; // about the weights of luminance
    if (distance < least) least = distance, best = i;
  }
  return (uint8_t)best;
}

// Entry of the 8x8 Bayer matrix, 0..63: the bits of x ^ y and y, interleaved and reversed.
static int bayer(uint32_t x, uint32_t y) {
  int value = 0;
  for (int bit = 0; bit < 3; bit++) value = value << 2 | (int)(((x ^ y) >> bit & 1) << 1 | (y >> bit & 1));
  return value;
}

static int clamp(int x) { return x < 0 ? 0 : x > 255 ? 255 : x; }

void palette_map(const struct palette *palette, const uint8_t *rgb, uint32_t h, uint32_t w, int16_t *cache,
                 uint8_t *indices) {
  for (uint32_t y = 0; y < h; y++)
    for (uint32_t x = 0; x < w; x++, rgb += 3, indices++) {
      if (palette->exact) {
        uint32_t i = 0;
        while (memcmp(palette->rgb[i], rgb, 3)) i++;
        *indices = (uint8_t)i;
        continue;
      }
      const int offset = bayer(x, y) / 4 - 8; // -8..7: about the distance of neighbours in a palette of 256
      const uint8_t moved[3] = {(uint8_t)clamp(rgb[0] + offset), (uint8_t)clamp(rgb[1] + offset),
                                (uint8_t)clamp(rgb[2] + offset)};
      int16_t *entry = &cache[bin_of(moved)];
      if (*entry < 0) *entry = nearest(palette, (moved[0] & 0xf8) + 4, (moved[1] & 0xf8) + 4, (moved[2] & 0xf8) + 4);
      *indices = (uint8_t)*entry;
    }
}
