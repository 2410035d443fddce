#include "vkdm/image.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "stb_image.h"
#include "stb_image_memory.h"
#include "vkdm/fileio.h"

enum { MAX_IMAGE_SIDE = 32768, MAX_IMAGE_PIXELS = 1 << 28, MAX_IMAGE_FILE = 1 << 30 };
// Memory to decode a file: an image that is worth its pixels stays far below, whatever it was packed with.
enum { IMAGE_MEMORY = 48 << 20, IMAGE_MEMORY_PER_BYTE = 128 };
// Eight pixels to a byte, and 1032 of them packed into one: no format holds more.
enum { PIXELS_PER_BYTE = 8 * 1032 };

bool image_has_name(const char *path) {
  static const char *const extensions[] = {"png", "jpg", "jpeg", "bmp", "tga", "ppm", "pgm", "pnm", "psd"};
  const char *dot = strrchr(path, '.');
  for (size_t i = 0; dot && i < sizeof extensions / sizeof *extensions; i++)
    if (!strcasecmp(dot + 1, extensions[i])) return true;
  return false;
}

// One output coordinate as a weighted run of source coordinates.
struct tap {
  int first, count;
  float *weights;
};

// Triangle filter, widened where it shrinks.  Source [crop, crop + out * ratio) maps to [0, out).
static void make_taps(struct tap *taps, float *weights, int room, int out, int in, double crop, double ratio) {
  const double reach = ratio > 1 ? ratio : 1;
  for (int o = 0; o < out; o++, weights += room) {
    const double centre = crop + (o + 0.5) * ratio;
    int first = (int)ceil(centre - reach - 0.5), end = (int)floor(centre + reach - 0.5) + 1;
    first = first < 0 ? 0 : first;
    end = end > in ? in : end;
    if (end <= first) end = first + 1;
    if (end - first > room) end = first + room;
    double sum = 0;
    for (int i = first; i < end; i++) {
      double w = 1 - fabs(i + 0.5 - centre) / reach;
      weights[i - first] = (float)(w > 0 ? w : 0);
      sum += (double)weights[i - first];
    }
    for (int i = first; i < end; i++)
      weights[i - first] = sum > 0 ? (float)((double)weights[i - first] / sum) : 1.0f / (float)(end - first);
    taps[o] = (struct tap){first, end - first, weights};
  }
}

// pixels u8 [h, w, 3] -> rgb u8 [height, width, 3]
static enum vkd_status resize_cover(const char *path, const uint8_t *pixels, int w, int h, uint32_t width,
                                    uint32_t height, uint8_t *rgb, struct vkd_error *err) {
  const double rx = (double)w / width, ry = (double)h / height, ratio = rx < ry ? rx : ry;
  const int room = (int)(2 * (ratio > 1 ? ratio : 1)) + 2;
  const size_t sides = (size_t)width + height;
  enum vkd_status status = VKD_ERR_HOST_MEMORY;
  struct tap *taps = malloc(sides * sizeof *taps);
  float *weights = malloc(sides * (size_t)room * sizeof *weights);
  float *rows = NULL; // [those that are needed, width, 3]
  if (!taps || !weights) goto fail;
  make_taps(taps, weights, room, (int)width, w, (w - width * ratio) / 2, ratio);
  make_taps(taps + width, weights + (size_t)width * (size_t)room, room, (int)height, h, (h - height * ratio) / 2,
            ratio);
  const struct tap *top = &taps[width], *bottom = &taps[width + height - 1];
  const int first = top->first, end = bottom->first + bottom->count;
  if (!(rows = malloc((size_t)(end - first) * width * 3 * sizeof *rows))) goto fail;
  for (int y = first; y < end; y++)
    for (uint32_t x = 0; x < width; x++)
      for (int c = 0; c < 3; c++) {
        float sum = 0;
        for (int i = 0; i < taps[x].count; i++)
          sum +=
              taps[x].weights[i] * (float)pixels[((size_t)y * (size_t)w + (size_t)(taps[x].first + i)) * 3 + (size_t)c];
        rows[((size_t)(y - first) * width + x) * 3 + (size_t)c] = sum;
      }
  for (uint32_t y = 0; y < height; y++) {
    const struct tap *tap = &taps[width + y];
    for (size_t x = 0; x < (size_t)width * 3; x++) {
      float sum = 0;
      for (int i = 0; i < tap->count; i++)
        sum += tap->weights[i] * rows[(size_t)(tap->first - first + i) * width * 3 + x];
      rgb[(size_t)y * width * 3 + x] = sum >= 255 ? 255 : sum > 0 ? (uint8_t)(sum + 0.5f) : 0;
    }
  }
  status = VKD_OK;
fail:
  if (status != VKD_OK) vkd_fail(err, status, "%s: no memory to resize %dx%d pixels", path, h, w);
  free(taps);
  free(weights);
  free(rows);
  return status;
}

