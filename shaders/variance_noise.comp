// y = z exp(l / 2), l from range[0] at v = -1 to range[1] at v = 1
#version 460
#include "common.glsl"
#include "mathx.glsl"
#include "push_sampling.h"
layout(push_constant, std430) uniform Push { variance_noise_push p; };

void main() {
  uint i = flat_item();
  if (i >= p.n) return;
  float f = 0.5 * (RefF(p.v).v[i] + 1.0);
  RefF(p.y).v[i] = RefF(p.z).v[i] * exp_x(0.5 * ((1.0 - f) * RefF(p.range).v[0] + f * RefF(p.range).v[1]));
}
