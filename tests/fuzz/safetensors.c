// Broken .safetensors files: every truncation and random damage end in success or VKD_ERR_INPUT, and what opens can be
// read through.
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "damage.h"
#include "targets/targets.h"
#include "vkdm/fileio.h"
#include "vkdm/safetensors.h"

static int opened, refused;

static void try_bytes(const unsigned char *data, size_t size) {
  *(target_safetensors(data, size) ? &opened : &refused) += 1;
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
  const char *path = target_write("seed.safetensors", NULL, 0);
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
  return check_done();
}
