// out[j,b,:] = e[b, (j mod chunks) d ..] + table[j,:].  One workgroup per row (j,b).
#version 460
#include "common.glsl"
#include "push_norm.h"
layout(push_constant, std430) uniform Push { modulation_push p; };

void main() {
  uint row = flat_group(), c = gl_LocalInvocationID.x;
  if (row >= p.k * p.batch) return;
  uint j = row / p.batch, b = row - j * p.batch;
  uint from = (b * p.chunks + j % p.chunks) * p.d;
  if (c < p.d) do RefF(p.y).v[row * p.d + c] = RefF(p.e).v[from + c] + RefF(p.table).v[j * p.d + c];
    while ((c += gl_WorkGroupSize.x) < p.d);
}
