// y = z + x * s or y = x * s; s is one row for rows_per_group rows.  One workgroup per row, or (VEC 8) per SPAN vectors of it.  With
// TO_HALF y also in 16 bits, or in these alone.
#version 460
#include "common.glsl"
#if VEC == 8
#include "real.glsl"
#endif
#include "push_elementwise.h"
#ifdef TO_HALF
#include "round.glsl"
layout(constant_id = 1) const uint ROUND = ROUND_F16;
#else
const uint ROUND = 0;
#endif
layout(push_constant, std430) uniform Push { row_broadcast_push p; };

#if VEC == 8
layout(constant_id = 1) const uint SPAN = 8; // divides the d / 8 vectors of a row
void main() {
  uint spans = p.d / 8 / SPAN, row = flat_group() / spans, c = flat_group() % spans * SPAN;
  if (row >= p.rows) return;
  uint at = row * (p.d / 8) + c, sat = row / p.rows_per_group * (p.d / 8) + c;
  [[unroll]] for (uint u = 0; u < SPAN; u++) {
    float v = load(p.x, at + u) * load(p.s, sat + u);
#ifdef ADD
    v += load(p.z, at + u);
#endif
    store(p.y, at + u, v);
  }
}
#else
void main() {
  uint row = flat_group(), c = gl_LocalInvocationID.x;
  if (row >= p.rows) return;
  uint group = row / p.rows_per_group;
  if (p.d4 > 0) {
    uint at = row * p.d4, sat = group * p.d4;
    if (c < p.d4) do {
        vec4 v = RefF4(p.x).v[at + c] * RefF4(p.s).v[sat + c];
#ifdef ADD
        v += RefF4(p.z).v[at + c];
#endif
        if (ROUND < ROUND_ALONE) RefF4(p.y).v[at + c] = v;
#ifdef TO_HALF
        Ref16x4(p.y16).v[at + c] = rounded4(floatBitsToUint(v), ROUND % ROUND_ALONE);
#endif
      } while ((c += gl_WorkGroupSize.x) < p.d4);
    return;
  }
  uint at = row * p.d, sat = group * p.d;
  if (c < p.d) do {
      float v = RefF(p.x).v[at + c] * RefF(p.s).v[sat + c];
#ifdef ADD
      v += RefF(p.z).v[at + c];
#endif
      if (ROUND < ROUND_ALONE) RefF(p.y).v[at + c] = v;
#ifdef TO_HALF
      store16(p.y16, at + c, v, ROUND % ROUND_ALONE);
#endif
    } while ((c += gl_WorkGroupSize.x) < p.d);
}
#endif
