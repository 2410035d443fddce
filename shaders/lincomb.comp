// y[i] = sum over j of coef[j] * x[j][i]
#version 460
#include "common.glsl"
#include "push_elementwise.h"
layout(push_constant, std430) uniform Push { lincomb_push p; };

void main() {
  uint i = flat_item(), j = 1;
  if (i < p.n4) {
    vec4 s = RefF(p.coef).v[0] * RefF4(p.x[0]).v[i];
    if (p.count > 1) do s += RefF(p.coef).v[j] * RefF4(p.x[j]).v[i];
      while (++j < p.count);
    RefF4(p.y).v[i] = s;
    return;
  }
  i += 3 * p.n4;
  if (i >= p.n) return;
  float s = RefF(p.coef).v[0] * RefF(p.x[0]).v[i];
  if (p.count > 1) do s += RefF(p.coef).v[j] * RefF(p.x[j]).v[i];
    while (++j < p.count);
  RefF(p.y).v[i] = s;
}
