// y = a + scale (b - a), a scale per channel; b to the bit where it is 1
#version 460
#include "common.glsl"
#include "push_sampling.h"
layout(push_constant, std430) uniform Push { guide_push p; };

void main() {
  uint i = flat_item();
  if (i >= p.n) return;
  float scale = RefF(p.scale).v[i / p.inner % p.channels];
  if (p.quads != 0) {
    vec4 a = RefF4(p.a).v[i], b = RefF4(p.b).v[i];
    RefF4(p.y).v[i] = scale == 1.0 ? b : a + scale * (b - a);
  } else {
    float a = RefF(p.a).v[i], b = RefF(p.b).v[i];
    RefF(p.y).v[i] = scale == 1.0 ? b : a + scale * (b - a);
  }
}
