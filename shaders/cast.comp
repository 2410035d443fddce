// y[i] = x[i] rounded to fp16 or bf16 (HALF 1, 2), to nearest even; with WIDEN the way back.
#version 460
#include "common.glsl"
#include "half.glsl"
#include "round.glsl"
#include "push_elementwise.h"
layout(push_constant, std430) uniform Push { map_push p; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer RefU { uint v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer RefU4 { uvec4 v[]; };

void main() {
  uint i = flat_item();
  if (i < p.n4) {
#ifdef WIDEN
    RefF4(p.y).v[i] = operand4(p.a, i);
#else
    Ref16x4(p.y).v[i] = rounded4(RefU4(p.a).v[i], HALF);
#endif
    return;
  }
  i += 3 * p.n4;
  if (i >= p.n) return;
#ifdef WIDEN
  RefF(p.y).v[i] = operand(p.a, i);
#else
  RefBits(p.y).v[i] = Bits(rounded(RefU(p.a).v[i], HALF));
#endif
}
