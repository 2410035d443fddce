// y[r,:] = table[index[r],:]; an index out of range reads row 0.  One workgroup per row.
#version 460
#include "common.glsl"
#include "push_norm.h"
layout(push_constant, std430) uniform Push { embed_push p; };

void main() {
  uint row = flat_group(), c = gl_LocalInvocationID.x;
  if (row >= p.rows) return;
  uint from = uint(RefI(p.row_index).v[row]);
  from = from < p.entries ? from : 0;
  if (c < p.d) do RefF(p.y).v[row * p.d + c] = RefF(p.table).v[from * p.d + c];
    while ((c += gl_WorkGroupSize.x) < p.d);
}
