// Standard normal numbers for tests, the same in every run.
#ifndef VKD_TEST_NORMAL_H
#define VKD_TEST_NORMAL_H

#include "vkd/random.h"

static inline double normal_at(uint64_t seed, uint32_t stream, uint32_t sample, int64_t i) {
  double z[4];
  vkd_normal4(seed, 0, stream, sample, (uint32_t)(i / 4), z);
  return z[i % 4];
}

static inline void normal_fill(float *x, int64_t n, uint64_t seed, uint32_t stream, uint32_t sample) {
  for (int64_t i = 0; i < n; i++) x[i] = (float)normal_at(seed, stream, sample, i);
}

#endif
