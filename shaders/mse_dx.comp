// y = k (a - b) * s[0]
#version 460
#include "common.glsl"
#include "push_elementwise.h"
layout(push_constant, std430) uniform Push { mse_dx_push p; };

void main() {
  uint i = flat_item();
  float k = p.k * RefF(p.s).v[0];
  if (i < p.n4) {
    RefF4(p.y).v[i] = k * (RefF4(p.a).v[i] - RefF4(p.b).v[i]);
    return;
  }
  i += 3 * p.n4;
  if (i < p.n) RefF(p.y).v[i] = k * (RefF(p.a).v[i] - RefF(p.b).v[i]);
}
