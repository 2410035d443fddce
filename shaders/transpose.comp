// y[c,r] = x[r,c], x [rows, cols]; a lane moves one element of each of 8 rows.
#version 460
#include "common.glsl"
#include "half.glsl"
#include "push_matmul.h"
layout(push_constant, std430) uniform Push { transpose_push p; };

void main() {
  uint col = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x, row0 = gl_WorkGroupID.y * 8;
  if (col >= p.cols) return;
  // bits alone are moved: 16-bit elements of any kind
  uint x[8];
  [[unroll]] for (int i = 0; i < 8; i++) x[i] = uint(RefBits(p.x).v[min(row0 + i, p.rows - 1) * p.cols + col]);
  [[unroll]] for (int i = 0; i < 8; i++) {
    if (row0 + i < p.rows) RefBits(p.y).v[col * p.rows + row0 + i] = Bits(x[i]);
  }
}
