// y = k (a - b) * s[0]
#version 460
#include "common.glsl"
#if VEC == 8
#include "real.glsl"
#endif
#include "push_elementwise.h"
layout(push_constant, std430) uniform Push { mse_dx_push p; };

#if VEC == 8
layout(constant_id = 1) const uint SPAN = 8; // vectors of a workgroup
void main() {
  uint i = flat_group() * SPAN;
  float k = p.k * RefF(p.s).v[0];
  if ((i + SPAN) * 8 <= p.n) {
    [[unroll]] for (uint u = 0; u < SPAN; u++) store(p.y, i + u, k * (load(p.a, i + u) - load(p.b, i + u)));
    return;
  }
  for (i = i * 8 + gl_LocalInvocationID.x; i < p.n; i += 8) RefF(p.y).v[i] = k * (RefF(p.a).v[i] - RefF(p.b).v[i]);
}
#else
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
#endif
