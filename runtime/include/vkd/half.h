// 16-bit floats on the host.  dtype: VKD_F16 (1 sign, 5 exponent, 10 fraction bits) or VKD_BF16 (1, 8, 7).
#ifndef VKD_HALF_H
#define VKD_HALF_H

#include "vkd/graph.h"

// Rounded to nearest even, with subnormals; overflow gives infinity, NaN a quiet NaN.
uint16_t vkd_half_bits(enum vkd_dtype dtype, float x);
float vkd_half_value(enum vkd_dtype dtype, uint16_t bits); // exact
// The nearest 16-bit value of a double, as a double.
double vkd_half_round(enum vkd_dtype dtype, double x);

#endif
