// 16-bit floats on the host: every value there and back, and rounding of random bit patterns against its definition.
#include "vkd/half.h"

#include <math.h>
#include <string.h>

#include "check.h"

static uint32_t state = 1;
static uint32_t random_bits(void) { // xorshift
  state ^= state << 13;
  state ^= state >> 17;
  return state ^= state << 5;
}

static uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static void every_value(enum vkd_dtype dtype) {
  int wrong = 0, nans = 0;
  for (uint32_t i = 0; i < 65536; i++) {
    float x = vkd_half_value(dtype, (uint16_t)i);
    uint16_t back = vkd_half_bits(dtype, x);
    if (isnan(x)) {
      nans++;
      wrong += !isnan(vkd_half_value(dtype, back));
    } else {
      wrong += back != i || bits_of((float)vkd_half_round(dtype, (double)x)) != bits_of(x);
    }
  }
  CHECK(wrong == 0, "%s: %d of 65536 values change on the way to float and back", vkd_dtype_name(dtype), wrong);
  CHECK(nans == (dtype == VKD_F16 ? 2 * 1023 : 2 * 127), "%s: %d NaNs", vkd_dtype_name(dtype), nans);
}

// The nearest value lies between x's two neighbours: no other one may be nearer, and of two equally near the even one
// is right.
static bool is_nearest(enum vkd_dtype dtype, float x, uint16_t got) {
  uint32_t infinity = dtype == VKD_F16 ? 0x7c00 : 0x7f80, magnitude = got & 0x7fffu;
  double step_up = magnitude < infinity ? (double)vkd_half_value(dtype, (uint16_t)(magnitude + 1)) : INFINITY;
  double at = vkd_half_value(dtype, (uint16_t)magnitude), size = fabs((double)x);
  double down = magnitude ? (double)vkd_half_value(dtype, (uint16_t)(magnitude - 1)) : -1;
  // infinity stands for the number that would follow the largest
  double next = dtype == VKD_F16 ? 65536 : 0x1p128;
  if (isinf(at)) at = next;
  if (isinf(step_up)) step_up = next;
  if (size >= next) return magnitude == infinity;
  bool odd = magnitude & 1;
  double up_gap = step_up - size, gap = fabs(at - size), down_gap = size - down;
  return (signbit(x) != 0) == (got >> 15) && gap <= down_gap && (magnitude == infinity || gap <= up_gap) &&
         !(odd && (gap == up_gap || gap == down_gap));
}

static void random_values(enum vkd_dtype dtype) {
  int wrong = 0, other = 0;
  for (int i = 0; i < 1000000; i++) {
    uint32_t bits = random_bits();
    // exponents about those of fp16, and ties
    if (i % 2) bits = (bits & 0x80ffffffu) | (0x32000000u + ((bits >> 24 & 0x1fu) << 24) % 0x17000000u);
    if (i % 5 == 0) bits &= ~0xfffu;
    float x;
    memcpy(&x, &bits, sizeof x);
    if (isnan(x)) continue;
    uint16_t half = vkd_half_bits(dtype, x);
    wrong += !is_nearest(dtype, x, half);
    other += bits_of((float)vkd_half_round(dtype, (double)x)) != bits_of(vkd_half_value(dtype, half));
  }
  CHECK(wrong == 0, "%s: %d of a million are not the nearest", vkd_dtype_name(dtype), wrong);
  CHECK(other == 0, "%s: %d differ between float and double", vkd_dtype_name(dtype), other);
}

int main(void) {
  static const enum vkd_dtype dtypes[] = {VKD_F16, VKD_BF16};
  for (int i = 0; i < 2; i++) {
    every_value(dtypes[i]);
    random_values(dtypes[i]);
    CHECK(isinf(vkd_half_value(dtypes[i], vkd_half_bits(dtypes[i], INFINITY))), "infinity");
    CHECK(isnan(vkd_half_value(dtypes[i], vkd_half_bits(dtypes[i], NAN))), "NaN");
  }
  CHECK(vkd_half_bits(VKD_F16, 65519.996f) == 0x7bff && vkd_half_bits(VKD_F16, 65520) == 0x7c00, "fp16 ends at 65504");
  CHECK(vkd_half_bits(VKD_F16, 0x1p-25f) == 0 && vkd_half_bits(VKD_F16, 0x1.000002p-25f) == 1, "fp16 begins at 2^-24");
  return check_done();
}
