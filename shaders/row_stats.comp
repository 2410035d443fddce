// Statistics of every row, for the sums over rows: y [rows, 2] = mean, 1/std, or with RMS y [rows] = 1/rms.
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
#ifdef RMS
  float r = rms_inverse(p.x, row * p.cols, p.cols, p.d, p.eps);
  if (gl_LocalInvocationID.x == 0) RefF(p.y).v[row] = r;
#else
  vec2 stats = mean_rstd(p.x, row * p.cols, p.cols, p.d, p.eps);
  if (gl_LocalInvocationID.x == 0) {
    RefF(p.y).v[2 * row] = stats.x;
    RefF(p.y).v[2 * row + 1] = stats.y;
  }
#endif
}