// stb_image before 2.28 believes the counts of a JPEG's Huffman tables and writes past their ends.
// p[n]: one DHT segment of a file that has `left` bytes from there: tables of 16 counts and as many values each.
static bool huffman_tables_fit(const uint8_t *p, size_t n, size_t left) {
  for (size_t at = 0; at < n;) {
    size_t values = 0;
    for (size_t i = at + 1; i <= at + 16 && i < left; i++) values += p[i];
    if (values > 256) return false;
    at += 17 + values;
  }
  return true;
}

// Segment after segment; what an image's data have between markers is passed over.
static bool jpeg_tables_fit(const uint8_t *p, size_t n) {
  for (size_t at = 0;;) {
    while (at < n && p[at] != 0xff) at++;
    while (at < n && p[at] == 0xff) at++;
    if (n - at < 3) return true;
    const uint8_t marker = p[at++];
    if (marker == 0xd9) return true;                                // the end
    if (marker < 2 || (marker >= 0xd0 && marker <= 0xd8)) continue; // without a length
    const size_t length = (size_t)p[at] << 8 | p[at + 1], left = n - at;
    if (length < 2) return false;
    if (marker == 0xc4 && !huffman_tables_fit(p + at + 2, length - 2, left - 2)) return false;
    at += length < left ? length : left;
  }
}

enum vkd_status image_load(const char *path, uint32_t width, uint32_t height, uint8_t *rgb, struct vkd_error *err) {
  char *file = NULL;
  size_t size = 0;
  uint8_t *pixels = NULL;
  int w = 0, h = 0, n = 0;
  enum vkd_status status = fileio_read_whole(path, MAX_IMAGE_FILE, &file, &size, err);
  if (status != VKD_OK) return status;
  const size_t room = IMAGE_MEMORY + IMAGE_MEMORY_PER_BYTE * size;
  stb_image_limit(room);
  if (size > 3 && (uint8_t)file[0] == 0xff && !jpeg_tables_fit((uint8_t *)file, size)) {
    status = vkd_fail(err, VKD_ERR_INPUT, "%s: no readable image: damaged JPEG tables", path);
    goto done;
  }
  if (!stbi_info_from_memory((const stbi_uc *)file, (int)size, &w, &h, &n)) {
    status = vkd_fail(err, VKD_ERR_INPUT, "%s: no readable image: %s", path, stbi_failure_reason());
    goto done;
  }
  if (w < 1 || h < 1 || w > MAX_IMAGE_SIDE || h > MAX_IMAGE_SIDE || (int64_t)w * h > MAX_IMAGE_PIXELS) {
    status = vkd_fail(err, VKD_ERR_INPUT, "%s: %dx%d pixels; at most %d are read", path, h, w, MAX_IMAGE_PIXELS);
    goto done;
  }
  if ((uint64_t)w * (uint64_t)h > (uint64_t)size * PIXELS_PER_BYTE) {
    status = vkd_fail(err, VKD_ERR_INPUT, "%s: %dx%d pixels do not fit into %zu bytes; damaged", path, h, w, size);
    goto done;
  }
  if (!(pixels = stbi_load_from_memory((const stbi_uc *)file, (int)size, &w, &h, &n, 3))) {
    status = stb_image_limit_hit()
                 ? vkd_fail(err, VKD_ERR_INPUT,
                            "%s: a file of %zu bytes claims %dx%d pixels, which would take more than the %zu MiB that "
                            "are read of one; save it in a smaller size",
                            path, size, h, w, room >> 20)
                 : vkd_fail(err, VKD_ERR_INPUT, "%s: no readable image: %s", path, stbi_failure_reason());
    goto done;
  }
  status = resize_cover(path, pixels, w, h, width, height, rgb, err);
done:
  stbi_image_free(pixels);
  free(file);
  return status;
}
