// xt = (1 - sigma) x0 + sigma noise, target = noise - x0; one sigma per sample
#version 460
#include "common.glsl"
#include "push_elementwise.h"
layout(push_constant, std430) uniform Push { flow_mix_push p; };

void main() {
  uint i = flat_item();
  if (p.inner4 > 0) {
    if (i >= p.n / 4) return;
    float sigma = RefF(p.sigma).v[i / p.inner4];
    vec4 x0 = RefF4(p.x0).v[i], noise = RefF4(p.noise).v[i];
    RefF4(p.xt).v[i] = (1.0 - sigma) * x0 + sigma * noise;
    RefF4(p.target).v[i] = noise - x0;
    return;
  }
  if (i >= p.n) return;
  float sigma = RefF(p.sigma).v[i / p.inner];
  float x0 = RefF(p.x0).v[i], noise = RefF(p.noise).v[i];
  RefF(p.xt).v[i] = (1.0 - sigma) * x0 + sigma * noise;
  RefF(p.target).v[i] = noise - x0;
}
