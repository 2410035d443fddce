// TensorBoard event files: checksums of known strings, and every record read back.
#include "check.h"
#include "temp.h"
#include "tfevents.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void test_crc(void) {
  unsigned char bytes[32] = {0};
  CHECK(tfevents_crc32c("123456789", 9) == 0xe3069283u, "the check value of CRC-32C");
  CHECK(tfevents_crc32c("", 0) == 0, "of nothing");
  // RFC 3720, appendix B.4
  CHECK(tfevents_crc32c(bytes, 32) == 0x8a9136aau, "32 bytes of zeroes");
  memset(bytes, 0xff, sizeof bytes);
  CHECK(tfevents_crc32c(bytes, 32) == 0x62a8ab43u, "32 bytes of ones");
  for (int i = 0; i < 32; i++) bytes[i] = (unsigned char)i;
  CHECK(tfevents_crc32c(bytes, 32) == 0x46dd794eu, "0 to 31");
}

static uint64_t little(const unsigned char *p, int bytes) {
  uint64_t v = 0;
  for (int i = 0; i < bytes; i++) v |= (uint64_t)p[i] << 8 * i;
  return v;
}
static uint32_t unmasked(const unsigned char *p) {
  uint32_t m = (uint32_t)little(p, 4) - 0xa282ead8u;
  return m << 15 | m >> 17;
}

// A protocol buffer's next field: its number and wire type, a value or `size` bytes at `data`.
struct field {
  uint64_t key, value, size;
  const unsigned char *data;
};
static uint64_t varint(const unsigned char **p, const unsigned char *end) {
  uint64_t v = 0;
  for (int shift = 0; *p < end && shift < 64; shift += 7) {
    unsigned char byte = *(*p)++;
    v |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) return v;
  }
  *p = end + 1;
  return 0;
}
static bool next_field(const unsigned char **p, const unsigned char *end, struct field *f) {
  if (*p >= end) return false;
  *f = (struct field){.key = varint(p, end)};
  int type = f->key & 7;
  if (type == 0) f->value = varint(p, end);
  f->size = type == 1 ? 8 : type == 5 ? 4 : type == 2 ? varint(p, end) : 0;
  CHECK(*p <= end && f->size <= (uint64_t)(end - *p), "a field beyond its record");
  if (*p > end || f->size > (uint64_t)(end - *p)) return false;
  f->data = *p;
  *p += f->size;
  return true;
}

struct event {
  uint64_t step;
  char version[32], tag[64];
  float value;
  bool has_time, has_value;
};

static struct event parse(const unsigned char *p, uint64_t size) {
  struct event e = {.step = UINT64_MAX};
  struct field f, s, v;
  for (const unsigned char *end = p + size; next_field(&p, end, &f);) {
    e.has_time |= f.key == (1 << 3 | 1);
    if (f.key == (2 << 3 | 0)) e.step = f.value;
    if (f.key == (3 << 3 | 2) && f.size < sizeof e.version) memcpy(e.version, f.data, f.size);
    if (f.key != (5 << 3 | 2)) continue;
    for (const unsigned char *q = f.data; next_field(&q, f.data + f.size, &s);)
      for (const unsigned char *w = s.data; s.key == (1 << 3 | 2) && next_field(&w, s.data + s.size, &v);) {
        if (v.key == (1 << 3 | 2) && v.size < sizeof e.tag) memcpy(e.tag, v.data, v.size);
        if (v.key == (2 << 3 | 5)) {
          memcpy(&e.value, v.data, 4);
          e.has_value = true;
        }
      }
  }
  return e;
}

static unsigned char *read_events(const char *folder, size_t *size) {
  char path[512] = "";
  static unsigned char data[65536];
  DIR *dir = opendir(folder);
  *size = 0;
  for (struct dirent *e; dir && (e = readdir(dir));)
    if (strncmp(e->d_name, "events.out.tfevents.", 20) == 0)
      snprintf(path, sizeof path, "%s/%.255s", folder, e->d_name);
  if (dir) closedir(dir);
  FILE *f = fopen(path, "rb");
  CHECK(f != NULL, "no event file in %s", folder);
  if (!f) return data;
  *size = fread(data, 1, sizeof data, f);
  fclose(f);
  unlink(path);
  return data;
}

static void test_records(void) {
  static const struct {
    int64_t step;
    const char *tag;
    float value;
  } want[] = {{1, "loss", 0.25f},
              {127, "loss", -3e-30f},
              {128, "grad_norm", 1e30f},
              {INT64_C(1) << 40, "lr", 0},
              {7, "loss", INFINITY}};
  enum { COUNT = sizeof want / sizeof want[0] };
  char folder[TEMP_SIZE];
  struct tfevents *e = NULL;
  struct vkd_error err = {0};
  size_t size;
  temp_folder(folder);
  CHECK(tfevents_open(&e, folder, &err) == VKD_OK, "%s", err.what);
  for (int i = 0; i < COUNT && e; i++)
    CHECK(tfevents_scalar(e, want[i].step, want[i].tag, want[i].value, &err) == VKD_OK, "%s", err.what);
  CHECK(tfevents_close(&e, &err) == VKD_OK && !e, "%s", err.what);
  const unsigned char *p = read_events(folder, &size), *end = p + size;
  int records = 0;
  for (; end - p >= 16; records++) {
    uint64_t length = little(p, 8);
    CHECK(unmasked(p + 8) == tfevents_crc32c(p, 8), "record %d: checksum of the length", records);
    CHECK(length <= (uint64_t)(end - p) - 16, "record %d is cut short", records);
    if (length > (uint64_t)(end - p) - 16) break;
    CHECK(unmasked(p + 12 + length) == tfevents_crc32c(p + 12, (uint32_t)length), "record %d: checksum of the data",
          records);
    struct event got = parse(p + 12, length);
    CHECK(got.has_time, "record %d has no time", records);
    if (!records)
      CHECK(strcmp(got.version, "brain.Event:2") == 0 && got.step == 0, "the first record tells '%s'", got.version);
    else if (records <= COUNT)
      CHECK(got.has_value && got.step == (uint64_t)want[records - 1].step &&
                strcmp(got.tag, want[records - 1].tag) == 0 && memcmp(&got.value, &want[records - 1].value, 4) == 0,
            "record %d: step %llu, %s = %g", records, (unsigned long long)got.step, got.tag, (double)got.value);
    p += 16 + length;
  }
  CHECK(records == COUNT + 1 && p == end, "%d records, %d left over", records, (int)(end - p));
  rmdir(folder);
  CHECK(tfevents_open(&e, folder, &err) != VKD_OK && !e, "a folder that is not there is taken");
}

int main(void) {
  test_crc();
  test_records();
  return check_done();
}
