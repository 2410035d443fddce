// Random bits for tests: xorshift64 (Marsaglia 2003).
#ifndef VKD_TEST_XORSHIFT_H
#define VKD_TEST_XORSHIFT_H

#include <stdint.h>

// state: not 0.
static inline uint64_t xorshift(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  return *state ^= *state << 17;
}

#endif
