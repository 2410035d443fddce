#include "tfevents.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { RECORD = 256 };

struct tfevents {
  FILE *file;
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

struct message {
  unsigned char data[RECORD];
  uint32_t size;
};

static void put(struct message *m, const void *data, uint32_t size) {
  if (size > RECORD - m->size) size = RECORD - m->size;
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
static void put_bytes(struct message *m, uint32_t field, const void *data, uint32_t size) {
  put_varint(m, field << 3 | 2);
  put_varint(m, size);
  put(m, data, size);
}

static enum vkd_status write_event(struct tfevents *e, const struct message *m, struct vkd_error *err) {
  unsigned char head[12] = {0}, tail[4];
  uint32_t crc;
  for (int i = 0; i < 4; i++) head[i] = (unsigned char)(m->size >> 8 * i);
  crc = masked(head, 8);
  for (int i = 0; i < 4; i++) head[8 + i] = (unsigned char)(crc >> 8 * i);
  crc = masked(m->data, m->size);
  for (int i = 0; i < 4; i++) tail[i] = (unsigned char)(crc >> 8 * i);
  if (fwrite(head, 1, 12, e->file) == 12 && fwrite(m->data, 1, m->size, e->file) == m->size &&
      fwrite(tail, 1, 4, e->file) == 4)
    return VKD_OK;
  return vkd_fail(err, VKD_ERR_IO, "%s: %s", e->path, strerror(errno));
}

static void begin_event(struct message *m, int64_t step) {
  double now = (double)time(NULL);
  *m = (struct message){.size = 0};
  put_varint(m, 1 << 3 | 1);
  put(m, &now, 8);
  put_varint(m, 2 << 3 | 0);
  put_varint(m, (uint64_t)step);
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
  struct message m;
  begin_event(&m, 0);
  put_bytes(&m, 3, "brain.Event:2", 13);
  if (st == VKD_OK) st = write_event(e, &m, err);
  if (st != VKD_OK) tfevents_close(out, NULL);
  return st;
}

enum vkd_status tfevents_close(struct tfevents **pe, struct vkd_error *err) {
  struct tfevents *e = *pe;
  enum vkd_status st = VKD_OK;
  if (!e) return VKD_OK;
  if (e->file && fclose(e->file) != 0) st = vkd_fail(err, VKD_ERR_IO, "%s: %s", e->path, strerror(errno));
  free(e);
  *pe = NULL;
  return st;
}

enum vkd_status tfevents_scalar(struct tfevents *e, int64_t step, const char *tag, float value, struct vkd_error *err) {
  struct message scalar = {.size = 0}, summary = {.size = 0}, event;
  put_bytes(&scalar, 1, tag, (uint32_t)strlen(tag));
  put_varint(&scalar, 2 << 3 | 5);
  put(&scalar, &value, 4);
  put_bytes(&summary, 1, scalar.data, scalar.size);
  begin_event(&event, step);
  put_bytes(&event, 5, summary.data, summary.size);
  return write_event(e, &event, err);
}
