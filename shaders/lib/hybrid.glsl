// An element of the hybrid loss (vkd/ops.h) and its gradient, without the differences of near equals that the textbook
// form has: bits of a Gaussian divergence of 1e-12, tails of the discretised Gaussian.
#ifndef VKD_HYBRID_GLSL
#define VKD_HYBRID_GLSL
#include "mathx.glsl"
#include "push_elementwise.h"
layout(push_constant, std430) uniform Push { hybrid_push p; };

const float INV_LN2 = 1.44269504, LOG_FLOOR = -27.6310211; // log 1e-12
const float ROOT_8_PI = 1.59576912;                         // 2 sqrt(2/pi): (1 + tanh u) / 2 = sigmoid(2 u)
const float CUBE = 0.044715;

struct element {
  float e, d;                 // eps - noise; log of the variance over the posterior's
  float log_ratio, scale, bin;
  float x0;
};

element load(uint sample_index, uint i) {
  element x;
  uint at = sample_index * p.inner + i, eps = at + sample_index * p.inner, c = sample_index * 3;
  x.log_ratio = RefF(p.coef).v[c];
  x.scale = RefF(p.coef).v[c + 1];
  x.bin = RefF(p.coef).v[c + 2];
  x.x0 = RefF(p.x0).v[at];
  bool given = p.y != uvec2(0);
  x.e = (given ? RefF(p.y).v[eps] : 0.0) - RefF(p.noise).v[at];
  x.d = ((given ? RefF(p.y).v[eps + p.inner] : 0.0) + 1.0) * 0.5 * x.log_ratio;
  return x;
}

// d + e^-d - 1
float divergence(float d) {
  if (abs(d) > 1.0) return d + expm1_x(-d);
  float q = 1.0 / 3628800.0; // Taylor to d^10: d^11/11! is below 7e-8 of the sum
  q = q * d - 1.0 / 362880.0;
  q = q * d + 1.0 / 40320.0;
  q = q * d - 1.0 / 5040.0;
  q = q * d + 1.0 / 720.0;
  q = q * d - 1.0 / 120.0;
  q = q * d + 1.0 / 24.0;
  q = q * d - 1.0 / 6.0;
  return (q * d + 0.5) * d * d;
}

// log(1 + y), 0 <= y <= 1
float log1p_x(float y) { return y < 0.41421356 ? log1p_near(y) : log_x(1.0 + y); }
float log_sigmoid(float x) { return min(x, 0.0) - log1p_x(exp_x(-abs(x))); }
// log(1 - e^-w), w > 0
float log_one_minus_exp(float w) { return w > 1.3 ? log1p_near(-exp_x(-w)) : log_x(-expm1_x(-w)); }

// The discretised Gaussian: edges, their arguments of the sigmoid, the difference of these.
struct bins {
  float upper, lower, a, b, w;
};
bins bins_of(element x) {
  float s = exp_x(-0.5 * x.d);
  bins r;
  r.upper = (x.scale * x.e + x.bin) * s;
  r.lower = (x.scale * x.e - x.bin) * s;
  r.a = ROOT_8_PI * (r.upper + CUBE * r.upper * r.upper * r.upper);
  r.b = ROOT_8_PI * (r.lower + CUBE * r.lower * r.lower * r.lower);
  float squares = r.upper * r.upper + r.upper * r.lower + r.lower * r.lower;
  r.w = ROOT_8_PI * 2.0 * x.bin * s * (1.0 + CUBE * squares);
  return r;
}
// sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - e^-(a-b))
float log_mass(element x, bins r) {
  if (x.x0 < -0.999) return log_sigmoid(r.a);
  if (x.x0 > 0.999) return log_sigmoid(-r.b);
  return log_sigmoid(r.a) + log_sigmoid(-r.b) + log_one_minus_exp(r.w);
}

float vb_bits(element x) {
  if (x.bin > 0.0) return -INV_LN2 * max(log_mass(x, bins_of(x)), LOG_FLOOR);
  float z = x.scale * x.e;
  return INV_LN2 * 0.5 * (divergence(x.d) + z * z * exp_x(-x.d));
}

// d sigmoid's argument / d log of the edge
float edge_rate(float edge) { return ROOT_8_PI * edge * (1.0 + 3.0 * CUBE * edge * edge); }

// d vb_bits / d v
float vb_bits_dv(element x) {
  float slope; // of d vb / d d, in nats
  if (x.bin > 0.0) {
    bins r = bins_of(x);
    float not_a, not_b, a = sigmoid(r.a, not_a), b = sigmoid(r.b, not_b);
    float up = edge_rate(r.upper), low = edge_rate(r.lower);
    if (x.x0 < -0.999)
      slope = 0.5 * not_a * up;
    else if (x.x0 > 0.999)
      slope = -0.5 * b * low;
    else
      slope = 0.5 * (not_a / not_b * up - b / a * low) / -expm1_x(-r.w);
    if (!(log_mass(x, r) >= LOG_FLOOR)) slope = 0.0;
  } else {
    float z = x.scale * x.e;
    slope = -0.5 * (expm1_x(-x.d) + z * z * exp_x(-x.d));
  }
  return INV_LN2 * slope * 0.5 * x.log_ratio;
}
#endif
