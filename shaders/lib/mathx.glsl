// Elementary functions of our own, to about 2 ulp of fp32: Vulkan lets drivers be off by 3 + 2|x| ulp in exp, 2^-11 absolute in
// sin and cos, and more in tanh.
#ifndef VKD_MATHX_GLSL
#define VKD_MATHX_GLSL

// e^r - 1 for |r| <= ln(2)/2 by Taylor to r^7: r^8/8! is below 6e-9 there.
float expm1_near(float r) {
  float p = 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  return p * r * r + r;
}

// e^x, x clamped to -87 .. 88.  x = k ln 2 + r.  Adding 1.5 2^23 rounds to the integer k and leaves it in the lowest bits: drivers
// make of int(k) much more, since a float need not fit.
float exp_x(float x) {
  x = clamp(x, -87.0, 88.0);
  precise float shifted = x * 1.44269504 + 12582912.0;
  precise float k = shifted - 12582912.0;
  precise float r = x - k * 0.693359375; // 9 bits of ln 2: the product is exact
  r = r + k * 2.12194440e-4;             // 0.693359375 - ln 2
  return (expm1_near(r) + 1.0) * uintBitsToFloat((floatBitsToUint(shifted) + 127u) << 23);
}

// e^x - 1 to a few ulp, x clamped as above.
float expm1_x(float x) { return abs(x) < 0.3466 ? expm1_near(x) : exp_x(x) - 1.0; }

// 1 / (1 + e^-x) and, in `other`, 1 minus that, each to a relative error of a few ulp.
float sigmoid(float x, out float other) {
  float e = exp_x(-abs(x)), big = 1.0 / (1.0 + e), small = e * big;
  other = x < 0.0 ? big : small;
  return x < 0.0 ? small : big;
}

// log(1 + f) for 1 + f in [sqrt(1/2), sqrt(2)]: 2 atanh(s), s = f / (2 + f); the term left out is below 2e-9 of the sum.
float log1p_near(float f) {
  float s = f / (2.0 + f), z = s * s;
  return 2.0 * s * (1.0 + z * (1.0 / 3.0 + z * (1.0 / 5.0 + z * (1.0 / 7.0 + z * (1.0 / 9.0)))));
}

// log(x), x positive and not denormal.
float log_x(float x) {
  uint b = floatBitsToUint(x);
  int k = int(b >> 23) - 127;
  float m = uintBitsToFloat((b & 0x7FFFFFu) | 0x3F800000u); // [1, 2)
  if (m > 1.41421356) {
    m *= 0.5;
    k += 1;
  }
  return float(k) * 0.693147181 + log1p_near(m - 1.0);
}

// -log((bits + 0.5) 2^-32).  From 1/2 on it starts at the exact distance to 1, so that small results keep their digits.
float neg_log_uniform(uint bits) {
  bool upper = bits >= 0x80000000u;
  float u = (float(upper ? ~bits : bits) + 0.5) * 2.3283064365386963e-10; // upper: 1 - u
  if (upper) return u <= 0.2928932 ? -log1p_near(-u) : 0.693147181 - log1p_near(1.0 - 2.0 * u);
  return -log_x(u);
}

// (cos, sin) of 2 pi (bits + 0.5) 2^-32: the quarter turn is taken off in integers, Taylor on |a| <= pi/4 to 2e-9.
vec2 turn(uint bits) {
  uint quarter = (bits + 0x20000000u) >> 30;
  float a = (float(int(bits - (quarter << 30))) + 0.5) * 1.46291808e-9; // 2 pi 2^-32
  float z = a * a;
  float s = a * (1.0 + z * (-1.0 / 6.0 + z * (1.0 / 120.0 + z * (-1.0 / 5040.0 + z * (1.0 / 362880.0)))));
  float c = 1.0 + z * (-0.5 + z * (1.0 / 24.0 + z * (-1.0 / 720.0 + z * (1.0 / 40320.0 - z * (1.0 / 3628800.0)))));
  vec2 odd = (quarter & 1u) != 0 ? vec2(-s, c) : vec2(c, s);
  return (quarter & 2u) != 0 ? -odd : odd;
}
#endif
