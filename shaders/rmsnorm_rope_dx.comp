// With h = rotary back(dout) * weight, r = 1/rms: dx = r h - x r^3 mean(x h).  One workgroup per row.
#version 460
#include "common.glsl"
#include "real.glsl"
#include "reduce.glsl"
#include "row_stats.glsl"
#include "rotary.glsl"
#include "push_norm.h"
layout(push_constant, std430) uniform Push { rms_push p; };

REAL weighted(uint base, uint c, uint position) {
  if (p.rotate != 0) return rotated(p.dout, p.rope, base + c, position, c, p.head, -1.0) * REF(p.weight).v[c];
  return REF(p.dout).v[base + c] * REF(p.weight).v[c];
}

void main() {
  uint row = flat_group();
  if (row >= p.rows) return;
  uint base = row * p.cols, position = row % p.positions, c = gl_LocalInvocationID.x;
  float r = rms_inverse(p.x, base, p.cols, p.d, p.eps);
  REAL sum = REAL(0);
  for (; c < p.cols; c += gl_WorkGroupSize.x) sum += REF(p.x).v[base + c] * weighted(base, c, position);
  float k = wg_sum(hsum(sum)) / float(p.d) * r * r;
  c = gl_LocalInvocationID.x;
  if (c < p.cols) do REF(p.y).v[base + c] = r * (weighted(base, c, position) - REF(p.x).v[base + c] * k);
    while ((c += gl_WorkGroupSize.x) < p.cols);
}
