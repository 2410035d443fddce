// y[k,:] = sum over r with index[r] = k of table[r,:] (here table is the gradient [rows, d]), in the order of r.  One workgroup per k.
#version 460
#include "common.glsl"
#include "push_norm.h"
layout(push_constant, std430) uniform Push { embed_push p; };

void main() {
  uint k = flat_group(), c = gl_LocalInvocationID.x;
  if (k >= p.entries) return;
  if (c < p.d) do {
      float s = 0.0;
      uint r = 0;
      do {
        uint to = uint(RefI(p.row_index).v[r]);
        if ((to < p.entries ? to : 0) == k) s += RefF(p.table).v[r * p.d + c];
      } while (++r < p.rows);
      RefF(p.y).v[k * p.d + c] = s;
    } while ((c += gl_WorkGroupSize.x) < p.d);
}
