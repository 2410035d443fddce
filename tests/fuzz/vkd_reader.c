// Broken .vkd files: any change is found by dataset_verify(), and files whose checksums were made to fit again end in
// success or VKD_ERR_INPUT, never in a crash.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../model/vkd_format.h"
#include "check.h"
#include "damage.h"
#include "targets/targets.h"
#include "vkd/bytes.h"
#include "vkd/hash.h"
#include "vkdm/data_build.h"
#include "vkdm/fileio.h"
#include "vkdm/safetensors.h"

enum { ROUNDS = 6000 };

static uint32_t below(uint32_t n) { return (rng() >> 1) % n; }

static int opened, refused;

// Opens, reads everything.
static bool try_bytes(const uint8_t *data, size_t size) {
  bool got_far;
  bool good = target_vkd_as_is(data, size, &got_far);
  *(got_far ? &opened : &refused) += 1;
  return good;
}

// Makes the checksums of tables and header fit what stands there.
static void mend(uint8_t *data, size_t size) {
  const uint64_t offset = get_u64(data + 24);
  if (offset <= size) put_u64(data + 40, hash_xxh64(data + offset, size - (size_t)offset, 0));
  put_u64(data + 120, hash_xxh64(data, 120, 0));
}

static void put_odd(uint8_t *p) {
  static const uint64_t odd[] = {0,          1,          2,           127,        128,       0x7fffffff,
                                 0x80000000, 0xffffffff, 0x100000000, 1ull << 62, UINT64_MAX};
  put_u64(p, odd[below(11)] + (below(2) ? 0 : below(64)));
}

static void mutate(uint8_t *data, size_t size, size_t tables) {
  for (uint32_t n = 1 + below(3); n; n--) switch (below(5)) {
    case 0:
      data[below((uint32_t)size)] ^= (uint8_t)(1 << below(8));
      break;
    case 1:
      data[16 + below(104)] = (uint8_t)below(256);
      break; // header
    case 2:
      put_odd(data + 16 + 4 * below(24));
      break; // a header field
    case 3:
      put_odd(data + tables + below((uint32_t)(size - tables - 8)) / 4 * 4);
      break; // an index field
    case 4:
      data[tables + below((uint32_t)(size - tables))] = (uint8_t)below(256);
      break;
    }
}

static void build_seed(const char *path, const char *text, enum latent_kind codec) {
  static const char *const sources[] = {"synthetic"};
  const float rows[6] = {1, 2, 3, 4, 5, 6};
  const struct st_entry entry = {.name = "square-right", .dtype = ST_F32, .ndim = 2, .shape = {2, 3}, .data = rows};
  struct vkd_error err = {0};
  CHECK(st_write(text, &entry, 1, NULL, 0, &err) == VKD_OK, "%s", err.what);
  const struct data_build_params p = {.sources = sources,
                                      .source_count = 1,
                                      .output = path,
                                      .text = text,
                                      .count = 5,
                                      .frames = 2,
                                      .height = 4,
                                      .width = 4,
                                      .codec = codec,
                                      .levels_t = 1,
                                      .levels_s = 1,
                                      .classes = 3};
  CHECK(data_build(&p, &err) == VKD_OK, "%s", err.what);
}

int main(void) {
  rng_state = 0x2545f4914f6cdd1du;
  const char *path = target_write("seed.vkd", NULL, 0), *text = target_write("text.safetensors", NULL, 0);
  for (int codec = LATENT_PIXEL; codec <= LATENT_HAAR; codec++) {
    build_seed(path, text, (enum latent_kind)codec);
    char *seed = NULL;
    size_t size = 0;
    struct vkd_error err = {0};
    CHECK(fileio_read_whole(path, 1 << 20, &seed, &size, &err) == VKD_OK, "%s", err.what);
    if (!seed) return check_done();
    uint8_t *data = malloc(size + 64);
    const size_t tables = (size_t)get_u64((uint8_t *)seed + 24);
    CHECK(try_bytes((uint8_t *)seed, size), "the seed itself");
    for (size_t n = 0; n < size; n += 1 + n / 64) CHECK(!try_bytes((uint8_t *)seed, n), "cut to %zu bytes", n);
    for (int round = 0; round < ROUNDS; round++) {
      memcpy(data, seed, size);
      const int kind = round % 4;
      size_t n = size;
      if (kind == 0) { // any change at all is found
        data[below((uint32_t)size)] ^= (uint8_t)(1 << below(8));
        CHECK(!try_bytes(data, size), "a flipped bit was not found");
        continue;
      }
      if (kind == 1) { // other compressed bytes under a fitting checksum
        uint8_t *entry = data + tables + 8 * get_u32(data + 72) + VKD_CLIP_BYTES * below(5);
        const size_t at = (size_t)get_u64(entry), stored = (size_t)get_u64(entry + 8);
        for (uint32_t k = 1 + below(4); k; k--) data[at + below((uint32_t)stored)] = (uint8_t)below(256);
        put_u64(entry + 24, hash_xxh64(data + at, stored, 0));
      } else {
        mutate(data, size, tables);
        if (below(4) == 0) n = VKD_HEADER_BYTES + below((uint32_t)(size - VKD_HEADER_BYTES) + 64);
        if (n > size) memset(data + size, 0xa5, n - size);
        if (below(2)) put_u64(data + 16, n);
      }
      mend(data, n);
      try_bytes(data, n);
    }
    free(data);
    free(seed);
  }
  CHECK(opened > ROUNDS / 4, "only %d damaged files got past the tables", opened);
  CHECK(refused > ROUNDS / 2, "only %d files were refused at once", refused);
  return check_done();
}
