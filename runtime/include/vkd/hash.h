// XXH64 and the small mixing functions around it.  Source: Collet, xxHash specification 0.1.1; Steele et al. 2014
// (splitmix64).
#ifndef VKD_HASH_H
#define VKD_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash_xxh64(const void *data, size_t size, uint64_t seed);

// The same of data that come in pieces.
struct hash_stream {
  uint64_t lanes[4], size;
  uint8_t left[32]; // [size % 32]
};
void hash_begin(struct hash_stream *h, uint64_t seed);
void hash_add(struct hash_stream *h, const void *data, size_t size);
uint64_t hash_end(const struct hash_stream *h);

// splitmix64's output function: a bijection of 64-bit words.
static inline uint64_t hash_mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// Uniform in [0, 1), from the upper 53 bits.
static inline double hash_unit(uint64_t x) { return (double)(x >> 11) * 0x1p-53; }

#endif
