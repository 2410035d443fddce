// Broken .safetensors files: every truncation and random damage end in success or VKD_ERR_INPUT, and what opens can be
// read through.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "damage.h"
#include "temp.h"
#include "vkdm/fileio.h"
#include "vkdm/safetensors.h"

static char path[512];

static int opened, refused;

static void try_bytes(const unsigned char *data, size_t size) {
  damage_write(path, data, size);
  struct vkd_error err = {0};
  struct st_file *file = NULL;
  enum vkd_status status = st_open(path, &file, &err);
  if (status) {
    refused++;
    CHECK(status == VKD_ERR_INPUT && !file && strstr(err.what, path), "%s: %s", vkd_status_name(status), err.what);
    return;
  }
  opened++;
  static float floats[64];
  static int32_t ints[64];
  uint64_t total = 0;
  for (size_t i = 0; i < st_count(file); i++) {
    const struct st_tensor *t = st_at(file, i);
    total += t->size;
    CHECK(st_find(file, t->name) == t, "%s is not found by its name", t->name);
    for (uint64_t at = 0; at < t->numel; at += 64) {
      uint64_t n = t->numel - at < 64 ? t->numel - at : 64;
      enum vkd_status f = st_read_f32_part(t, at, n, floats, NULL), k = st_read_i32_part(t, at, n, ints, NULL);
      CHECK((!f || f == VKD_ERR_DTYPE || f == VKD_ERR_INPUT) && (!k || k == VKD_ERR_DTYPE || k == VKD_ERR_INPUT),
            "read of %s", t->name);
    }
  }
  CHECK(total <= size, "%llu bytes of tensors in a file of %zu", (unsigned long long)total, size);
  st_close(&file);
}

static void damage(unsigned char *data, size_t *size, size_t header) {
  static const char *const tokens[] = {"-1",
                                       "0",
                                       "9",
                                       "18446744073709551615",
                                       "9223372036854775807",
                                       "4294967296",
                                       "[",
                                       "]",
                                       "{",
                                       "}",
                                       ",",
                                       "\"",
                                       "\\u0000",
                                       "null",
                                       "1e3",
                                       "F64",
                                       "BF16",
                                       "U8",
                                       "\xff"};
  for (uint32_t edits = 1 + rng() % 3; edits; edits--) {
    size_t limit = rng() % 4 ? header : *size, at = rng() % limit;
    if (rng() & 1) {
      damage_byte(&data[at]);
      continue;
    }
    const char *token = tokens[rng() % (sizeof tokens / sizeof tokens[0])];
    damage_overwrite(data, *size, at, token);
  }
  if (rng() % 8 == 0) *size = rng() % *size;
}

int main(void) {
  char folder[TEMP_SIZE];
  temp_folder(folder);
  snprintf(path, sizeof path, "%s/t.safetensors", folder);
  static float values[60];
  for (int i = 0; i < 60; i++) values[i] = (float)rng();
  struct st_entry entries[] = {
      {.name = "a.weight", .dtype = ST_F32, .ndim = 3, .shape = {3, 4, 5}, .data = values},
      {.name = "b", .dtype = ST_F16, .ndim = 1, .shape = {7}, .data = values},
      {.name = "c", .dtype = ST_I64, .ndim = 2, .shape = {2, 3}, .data = values},
      {.name = "d", .dtype = ST_U8, .ndim = 1, .shape = {5}, .data = values},
      {.name = "e", .dtype = ST_BOOL, .data = values},
  };
  struct st_meta meta[] = {{"format", "pt"}, {"step", "3"}};
  struct vkd_error err = {0};
  char *good = NULL;
  size_t size = 0;
  if (st_write(path, entries, 5, meta, 2, &err) || fileio_read_whole(path, 1 << 20, &good, &size, &err)) {
    fprintf(stderr, "%s\n", err.what);
    return 1;
  }
  uint64_t length;
  memcpy(&length, good, 8);
  unsigned char *bad = malloc(size);
  if (!bad) return 1;
  try_bytes((unsigned char *)good, size);
  CHECK(opened == 1, "the undamaged file is refused");
  for (size_t n = 0; n < size; n++) try_bytes((unsigned char *)good, n);
  CHECK(opened == 1, "a truncated file was opened");
  for (int i = 0; i < 6000; i++) {
    memcpy(bad, good, size);
    size_t n = size;
    damage(bad, &n, 8 + (size_t)length);
    try_bytes(bad, n);
  }
  CHECK(opened > 100 && refused > 100, "%d opened, %d refused: the damage is too light or too heavy", opened, refused);
  free(bad);
  free(good);
  unlink(path);
  rmdir(folder);
  return check_done();
}
