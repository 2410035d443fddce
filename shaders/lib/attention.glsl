// What the attention kernels share.  One lane serves one row (a query, or a key in attention_dkv.comp), kept in registers;
// the rows of the other side are read by all lanes at one address, BLOCK at a time, in a fixed order.  q, k and v are floats or
// 16-bit (half.glsl), read by load4 and load_own; the rest are floats.
#extension GL_KHR_shader_subgroup_basic : require
#include "half.glsl"
#include "push_attention.h"
layout(push_constant, std430) uniform Push { attention_push p; };
layout(constant_id = 1) const int HD = 64;   // elements of a head, even, at most 128
layout(constant_id = 2) const int BLOCK = 4; // rows of the other side at a time
layout(constant_id = 3) const uint UNIFORM = 0;
layout(constant_id = 4) const uint VEC4 = 0; // HD is a multiple of 4 and operands begin at multiples of 16 bytes
const int HD4 = (HD + 3) / 4;

uint row_index(uint b, uint token, uint tokens, uint head) { return ((b * tokens + token) * p.heads + head) * HD; }

// Elements 4i..4i+3 of the row at `base`, zero beyond HD
vec4 load4(Addr r, uint base, int i) {
  if (VEC4 != 0) return operand4(r, base / 4 + i);
  uint at = base + 4 * i;
  vec4 x = vec4(operand(r, at), operand(r, at + 1), 0.0, 0.0);
  if (4 * i + 2 < HD) {
    x.z = operand(r, at + 2);
    x.w = operand(r, at + 3);
  }
  return x;
}
#if HALF == 0
#define load4f load4
#else
vec4 load4f(Addr r, uint base, int i) {
  if (VEC4 != 0) return RefF4(r).v[base / 4 + i];
  uint at = base + 4 * i;
  vec4 x = vec4(RefF(r).v[at], RefF(r).v[at + 1], 0.0, 0.0);
  if (4 * i + 2 < HD) {
    x.z = RefF(r).v[at + 2];
    x.w = RefF(r).v[at + 3];
  }
  return x;
}
#endif

// Elements 4i.. of this lane's row, token first + lane.  UNIFORM: a workgroup is one 8-lane subgroup on a CPU, where eight
// loads at one address and selects compile several times faster than a load from per-lane addresses.
#define LOAD_OWN(name, load)                                                                                           \
  vec4 name(Addr r, uint b, uint first, uint tokens, uint head, int i) {                                               \
    if (UNIFORM == 0) return load(r, row_index(b, min(first + gl_LocalInvocationID.x, tokens - 1), tokens, head), i);  \
    vec4 x = load(r, row_index(b, first, tokens, head), i);                                                            \
    [[unroll]] for (uint lane = 1; lane < 8; lane++) {                                                                 \
      vec4 y = load(r, row_index(b, min(first + lane, tokens - 1), tokens, head), i);                                  \
      x = gl_SubgroupInvocationID == lane ? y : x;                                                                     \
    }                                                                                                                  \
    return x;                                                                                                          \
  }
LOAD_OWN(load_own, load4)
LOAD_OWN(load_own_f, load4f)

void store4(Addr r, uint base, int i, vec4 x) {
  if (VEC4 != 0) {
    RefF4(r).v[base / 4 + i] = x;
    return;
  }
  uint at = base + 4 * i;
  RefF(r).v[at] = x.x;
  RefF(r).v[at + 1] = x.y;
  if (4 * i + 2 < HD) {
    RefF(r).v[at + 2] = x.z;
    RefF(r).v[at + 3] = x.w;
  }
}

float dot_add(vec4 a, vec4 b, float sum) { return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, fma(a.x, b.x, sum)))); }
