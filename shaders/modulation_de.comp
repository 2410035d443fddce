// y[b, i d ..] = sum over j = i, i + chunks, .. of e[j,b,:] (here e is the gradient [k, batch, d]).  One workgroup per row (b,i).
#version 460
#include "common.glsl"
#include "push_norm.h"
layout(push_constant, std430) uniform Push { modulation_push p; };

void main() {
  uint row = flat_group(), c = gl_LocalInvocationID.x;
  if (row >= p.chunks * p.batch) return;
  uint b = row / p.chunks, i = row - b * p.chunks;
  if (c < p.d) do {
      float s = 0.0;
      uint j = i;
      do s += RefF(p.e).v[(j * p.batch + b) * p.d + c];
      while ((j += p.chunks) < p.k);
      RefF(p.y).v[row * p.d + c] = s;
    } while ((c += gl_WorkGroupSize.x) < p.d);
}
