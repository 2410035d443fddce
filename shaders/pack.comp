// An operand of matmul_panels.comp as floats in panels of WIDTH: y [panels, steps, WIDTH] of x [k, count] (or, TRANSPOSED,
// x [count, k]), zero beyond count and k.  A lane writes four neighbours.
#version 460
#include "common.glsl"
#include "half.glsl"
#include "push_matmul.h"
layout(push_constant, std430) uniform Push { pack_push p; };
layout(constant_id = 1) const uint WIDTH = 16;
layout(constant_id = 2) const uint TRANSPOSED = 0;
layout(constant_id = 3) const uint VEC4 = 0; // four neighbours lie at one aligned address

void main() {
  uint i = flat_item(), quad = i % (WIDTH / 4), row = i / (WIDTH / 4); // row: panel * steps + step
  uint panel = row / p.steps, step = row % p.steps, first = panel * WIDTH + 4 * quad;
  if (panel * WIDTH >= p.count) return;
  vec4 x = vec4(0.0);
  if (VEC4 != 0) {
    if (first < p.count && step < p.k) x = operand4(p.x, (step * p.count + first) / 4);
  } else {
    uint z = min(step, p.k - 1);
    [[unroll]] for (uint j = 0; j < 4; j++) {
      uint c = min(first + j, p.count - 1);
      float v = operand(p.x, TRANSPOSED != 0 ? c * p.k + z : z * p.count + c);
      x[j] = first + j < p.count && step < p.k ? v : 0.0;
    }
  }
  RefF4(p.y).v[i] = x;
}
