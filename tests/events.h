// Reads TensorBoard event files byte by byte, without what writes them: the records' framing and checksums, and the
// protocol buffers of event.proto and summary.proto.
#ifndef VKD_TEST_EVENTS_H
#define VKD_TEST_EVENTS_H

#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

struct event {
  uint64_t step;
  char version[32], tag[128];
  bool has_time, has_value, has_histogram, has_image;
  float value; // simple_value
  double min, max, num, sum, sum_squares;
  int buckets;
  const unsigned char *limits, *counts; // [buckets] of 8 bytes, unaligned
  uint64_t height, width, colours, png_size;
  const unsigned char *png;
};

static inline uint64_t event_little(const unsigned char *p, int bytes) {
  uint64_t v = 0;
  for (int i = 0; i < bytes; i++) v |= (uint64_t)p[i] << 8 * i;
  return v;
}
static inline double event_double(const unsigned char *p) {
  double x;
  memcpy(&x, p, sizeof x);
  return x;
}

// By its definition: the remainder of polynomials over GF(2), a bit at a time.
static inline uint32_t event_crc(const unsigned char *p, uint64_t size) {
  uint32_t crc = UINT32_MAX;
  for (uint64_t bit = 0; bit < 8 * size; bit++) {
    uint32_t feedback = (crc ^ (uint32_t)(p[bit / 8] >> bit % 8)) & 1;
    crc = crc >> 1 ^ (feedback ? 0x82f63b78u : 0);
  }
  return ~crc;
}
static inline uint32_t event_unmasked(const unsigned char *p) {
  uint32_t m = (uint32_t)event_little(p, 4) - 0xa282ead8u;
  return m << 15 | m >> 17;
}

// A protocol buffer's next field: its number and wire type, a value or `size` bytes at `data`.
struct event_field {
  uint64_t key, value, size;
  const unsigned char *data;
};
static inline uint64_t event_varint(const unsigned char **p, const unsigned char *end) {
  uint64_t v = 0;
  for (int shift = 0; *p < end && shift < 64; shift += 7) {
    unsigned char byte = *(*p)++;
    v |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) return v;
  }
  *p = end + 1;
  return 0;
}
static inline bool event_next(const unsigned char **p, const unsigned char *end, struct event_field *f) {
  if (*p >= end) return false;
  *f = (struct event_field){.key = event_varint(p, end)};
  int type = f->key & 7;
  if (type == 0) f->value = event_varint(p, end);
  f->size = type == 1 ? 8 : type == 5 ? 4 : type == 2 ? event_varint(p, end) : 0;
  CHECK(*p <= end && f->size <= (uint64_t)(end - *p), "a field beyond its record");
  if (*p > end || f->size > (uint64_t)(end - *p)) return false;
  f->data = *p;
  *p += f->size;
  return true;
}

static inline void event_histogram(struct event *e, const struct event_field *in) {
  struct event_field f;
  uint64_t limits = 0, counts = 0;
  double *const numbers[] = {&e->min, &e->max, &e->num, &e->sum, &e->sum_squares};
  e->has_histogram = true;
  for (const unsigned char *p = in->data; event_next(&p, in->data + in->size, &f);) {
    for (unsigned i = 0; i < 5; i++)
      if (f.key == ((i + 1) << 3 | 1)) *numbers[i] = event_double(f.data);
    if (f.key == (6 << 3 | 2)) e->limits = f.data, limits = f.size;
    if (f.key == (7 << 3 | 2)) e->counts = f.data, counts = f.size;
  }
  CHECK(limits == counts && limits % 8 == 0, "%s: %d bytes of limits, %d of counts", e->tag, (int)limits, (int)counts);
  e->buckets = limits == counts ? (int)(limits / 8) : 0;
}

static inline void event_image(struct event *e, const struct event_field *in) {
  struct event_field f;
  e->has_image = true;
  for (const unsigned char *p = in->data; event_next(&p, in->data + in->size, &f);) {
    if (f.key == (1 << 3 | 0)) e->height = f.value;
    if (f.key == (2 << 3 | 0)) e->width = f.value;
    if (f.key == (3 << 3 | 0)) e->colours = f.value;
    if (f.key == (4 << 3 | 2)) e->png = f.data, e->png_size = f.size;
  }
}

static inline struct event event_parse(const unsigned char *p, uint64_t size) {
  struct event e = {.step = UINT64_MAX};
  struct event_field f, s, v;
  for (const unsigned char *end = p + size; event_next(&p, end, &f);) {
    e.has_time |= f.key == (1 << 3 | 1);
    if (f.key == (2 << 3 | 0)) e.step = f.value;
    if (f.key == (3 << 3 | 2) && f.size < sizeof e.version) memcpy(e.version, f.data, f.size);
    if (f.key != (5 << 3 | 2)) continue;
    for (const unsigned char *q = f.data; event_next(&q, f.data + f.size, &s);)
      for (const unsigned char *w = s.data; s.key == (1 << 3 | 2) && event_next(&w, s.data + s.size, &v);) {
        if (v.key == (1 << 3 | 2) && v.size < sizeof e.tag) memcpy(e.tag, v.data, v.size);
        if (v.key == (2 << 3 | 5)) {
          memcpy(&e.value, v.data, 4);
          e.has_value = true;
        }
        if (v.key == (4 << 3 | 2)) event_image(&e, &v);
        if (v.key == (5 << 3 | 2)) event_histogram(&e, &v);
      }
  }
  return e;
}

