// Sums over blocks of rows, per column, in a fixed order.  A workgroup takes TILE columns, its lanes / TILE rows at a time.
// TERM: 0 a; 1 a b; 2 layer norm's parameters (y: dout * xhat, y2: dout); 3 RMS norm's weight, rotary undone where d is given
#version 460
#include "common.glsl"
#include "real.glsl"
#include "push_reduce.h"
layout(push_constant, std430) uniform Push { col_sum_push p; };
layout(constant_id = 1) const uint TILE = 1;
layout(constant_id = 2) const uint ROTATE = 0;

shared REAL part[gl_WorkGroupSize.x];
#if TERM == 2
shared REAL part2[gl_WorkGroupSize.x];
#endif

#if TERM == 3
#include "rotary.glsl"
#endif

void main() {
  uint tiles = (p.cols + TILE - 1) / TILE, group = flat_group();
  uint tile = group % tiles;
  group /= tiles;
  uint block = group % p.blocks;
  group /= p.blocks;
  if (group >= p.groups) return;
  uint lane = gl_LocalInvocationID.x, steps = gl_WorkGroupSize.x / TILE; // rows at a time
  uint lane_row = lane / TILE, col = tile * TILE + lane % TILE;
  uint first = group * p.rows + block * p.per;
  uint end = group * p.rows + min(p.rows, (block + 1) * p.per), r = first + lane_row;

  REAL s = REAL(0), s2 = REAL(0);
  if (lane_row < steps && col < p.cols)
    for (; r < end; r += steps) {
      uint at = r * p.cols + col;
#if TERM == 0
      s += REF(p.a).v[at];
#elif TERM == 1
      s += REF(p.a).v[at] * REF(p.b).v[at];
#elif TERM == 2
      REAL dout = REF(p.b).v[at];
      s += dout * ((REF(p.a).v[at] - RefF(p.c).v[2 * r]) * RefF(p.c).v[2 * r + 1]);
      s2 += dout;
#else
      REAL dout = ROTATE != 0 ? rotated(p.b, p.d, at, r % p.modulus, col, p.head, -1.0) : REF(p.b).v[at];
      s += dout * REF(p.a).v[at] * RefF(p.c).v[r];
#endif
    }

  if (steps > 1) {
    uint left = steps;
    part[lane] = s;
#if TERM == 2
    part2[lane] = s2;
#endif
    barrier();
    do {
      uint half_up = (left + 1) / 2;
      if (lane_row + half_up < left) {
        part[lane] += part[lane + half_up * TILE];
#if TERM == 2
        part2[lane] += part2[lane + half_up * TILE];
#endif
      }
      left = half_up;
      barrier();
    } while (left > 1);
    s = part[lane];
#if TERM == 2
    s2 = part2[lane];
#endif
  }
  if (lane_row == 0 && col < p.cols) {
    uint at = (group * p.blocks + block) * p.cols + col;
    REF(p.y).v[at] = s;
#if TERM == 2
    REF(p.y2).v[at] = s2;
#endif
  }
}
