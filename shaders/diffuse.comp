// xt = c0 x0 + c1 noise, target = c2 x0 + c3 noise; four coefficients per sample
#version 460
#include "common.glsl"
#include "push_elementwise.h"
layout(push_constant, std430) uniform Push { diffuse_push p; };

void main() {
  uint i = flat_item();
  if (p.inner4 > 0) {
    if (i >= p.n / 4) return;
    uint c = i / p.inner4 * 4;
    vec4 x0 = RefF4(p.x0).v[i], noise = RefF4(p.noise).v[i];
    RefF4(p.xt).v[i] = RefF(p.coef).v[c] * x0 + RefF(p.coef).v[c + 1] * noise;
    RefF4(p.target).v[i] = RefF(p.coef).v[c + 2] * x0 + RefF(p.coef).v[c + 3] * noise;
    return;
  }
  if (i >= p.n) return;
  uint c = i / p.inner * 4;
  float x0 = RefF(p.x0).v[i], noise = RefF(p.noise).v[i];
  RefF(p.xt).v[i] = RefF(p.coef).v[c] * x0 + RefF(p.coef).v[c + 1] * noise;
  RefF(p.target).v[i] = RefF(p.coef).v[c + 2] * x0 + RefF(p.coef).v[c + 3] * noise;
}
