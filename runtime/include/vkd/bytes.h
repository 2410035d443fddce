// Little-endian numbers in byte buffers.
#ifndef VKD_BYTES_H
#define VKD_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint32_t get_u32(const uint8_t *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t get_u64(const uint8_t *p) { return get_u32(p) | (uint64_t)get_u32(p + 4) << 32; }
static inline float get_f32(const uint8_t *p) {
  uint32_t bits = get_u32(p);
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
static inline void put_u32(uint8_t *p, uint32_t x) {
  for (int i = 0; i < 4; i++) p[i] = (uint8_t)(x >> (8 * i));
}
static inline void put_u64(uint8_t *p, uint64_t x) {
  put_u32(p, (uint32_t)x);
  put_u32(p + 4, (uint32_t)(x >> 32));
}
static inline void put_f32(uint8_t *p, float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  put_u32(p, bits);
}

#endif
