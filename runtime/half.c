#include "vkd/half.h"

#include <math.h>
#include <string.h>

static uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static float float_of(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

// n >> shift, to nearest even; shift 1 .. 31
static uint32_t shift_even(uint32_t n, uint32_t shift) {
  return (n + (1u << (shift - 1)) - 1 + (n >> shift & 1)) >> shift;
}

static uint16_t f16_bits(uint32_t bits) {
  uint32_t sign = bits >> 16 & 0x8000, a = bits & 0x7fffffff;
  if (a > 0x7f800000) return (uint16_t)(sign | 0x7e00);
  if (a >= 0x47800000) return (uint16_t)(sign | 0x7c00); // 2^16 on; what rounds up to it carries into the exponent
  if (a >= 0x38800000) return (uint16_t)(sign | shift_even(a - 0x38000000, 13)); // normal from 2^-14 on
  uint32_t below = 126 - (a >> 23);                                              // in steps of 2^-24
  return (uint16_t)(below > 25 ? sign : sign | shift_even((a & 0x7fffff) | 0x800000, below));
}

uint16_t vkd_half_bits(enum vkd_dtype dtype, float x) {
  uint32_t bits = bits_of(x);
  if (dtype == VKD_F16) return f16_bits(bits);
  if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float vkd_half_value(enum vkd_dtype dtype, uint16_t half) {
  if (dtype != VKD_F16) return float_of((uint32_t)half << 16);
  uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 1023;
  if (exponent == 31) return float_of(sign | 0x7f800000 | fraction << 13);
  if (exponent) return float_of(sign | (exponent + 112) << 23 | fraction << 13);
  float x = (float)fraction * 0x1p-24f;
  return sign ? -x : x;
}

double vkd_half_round(enum vkd_dtype dtype, double x) {
  if (!isfinite(x) || x == 0) return x;
  int fraction = dtype == VKD_F16 ? 10 : 7, least = dtype == VKD_F16 ? -14 : -126;
  double largest = dtype == VKD_F16 ? 65504 : 0x1.fep127;
  int exponent = ilogb(x);
  double step = ldexp(1, (exponent > least ? exponent : least) - fraction), rounded = rint(x / step) * step;
  return fabs(rounded) > largest ? copysign(INFINITY, x) : rounded;
}
