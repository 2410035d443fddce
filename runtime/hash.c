#include "vkd/hash.h"

#include "vkd/bytes.h"

static const uint64_t P1 = 0x9e3779b185ebca87u, P2 = 0xc2b2ae3d27d4eb4fu, P3 = 0x165667b19e3779f9u,
                      P4 = 0x85ebca77c2b2ae63u, P5 = 0x27d4eb2f165667c5u;

static uint64_t rotl(uint64_t x, int r) { return x << r | x >> (64 - r); }
static uint64_t lane(uint64_t acc, uint64_t word) { return rotl(acc + word * P2, 31) * P1; }
static uint64_t merge(uint64_t acc, uint64_t v) { return (acc ^ lane(0, v)) * P1 + P4; }

uint64_t hash_xxh64(const void *data, size_t size, uint64_t seed) {
  const uint8_t *p = data;
  size_t left = size;
  uint64_t h;
  if (size >= 32) {
    uint64_t v1 = seed + P1 + P2, v2 = seed + P2, v3 = seed, v4 = seed - P1;
    for (; left >= 32; p += 32, left -= 32) {
      v1 = lane(v1, get_u64(p));
      v2 = lane(v2, get_u64(p + 8));
      v3 = lane(v3, get_u64(p + 16));
      v4 = lane(v4, get_u64(p + 24));
    }
    h = rotl(v1, 1) + rotl(v2, 7) + rotl(v3, 12) + rotl(v4, 18);
    h = merge(merge(merge(merge(h, v1), v2), v3), v4);
  } else {
    h = seed + P5;
  }
  h += size;
  for (; left >= 8; p += 8, left -= 8) h = rotl(h ^ lane(0, get_u64(p)), 27) * P1 + P4;
  if (left >= 4) {
    h = rotl(h ^ get_u32(p) * P1, 23) * P2 + P3;
    p += 4;
    left -= 4;
  }
  for (; left; p++, left--) h = rotl(h ^ *p * P5, 11) * P1;
  h = (h ^ h >> 33) * P2;
  h = (h ^ h >> 29) * P3;
  return h ^ h >> 32;
}
