// y = (x - mean) / sqrt(var + eps) * (base + scale) + shift.  One workgroup per row.
#version 460
#include "common.glsl"
#include "real.glsl"
#include "reduce.glsl"
#include "row_stats.glsl"
#include "push_norm.h"
layout(push_constant, std430) uniform Push { layernorm_push p; };

void main() {
  uint row = flat_group();
  if (row >= p.rows) return;
  uint base = row * p.cols, group = row / p.rows_per_group * p.cols, c = gl_LocalInvocationID.x;
  vec2 stats = mean_rstd(p.x, base, p.cols, p.d, p.eps);
  if (c < p.cols) do {
      REAL xhat = (REF(p.x).v[base + c] - stats.x) * stats.y;
      REF(p.y).v[base + c] = xhat * (p.base + REF(p.scale).v[group + c]) + REF(p.shift).v[group + c];
    } while ((c += gl_WorkGroupSize.x) < p.cols);
}
