// AdamW with clipping by global norm and EMA; hyper as enum vkd_hyper of vkd/ops.h.  A norm that is not finite skips the step.
#version 460
#include "common.glsl"
#include "push_elementwise.h"
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

#define STEP(T, REFT, at)                                                                                              \
  {                                                                                                                    \
    float lr = LR * p.lr_scale;                                                                                        \
    T g = REFT(p.g).v[at] * grad_factor();                                                                             \
    T w = REFT(p.p).v[at];                                                                                             \
    w -= lr * (WEIGHT_DECAY * p.decay) * w;                                                                            \
    T m = BETA1 * REFT(p.m).v[at] + ONE_MINUS_BETA1 * g;                                                               \
    T v = BETA2 * REFT(p.v).v[at] + ONE_MINUS_BETA2 * (g * g);                                                         \
    w -= lr * (m * BIAS1) / (sqrt(v * BIAS2) + EPS);                                                                   \
    REFT(p.m).v[at] = m;                                                                                               \
    REFT(p.v).v[at] = v;                                                                                               \
    REFT(p.p).v[at] = w;                                                                                               \
    T ema = REFT(p.ema).v[at];                                                                                         \
    REFT(p.ema).v[at] = ema + (1.0 - EMA) * (w - ema);                                                                 \
  }

void main() {
  uint i = flat_item();
  // by its bits: a compiler may take floats for finite
  if ((RefU(p.norm2).v[0] & 0x7F800000u) == 0x7F800000u) return;
  if (i < p.n4) {
    STEP(vec4, RefF4, i)
    return;
  }
  i += 3 * p.n4;
  if (i < p.n) STEP(float, RefF, i)
}
