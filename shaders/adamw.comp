// AdamW with clipping by global norm and EMA; hyper as enum vkd_hyper of vkd/ops.h.  A norm that is not finite skips the step.
// With TO_HALF the parameters are also stored in 16 bits.
#version 460
#include "common.glsl"
#if VEC == 8
#include "real.glsl"
layout(constant_id = 1) const uint SPAN = 1; // vectors of a workgroup
#endif
#include "push_elementwise.h"
#ifdef TO_HALF
#include "round.glsl"
#endif
layout(push_constant, std430) uniform Push { adamw_push p; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer RefU { uint v[]; };

// Order of enum vkd_hyper
#define LR RefF(p.hyper).v[0]
#define BETA1 RefF(p.hyper).v[1]
#define BETA2 RefF(p.hyper).v[2]
#define ONE_MINUS_BETA1 RefF(p.hyper).v[3]
#define ONE_MINUS_BETA2 RefF(p.hyper).v[4]
#define BIAS1 RefF(p.hyper).v[5]
#define BIAS2 RefF(p.hyper).v[6]
#define EPS RefF(p.hyper).v[7]
#define WEIGHT_DECAY RefF(p.hyper).v[8]
#define EMA RefF(p.hyper).v[9]
#define CLIP RefF(p.hyper).v[10]
#define GRAD_SCALE RefF(p.hyper).v[11]

float grad_factor() {
  float scale = GRAD_SCALE, clip = CLIP;
  if (clip == 0.0) return scale;
  float ratio = clip / (sqrt(RefF(p.norm2).v[0]) * scale + 1e-6);
  return ratio > 1.0 ? scale : scale * ratio;
}

// Elements `at` of type T, read by LOAD and written by STORE, the parameters in 16 bits by COPY
#define STEP(T, LOAD, STORE, COPY, at)                                                                                    \
  {                                                                                                                    \
    float lr = LR * p.lr_scale;                                                                                        \
    T g = LOAD(p.g, at) * grad_factor();                                                                               \
    T w = LOAD(p.p, at);                                                                                               \
    w -= lr * (WEIGHT_DECAY * p.decay) * w;                                                                            \
    T m = BETA1 * LOAD(p.m, at) + ONE_MINUS_BETA1 * g;                                                                 \
    T v = BETA2 * LOAD(p.v, at) + ONE_MINUS_BETA2 * (g * g);                                                           \
    w -= lr * (m * BIAS1) / (sqrt(v * BIAS2) + EPS);                                                                   \
    T ema = LOAD(p.ema, at);                                                                                           \
    STORE(p.m, at, m);                                                                                                 \
    STORE(p.v, at, v);                                                                                                 \
    STORE(p.p, at, w);                                                                                                 \
    COPY(at, w);                                                                                                       \
    STORE(p.ema, at, ema + (1.0 - EMA) * (w - ema));                                                                   \
  }
#define LOAD1(x, at) RefF(x).v[at]
#define STORE1(x, at, value) RefF(x).v[at] = value
#define LOAD4(x, at) RefF4(x).v[at]
#define STORE4(x, at, value) RefF4(x).v[at] = value

#ifdef TO_HALF
#define COPY1(at, value) store16(p.copy, at, value, p.copy_to)
#define COPY4(at, value) Ref16x4(p.copy).v[at] = rounded4(floatBitsToUint(value), p.copy_to)
#define COPY8(at, value) store16_eight(p.copy, at, value, p.copy_to)
#else
#define COPY1(at, value)
#define COPY4(at, value)
#define COPY8(at, value)
#endif

void main() {
  // by its bits: a compiler may take floats for finite
  if ((RefU(p.norm2).v[0] & 0x7F800000u) == 0x7F800000u) return;
#if VEC == 8
  uint i = flat_group() * SPAN;
  if ((i + SPAN) * 8 <= p.n) {
    [[unroll]] for (uint u = 0; u < SPAN; u++) STEP(float, load, store, COPY8, i + u)
    return;
  }
  for (i = i * 8 + gl_LocalInvocationID.x; i < p.n; i += 8) STEP(float, LOAD1, STORE1, COPY1, i)
#else
  uint i = flat_item();
  if (i < p.n4) {
    STEP(vec4, LOAD4, STORE4, COPY4, i)
    return;
  }
  i += 3 * p.n4;
  if (i < p.n) STEP(float, LOAD1, STORE1, COPY1, i)
#endif
}
