// With h = dout (base + scale): dx = (h - mean(h) - xhat mean(h xhat)) / std.  One workgroup per row.
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
  REAL sum = REAL(0), dot_xhat = REAL(0);
  for (; c < p.cols; c += gl_WorkGroupSize.x) {
    REAL h = REF(p.dout).v[base + c] * (p.base + REF(p.scale).v[group + c]);
    sum += h;
    dot_xhat += h * ((REF(p.x).v[base + c] - stats.x) * stats.y);
  }
  float mean_h = wg_sum(hsum(sum)) / float(p.d), mean_hx = wg_sum(hsum(dot_xhat)) / float(p.d);
  c = gl_LocalInvocationID.x;
  if (c < p.cols) do {
      REAL h = REF(p.dout).v[base + c] * (p.base + REF(p.scale).v[group + c]);
      REAL xhat = (REF(p.x).v[base + c] - stats.x) * stats.y;
      REF(p.y).v[base + c] = (h - mean_h - xhat * mean_hx) * stats.y;
    } while ((c += gl_WorkGroupSize.x) < p.cols);
}
