// y = rotary(x / rms(x) * weight), stats = 1 / rms(x).  One workgroup per row.
#version 460
#include "common.glsl"
#define ROUND_ID 5
#include "real.glsl"
#include "reduce.glsl"
#include "row.glsl"
#include "rotary.glsl"
#include "push_norm.h"
layout(push_constant, std430) uniform Push { rms_push p; };
layout(constant_id = 4) const uint ROTATE = 0;

void main() {
  uint row = flat_group();
  if (row >= p.rows) return;
  uint base = row * p.cols, position = row % p.positions, round = 0;
  hold(p.x, base, p.cols, 0);
  float r = rms_inverse(p.x, base, p.cols, p.d, p.eps);
  if (p.cols > 0) do { // the `if`: see EACH_ITEM
      if (ROUNDS > 1) hold(p.x, base, p.cols, round);
      [[unroll]] for (uint i = 0; i < HOLD; i++) {
        uint c = item(round, i);
        if (in_row(c, p.cols)) {
          REAL v = held[i] * r * load(p.weight, c);
#if VEC == 1
          uint o = c ^ 1u;
          if (ROTATE != 0)
            v = turn_one(v, load(p.x, base + o) * r * load(p.weight, o), rotary_at(p.rope, position, c, p.head), c, 1.0);
#else
          if (ROTATE != 0) v = turn_pairs(v, rotary_at(p.rope, position, c, p.head), 1.0);
#endif
          store_result(p.y, p.y16, base + c, v);
        }
      }
    } while (++round < ROUNDS);
  if (gl_LocalInvocationID.x == 0) RefF(p.stats).v[row] = r;
}
