// y = rotary(x / rms(x) * weight).  One workgroup per row.
#version 460
#include "common.glsl"
#include "real.glsl"
#include "reduce.glsl"
#include "row_stats.glsl"
#include "rotary.glsl"
#include "push_norm.h"
layout(push_constant, std430) uniform Push { rms_push p; };

void main() {
  uint row = flat_group();
  if (row >= p.rows) return;
  uint base = row * p.cols, position = row % p.positions, c = gl_LocalInvocationID.x;
  float r = rms_inverse(p.x, base, p.cols, p.d, p.eps);
  if (c < p.cols) do {
      REAL v = REF(p.x).v[base + c] * r * REF(p.weight).v[c];
      if (p.rotate != 0) {
#if VEC == 4
        v = turn_pairs(v, rotary_at(p.rope, position, c, p.head), 1.0);
#else
        uint o = c ^ 1u;
        v = turn_one(v, RefF(p.x).v[base + o] * r * RefF(p.weight).v[o], rotary_at(p.rope, position, c, p.head), c, 1.0);
#endif
      }
      REF(p.y).v[base + c] = v;
    } while ((c += gl_WorkGroupSize.x) < p.cols);
}
