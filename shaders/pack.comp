// An operand of matmul_panels.comp as floats in panels of WIDTH: y [panels, steps, WIDTH] of x [k, count] (or, TRANSPOSED,
// x [count, k]), zero beyond count and k.  A lane writes four neighbours; with EIGHTS a workgroup of 8 lanes moves the steps of
// a round, vector by vector.
#version 460
#include "common.glsl"
#include "half.glsl"
#if HALF == 0
#define VEC 8
#include "real.glsl"
#endif
#include "push_matmul.h"
layout(push_constant, std430) uniform Push { pack_push p; };
layout(constant_id = 1) const uint WIDTH = 16; // 8 or 16
layout(constant_id = 2) const uint TRANSPOSED = 0;
layout(constant_id = 3) const uint EIGHTS = 0; // x [k, count] of floats, whole vectors of eight and whole rounds of steps

#if HALF == 0
void move_round() {
  uint panels = (p.count + WIDTH - 1) / WIDTH, rounds = p.steps / PANEL_STEPS;
  uint panel = flat_group() / rounds, step = flat_group() % rounds * PANEL_STEPS;
  if (panel >= panels) return;
  [[unroll]] for (uint h = 0; h < WIDTH / 8; h++) {
    bool inside = panel * WIDTH + 8 * h < p.count;
    [[unroll]] for (uint s = 0; s < PANEL_STEPS; s++) {
      float v = load(p.x, (step + s) * (p.count / 8) + (inside ? panel * (WIDTH / 8) + h : 0));
      store(p.y, (panel * p.steps + step + s) * (WIDTH / 8) + h, inside ? v : 0.0);
    }
  }
}
#endif

void move_four() {
  uint i = flat_item(), quad = i % (WIDTH / 4), row = i / (WIDTH / 4); // row: panel * steps + step
  uint panel = row / p.steps, step = row % p.steps, first = panel * WIDTH + 4 * quad, z = min(step, p.k - 1);
  if (panel * WIDTH >= p.count) return;
  vec4 x;
  [[unroll]] for (uint j = 0; j < 4; j++) {
    uint c = min(first + j, p.count - 1);
    float v = operand(p.x, TRANSPOSED != 0 ? c * p.k + z : z * p.count + c);
    x[j] = first + j < p.count && step < p.k ? v : 0.0;
  }
  RefF4(p.y).v[i] = x;
}

void main() {
#if HALF == 0
  if (EIGHTS != 0) {
    move_round();
    return;
  }
#endif
  move_four();
}
