// y = (x - mean) / sqrt(var + eps) * (base + scale) + shift, stats = (mean, 1 / sqrt(var + eps)).  One workgroup per row.
#version 460
#include "common.glsl"
#define ROUND_ID 5
#include "real.glsl"
#include "reduce.glsl"
#include "row.glsl"
#include "push_norm.h"
layout(push_constant, std430) uniform Push { layernorm_push p; };

void main() {
  uint row = flat_group();
  if (row >= p.rows) return;
  uint base = row * p.cols, group = row / p.rows_per_group * p.cols, round = 0;
  hold(p.x, base, p.cols, 0);
  vec2 stats = mean_rstd(p.x, base, p.cols, p.d, p.eps);
  if (p.cols > 0) do { // the `if`: see EACH_ITEM
      if (ROUNDS > 1) hold(p.x, base, p.cols, round);
      [[unroll]] for (uint i = 0; i < HOLD; i++) {
        uint c = item(round, i);
        if (in_row(c, p.cols))
          store_result(p.y, p.y16, base + c,
                       (held[i] - stats.x) * stats.y * (p.base + load(p.scale, group + c)) + load(p.shift, group + c));
      }
    } while (++round < ROUNDS);
  if (gl_LocalInvocationID.x == 0) {
    RefF(p.stats).v[2 * row] = stats.x;
    RefF(p.stats).v[2 * row + 1] = stats.y;
  }
}
