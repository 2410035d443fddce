#include "vkd/hash.h"

#include "vkd/bytes.h"

static const uint64_t P1 = 0x9e3779b185ebca87u, P2 = 0xc2b2ae3d27d4eb4fu, P3 = 0x165667b19e3779f9u,
                      P4 = 0x85ebca77c2b2ae63u, P5 = 0x27d4eb2f165667c5u;

static uint64_t rotl(uint64_t x, int r) { return x << r | x >> (64 - r); }
static uint64_t lane(uint64_t acc, uint64_t word) { return rotl(acc + word * P2, 31) * P1; }
static uint64_t merge(uint64_t acc, uint64_t v) { return (acc ^ lane(0, v)) * P1 + P4; }

static void take_block(struct hash_stream *h, const uint8_t *p) {
  for (int i = 0; i < 4; i++) h->lanes[i] = lane(h->lanes[i], get_u64(p + 8 * i));
}

void hash_begin(struct hash_stream *h, uint64_t seed) {
  *h = (struct hash_stream){.lanes = {seed + P1 + P2, seed + P2, seed, seed - P1}};
}

void hash_add(struct hash_stream *h, const void *data, size_t size) {
  const uint8_t *p = data;
  size_t used = h->size % 32;
  h->size += size;
  if (used) {
    size_t n = size < 32 - used ? size : 32 - used;
    memcpy(h->left + used, p, n);
    if (used + n < 32) return;
    take_block(h, h->left);
    p += n;
    size -= n;
  }
  for (; size >= 32; p += 32, size -= 32) take_block(h, p);
  if (size) memcpy(h->left, p, size);
}

uint64_t hash_end(const struct hash_stream *s) {
  const uint8_t *p = s->left;
  const uint64_t *v = s->lanes;
  size_t left = s->size % 32;
  uint64_t h = v[2] + P5; // v[2] is the seed still
  if (s->size >= 32) {
    h = rotl(v[0], 1) + rotl(v[1], 7) + rotl(v[2], 12) + rotl(v[3], 18);
    for (int i = 0; i < 4; i++) h = merge(h, v[i]);
  }
  h += s->size;
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

uint64_t hash_xxh64(const void *data, size_t size, uint64_t seed) {
  struct hash_stream h;
  hash_begin(&h, seed);
  hash_add(&h, data, size);
  return hash_end(&h);
}
