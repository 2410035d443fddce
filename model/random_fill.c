#include "vkdm/random_fill.h"

#include "vkd/random.h"

enum { TABLE = 65521, SEED = 1 }; // a prime, so that rows of a matrix differ

void random_fill(float *dst, size_t n, uint32_t which) {
  size_t drawn = n < TABLE ? n : TABLE;
  for (size_t i = 0; i < drawn; i += 4) {
    double z[4];
    vkd_normal4(SEED, 0, 0, which, (uint32_t)(i / 4), z);
    for (size_t k = 0; k < 4 && i + k < drawn; k++) dst[i + k] = (float)z[k];
  }
  for (size_t i = drawn; i < n; i++) dst[i] = dst[i - TABLE];
}
