#include "tfevents.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// A message that grows; without memory it stays cut, and writing it fails.
struct message {
  unsigned char *data;
  size_t size, room;
  bool failed;
};

struct tfevents {
  FILE *file;
  struct message value, event; // kept, so that a step allocates nothing
  char path[4096];
};

uint32_t tfevents_crc32c(const void *data, uint32_t size) {
  uint32_t crc = 0xffffffffu;
  for (uint32_t i = 0; i < size; i++) {
    crc ^= ((const unsigned char *)data)[i];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
  }
  return ~crc;
}

// TFRecord stores checksums rotated and offset.
static uint32_t masked(const void *data, uint32_t size) {
  uint32_t crc = tfevents_crc32c(data, size);
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static void put(struct message *m, const void *data, size_t size) {
  if (size > m->room - m->size) {
    size_t room = 2 * m->room + size;
    unsigned char *more = realloc(m->data, room);
    m->failed |= !more;
    if (!more) return;
    m->data = more;
    m->room = room;
  }
  memcpy(m->data + m->size, data, size);
  m->size += size;
}
static void put_varint(struct message *m, uint64_t v) {
  do {
    unsigned char byte = (unsigned char)((v & 127) | (v > 127 ? 128 : 0));
    put(m, &byte, 1);
  } while (v >>= 7);
}
// Protocol buffers: field number << 3 | wire type (0 varint, 1 64 bits, 2 bytes, 5 32 bits)
static void put_bytes(struct message *m, uint32_t field, const void *data, size_t size) {
  put_varint(m, field << 3 | 2);
  put_varint(m, size);
  put(m, data, size);
}
static void put_double(struct message *m, uint32_t field, double value) {
  put_varint(m, field << 3 | 1);
  put(m, &value, 8);
}

static enum vkd_status write_event(struct tfevents *e, struct vkd_error *err) {
  const struct message *m = &e->event;
  unsigned char head[12] = {0}, tail[4];
  uint32_t crc;
  if (m->failed || e->value.failed || m->size > UINT32_MAX)
    return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory for a record", e->path);
  for (int i = 0; i < 4; i++) head[i] = (unsigned char)(m->size >> 8 * i);
  crc = masked(head, 8);
  for (int i = 0; i < 4; i++) head[8 + i] = (unsigned char)(crc >> 8 * i);
  crc = masked(m->data, (uint32_t)m->size);
  for (int i = 0; i < 4; i++) tail[i] = (unsigned char)(crc >> 8 * i);
  if (fwrite(head, 1, 12, e->file) == 12 && fwrite(m->data, 1, m->size, e->file) == m->size &&
      fwrite(tail, 1, 4, e->file) == 4)
    return VKD_OK;
  return vkd_fail(err, VKD_ERR_IO, "%s: %s", e->path, strerror(errno));
}

static void begin_event(struct tfevents *e, int64_t step) {
  e->event.size = 0;
  put_double(&e->event, 1, (double)time(NULL));
  put_varint(&e->event, 2 << 3 | 0);
  put_varint(&e->event, (uint64_t)step);
}

// A Summary.Value, up to what it holds of the tag.
static struct message *begin_value(struct tfevents *e, const char *tag) {
  e->value.size = 0;
  put_bytes(&e->value, 1, tag, strlen(tag));
  return &e->value;
}

// The event of one value.
static enum vkd_status end_value(struct tfevents *e, int64_t step, struct vkd_error *err) {
  unsigned char digits[10];
  struct message size = {.data = digits, .room = sizeof digits};
  put_varint(&size, e->value.size);
  begin_event(e, step);
  put_varint(&e->event, 5 << 3 | 2);
  put_varint(&e->event, 1 + size.size + e->value.size);
  put_bytes(&e->event, 1, e->value.data, e->value.size);
  return write_event(e, err);
}

enum vkd_status tfevents_open(struct tfevents **out, const char *run, struct vkd_error *err) {
  struct tfevents *e = *out = calloc(1, sizeof *e);
  if (!e) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for an event file");
  int n =
      snprintf(e->path, sizeof e->path, "%s/events.out.tfevents.%lld.%ld", run, (long long)time(NULL), (long)getpid());
  enum vkd_status st =
      n < (int)sizeof e->path ? VKD_OK : vkd_fail(err, VKD_ERR_INPUT, "%.200s...: the path is too long", run);
  if (st == VKD_OK && !(e->file = fopen(e->path, "wb")))
    st = vkd_fail(err, VKD_ERR_IO, "%s: %s", e->path, strerror(errno));
  begin_event(e, 0);
  put_bytes(&e->event, 3, "brain.Event:2", 13);
  if (st == VKD_OK) st = write_event(e, err);
  if (st != VKD_OK) tfevents_close(out, NULL);
  return st;
}

enum vkd_status tfevents_close(struct tfevents **pe, struct vkd_error *err) {
  struct tfevents *e = *pe;
  enum vkd_status st = VKD_OK;
  if (!e) return VKD_OK;
  if (e->file && fclose(e->file) != 0) st = vkd_fail(err, VKD_ERR_IO, "%s: %s", e->path, strerror(errno));
  free(e->value.data);
  free(e->event.data);
  free(e);
  *pe = NULL;
  return st;
}

enum vkd_status tfevents_flush(struct tfevents *e, struct vkd_error *err) {
  return fflush(e->file) == 0 ? VKD_OK : vkd_fail(err, VKD_ERR_IO, "%s: %s", e->path, strerror(errno));
}

enum vkd_status tfevents_scalar(struct tfevents *e, int64_t step, const char *tag, float value, struct vkd_error *err) {
  struct message *m = begin_value(e, tag);
  put_varint(m, 2 << 3 | 5);
  put(m, &value, 4);
  return end_value(e, step, err);
}

enum vkd_status tfevents_image(struct tfevents *e, int64_t step, const char *tag, const void *png, size_t size,
                               uint32_t height, uint32_t width, struct vkd_error *err) {
  struct message *m = begin_value(e, tag);
  struct message image = {.data = NULL};
  put_varint(&image, 1 << 3 | 0);
  put_varint(&image, height);
  put_varint(&image, 2 << 3 | 0);
  put_varint(&image, width);
  put_varint(&image, 3 << 3 | 0);
  put_varint(&image, 3); // RGB
  put_bytes(&image, 4, png, size);
  put_bytes(m, 4, image.data, image.size);
  m->failed |= image.failed;
  free(image.data);
  return end_value(e, step, err);
}

enum vkd_status tfevents_histogram(struct tfevents *e, int64_t step, const char *tag, const struct histogram *h,
                                   struct vkd_error *err) {
  double *limit = malloc(2 * HISTOGRAM_MOST * sizeof *limit);
  if (!limit) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory for a histogram", e->path);
  double *counts = limit + HISTOGRAM_MOST;
  size_t bytes = 8 * (size_t)histogram_buckets(h, limit, counts);
  struct message *m = begin_value(e, tag), histo = {.data = NULL};
  put_double(&histo, 1, h->min);
  put_double(&histo, 2, h->max);
  put_double(&histo, 3, (double)h->num);
  put_double(&histo, 4, h->sum);
  put_double(&histo, 5, h->sum_squares);
  put_bytes(&histo, 6, limit, bytes);
  put_bytes(&histo, 7, counts, bytes);
  put_bytes(m, 5, histo.data, histo.size);
  m->failed |= histo.failed;
  free(histo.data);
  free(limit);
  return end_value(e, step, err);
}
