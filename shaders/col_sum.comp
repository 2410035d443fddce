// Sums over blocks of rows, per column, in a fixed order: of a, or of a b (PRODUCT).
#version 460
#include "common.glsl"
#include "real.glsl"
#include "push_reduce.h"
layout(push_constant, std430) uniform Push { col_sum_push p; };
layout(constant_id = 1) const uint TILE = 1; // columns of a workgroup

REAL term(uint at) {
#ifdef PRODUCT
  return load(p.a, at) * load(p.b, at);
#else
  return load(p.a, at);
#endif
}

#if VEC == 8
// All lanes take every column of the tile.  The last tile may have columns again that another one sums too.
void sum_tile(uint tile, uint first, uint end, uint to) {
  uint col = min(tile * TILE, p.cols - TILE), r = first;
  float s[TILE];
  [[unroll]] for (uint i = 0; i < TILE; i++) s[i] = 0.0;
  if (r + 8 <= end) do { // the `if`: see EACH_ITEM of real.glsl
      [[unroll]] for (uint i = 0; i < TILE; i++) {
        float sum = term(r * p.cols + col + i);
        [[unroll]] for (uint k = 1; k < 8; k++) sum += term((r + k) * p.cols + col + i);
        s[i] += sum;
      }
    } while ((r += 8) + 8 <= end);
  if (r < end) do {
      [[unroll]] for (uint i = 0; i < TILE; i++) s[i] += term(r * p.cols + col + i);
    } while (++r < end);
  [[unroll]] for (uint i = 0; i < TILE; i++) store(p.y, to + col + i, s[i]);
}
#else
shared REAL part[gl_WorkGroupSize.x];

// A lane takes one column and every `steps`th row, four of them at a time.
void sum_tile(uint tile, uint first, uint end, uint to) {
  uint lane = gl_LocalInvocationID.x, steps = gl_WorkGroupSize.x / TILE;
  uint lane_row = lane / TILE, col = tile * TILE + lane % TILE, r = first + lane_row, step = steps * p.cols;
  REAL s = REAL(0);
  if (lane_row < steps && col < p.cols) {
    REAL more[3] = REAL[](REAL(0), REAL(0), REAL(0));
    for (; r + 3 * steps < end; r += 4 * steps) {
      uint at = r * p.cols + col;
      s += term(at);
      [[unroll]] for (uint i = 0; i < 3; i++) more[i] += term(at + (i + 1) * step);
    }
    for (; r < end; r += steps) s += term(r * p.cols + col);
    s = (s + more[0]) + (more[1] + more[2]);
  }
  if (steps > 1) {
    uint left = steps;
    part[lane] = s;
    barrier();
    do {
      uint half_up = (left + 1) / 2;
      if (lane_row + half_up < left) {
        s += part[lane + half_up * TILE];
        part[lane] = s;
      }
      left = half_up;
      barrier();
    } while (left > 1);
  }
  if (lane_row == 0 && col < p.cols) store(p.y, to + col, s);
}
#endif

void main() {
  uint tiles = (p.cols + TILE - 1) / TILE, group = flat_group();
  uint tile = group % tiles;
  group /= tiles;
  uint block = group % p.blocks;
  group /= p.blocks;
  if (group >= p.groups) return;
  uint begin = group * p.rows + block * p.per, end = group * p.rows + min(p.rows, (block + 1) * p.per);
  sum_tile(tile, begin, end, (group * p.blocks + block) * p.cols);
}
