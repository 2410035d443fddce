// What all attention kernels share.  q, k and v are floats or 16-bit (half.glsl), read by load4; the rest are floats, read by load4f.
#extension GL_EXT_spirv_intrinsics : require
#include "half.glsl"
#include "push_attention.h"
layout(push_constant, std430) uniform Push { attention_push p; };
layout(constant_id = 1) const uint HD = 64;   // elements of a head, even, at most 128
layout(constant_id = 2) const uint BLOCK = 4; // rows of the other side at a time
layout(constant_id = 3) const uint VEC4 = 0;  // HD is a multiple of 4 and operands begin at multiples of 16 bytes
const uint HD4 = (HD + 3) / 4;

// Where a workgroup is: a head of a batch, and the first of the `own` rows of `tokens` that are its own.
struct place {
  uint b, head, bh, first;
  bool inside;
};
place find(uint tokens, uint own) {
  uint blocks = (tokens + own - 1) / own, bh = flat_group() / blocks;
  return place(bh / p.heads, bh % p.heads, bh, flat_group() % blocks * own, bh / p.heads < p.batch);
}

uint row_index(uint b, uint token, uint tokens, uint head) { return ((b * tokens + token) * p.heads + head) * HD; }

// Elements 4i..4i+3 of the row at `base`, zero beyond HD; as they are stored, and as floats
Raw4 load_raw4(Addr r, uint base, uint i) {
  if (VEC4 != 0) return raw4(r, base / 4 + i);
  uint at = base + 4 * i;
  bool whole = 4 * i + 2 < HD;
#if HALF == 0
  Raw4 x = Raw4(raw(r, at), raw(r, at + 1), 0.0, 0.0);
  if (whole) x.zw = vec2(raw(r, at + 2), raw(r, at + 3));
#else
  Raw4 x = Raw4(raw(r, at) | raw(r, at + 1) << 16, 0);
  if (whole) x.y = raw(r, at + 2) | raw(r, at + 3) << 16;
#endif
  return x;
}
vec4 load4(Addr r, uint base, uint i) { return value4(load_raw4(r, base, i)); }
#if HALF == 0
#define load4f load4
#else
vec4 load4f(Addr r, uint base, uint i) {
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

void store4(Addr r, uint base, uint i, vec4 x) {
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

// SPIR-V's NMax: the larger of a maximum so far and a score, or the one that is a number. What becomes of NaN in max() is the driver's choice.
spirv_instruction(set = "GLSL.std.450", id = 80) float larger(float most, float x);
spirv_instruction(set = "GLSL.std.450", id = 80) vec4 larger(vec4 most, vec4 x);

float dot_add(vec4 a, vec4 b, float sum) { return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, fma(a.x, b.x, sum)))); }
