// The generator against published vectors, and its normal draws against the moments of the normal distribution.
#include "check.h"
#include "vkd/random.h"

#include <stdlib.h>

// Known answers published with Random123 (kat_vectors, philox4x32 10).
static void test_vectors(void) {
  static const struct {
    uint32_t counter[4], key[2], want[4];
  } cases[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    uint32_t got[4];
    vkd_philox(cases[i].counter, cases[i].key, got);
    for (int k = 0; k < 4; k++)
      CHECK(got[k] == cases[i].want[k], "vector %zu word %d: got %08x, want %08x", i, k, got[k], cases[i].want[k]);
  }
}

static void test_uniform(void) {
  CHECK(vkd_uniform(0) > 0 && vkd_uniform(0) < 2e-10, "%.17g", vkd_uniform(0));
  CHECK(vkd_uniform(UINT32_MAX) < 1 && vkd_uniform(UINT32_MAX) > 1 - 2e-10, "%.17g", vkd_uniform(UINT32_MAX));
  CHECK(vkd_uniform(0x7fffffff) + vkd_uniform(0x80000000) == 1, "the halves are not symmetric");
}

// n = 400,000 draws: the standard errors are 1/sqrt(n) = 0.0016 of the mean, sqrt(2/n) = 0.0022 of the variance,
// sqrt(6/n) = 0.0039 of the skewness and sqrt(24/n) = 0.0077 of the kurtosis; five of each are allowed.
static void test_moments(uint64_t seed) {
  enum { QUADS = 100000 };
  double m1 = 0, m2 = 0, m3 = 0, m4 = 0, cross = 0, n = 4.0 * QUADS;
  for (uint32_t q = 0; q < QUADS; q++) {
    double z[4];
    vkd_normal4(seed, 7, 1, q / 1000, q % 1000, z);
    for (int k = 0; k < 4; k++) {
      m1 += z[k];
      m2 += z[k] * z[k];
      m3 += z[k] * z[k] * z[k];
      m4 += z[k] * z[k] * z[k] * z[k];
    }
    cross += z[0] * z[1] + z[0] * z[2] + z[1] * z[3];
  }
  CHECK_NEAR(m1 / n, 0, 0.008);
  CHECK_NEAR(m2 / n, 1, 0.011);
  CHECK_NEAR(m3 / n, 0, 0.020);
  CHECK_NEAR(m4 / n, 3, 0.039);
  CHECK_NEAR(cross / (3.0 * QUADS), 0, 0.0092); // 300,000 products: 5 / sqrt(n)
}

// Every part of the key changes the draws.
static void test_streams(void) {
  double base[4], other[5][4];
  vkd_normal4(5, 3, 1, 9, 2, base);
  vkd_normal4(5 + (1ull << 32), 3, 1, 9, 2, other[0]);
  vkd_normal4(5, 4, 1, 9, 2, other[1]);
  vkd_normal4(5, 3, 2, 9, 2, other[2]);
  vkd_normal4(5, 3, 1, 10, 2, other[3]);
  vkd_normal4(5, 3, 1, 9, 3, other[4]);
  for (int i = 0; i < 5; i++)
    CHECK(base[0] != other[i][0] && base[3] != other[i][3], "part %d of the key is unused", i);
}

int main(void) {
  test_vectors();
  test_uniform();
  test_moments(1);
  test_moments(0x123456789abcdefull);
  test_streams();
  return check_done();
}
