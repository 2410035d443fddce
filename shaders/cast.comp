// y[i] = x[i] rounded to fp16 or bf16 (HALF 1, 2), to nearest even; with WIDEN the way back.  Rounding is done in integers, since
// Vulkan leaves the direction of a conversion, and what becomes of subnormals, to the driver.
#version 460
#include "common.glsl"
#include "half.glsl"
#include "push_elementwise.h"
layout(push_constant, std430) uniform Push { map_push p; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer RefU { uint v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer RefU4 { uvec4 v[]; };

// n >> shift, to nearest even; shift 1 .. 31
uint shift_even(uint n, uint shift) { return (n + (1u << (shift - 1u)) - 1u + (n >> shift & 1u)) >> shift; }

#if HALF == 1
uint rounded(uint bits) {
  uint sign = bits >> 16 & 0x8000u, a = bits & 0x7FFFFFFFu;
  uint normal = shift_even(a - 0x38000000u, 13);          // a carry goes into the exponent, up to infinity
  uint below = min(126u - min(a >> 23, 125u), 26u);       // subnormal, in steps of 2^-24
  uint small = shift_even((a & 0x7FFFFFu) | 0x800000u, below);
  uint h = a >= 0x38800000u ? normal : below > 25u ? 0u : small;
  h = a >= 0x47800000u ? 0x7C00u : h;
  return sign | (a > 0x7F800000u ? 0x7E00u : h);
}
#else
uint rounded(uint bits) {
  return (bits & 0x7FFFFFFFu) > 0x7F800000u ? bits >> 16 | 0x40u : (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16;
}
#endif

void main() {
  uint i = flat_item();
  if (i < p.n4) {
#ifdef WIDEN
    RefF4(p.y).v[i] = operand4(p.a, i);
#else
    uvec4 x = RefU4(p.a).v[i];
    RefU2(p.y).v[i] = uvec2(rounded(x.x) | rounded(x.y) << 16, rounded(x.z) | rounded(x.w) << 16);
#endif
    return;
  }
  i += 3 * p.n4;
  if (i >= p.n) return;
#ifdef WIDEN
  RefF(p.y).v[i] = operand(p.a, i);
#else
  RefBits(p.y).v[i] = Bits(rounded(RefU(p.a).v[i]));
#endif
}