// What an event's histogram must be of these numbers, all finite: each sum, and every bucket counted by its limits.
static inline void event_check_histogram(const struct event *e, const double *x, uint64_t n) {
  double sum = 0, squares = 0, size = 0, low = INFINITY, high = -INFINITY, below = -INFINITY, total = 0;
  for (uint64_t i = 0; i < n; i++) {
    sum += x[i];
    squares += x[i] * x[i];
    size += fabs(x[i]);
    low = fmin(low, x[i]);
    high = fmax(high, x[i]);
  }
  CHECK(e->num == (double)n && e->min == low && e->max == high, "%s: %g numbers from %g to %g, not %g from %g to %g",
        e->tag, e->num, e->min, e->max, (double)n, low, high);
  // sums of up to a million float64 in another order
  CHECK(fabs(e->sum - sum) <= 1e-10 * size, "%s: sum %.17g, not %.17g", e->tag, e->sum, sum);
  CHECK(fabs(e->sum_squares - squares) <= 1e-10 * squares, "%s: squares %.17g, not %.17g", e->tag, e->sum_squares,
        squares);
  for (int b = 0; b < e->buckets; b++) {
    double limit = event_double(e->limits + 8 * b), count = event_double(e->counts + 8 * b), want = 0;
    CHECK(limit > below && isfinite(limit), "%s: bucket %d ends at %g, the one before at %g", e->tag, b, limit, below);
    for (uint64_t i = 0; i < n; i++) want += x[i] >= below && x[i] < limit;
    CHECK(count == want, "%s: %g numbers in bucket %d, [%g, %g), not %g", e->tag, count, b, below, limit, want);
    below = limit;
    total += count;
  }
  CHECK(total == (double)n, "%s: %g of %g numbers in buckets", e->tag, total, (double)n);
}

// An RGB picture of 8 bits, of the size that the event tells.
static inline void event_check_png(const struct event *e, uint64_t height, uint64_t width) {
  static const unsigned char head[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13, 'I', 'H', 'D', 'R'};
  static const unsigned char tail[] = {0, 0, 0, 0, 'I', 'E', 'N', 'D', 0xae, 0x42, 0x60, 0x82};
  CHECK(e->height == height && e->width == width && e->colours == 3, "%s: %d x %d of %d colours", e->tag,
        (int)e->height, (int)e->width, (int)e->colours);
  bool whole = e->png_size > 45 && !memcmp(e->png, head, sizeof head) &&
               !memcmp(e->png + e->png_size - sizeof tail, tail, sizeof tail);
  CHECK(whole, "%s: %d bytes are no PNG", e->tag, (int)e->png_size);
  if (!whole) return;
  const unsigned char *p = e->png + sizeof head;
  uint64_t wide = (uint64_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3],
           high = (uint64_t)p[4] << 24 | p[5] << 16 | p[6] << 8 | p[7];
  CHECK(wide == width && high == height && p[8] == 8 && p[9] == 2, "%s: the PNG is %d x %d, %d bits, type %d", e->tag,
        (int)high, (int)wide, p[8], p[9]);
}

// The bytes of the only event file of a folder, malloc'd; path [512]: its name.
static inline unsigned char *events_load(const char *folder, char *path, size_t *size) {
  DIR *dir = opendir(folder);
  *size = 0;
  *path = 0;
  for (struct dirent *e; dir && (e = readdir(dir));)
    if (strncmp(e->d_name, "events.out.tfevents.", 20) == 0) snprintf(path, 512, "%s/%.255s", folder, e->d_name);
  if (dir) closedir(dir);
  FILE *f = fopen(path, "rb");
  CHECK(f != NULL, "no event file in %s", folder);
  if (!f) return NULL;
  fseek(f, 0, SEEK_END);
  long end = ftell(f);
  rewind(f);
  unsigned char *data = malloc((size_t)end + 1);
  if (data) *size = fread(data, 1, (size_t)end, f);
  fclose(f);
  return data;
}

// The record at *p, which is moved past it; false at the end, or where the framing is wrong, which fails.
static inline bool events_next(const unsigned char **p, const unsigned char *end, struct event *out) {
  if (*p == end) return false;
  CHECK(end - *p >= 16, "%d bytes after the last record", (int)(end - *p));
  if (end - *p < 16) return false;
  uint64_t length = event_little(*p, 8);
  CHECK(event_unmasked(*p + 8) == event_crc(*p, 8), "checksum of a length");
  CHECK(length <= (uint64_t)(end - *p) - 16, "a record is cut short");
  if (length > (uint64_t)(end - *p) - 16) return false;
  CHECK(event_unmasked(*p + 12 + length) == event_crc(*p + 12, length), "checksum of a record's data");
  *out = event_parse(*p + 12, length);
  CHECK(out->has_time, "a record has no time");
  *p += 16 + length;
  return true;
}

#endif
