// With g = dout turned back by the rotary angles, h = g weight, r = 1 / rms(x): dx = r h - x r^3 mean(x h), and of the block's rows
// dweight = sum of g x r.  A workgroup takes NORM_BACK_ROWS rows, its lanes the columns.  Every element is read once where a lane
// has one item of a row at most (HELD), else once more from the cache.
#version 460
#include "common.glsl"
#include "push_norm.h"
#define ROWS NORM_BACK_ROWS
#define WG_SUMS ROWS
#define ROUND_ID 4
#include "real.glsl"
#include "reduce.glsl"
#include "rotary.glsl"
layout(push_constant, std430) uniform Push { rms_back_push p; };
layout(constant_id = 1) const uint HELD = 0;
layout(constant_id = 2) const uint PARAM = 1; // whether dweight is wanted
layout(constant_id = 3) const uint ROTATE = 0;

REAL turned_back(uint at, uint row, uint c) {
  if (ROTATE == 0) return load(p.dout, at);
  return rotated(p.dout, p.rope, at, row % p.positions, c, p.head, -1.0);
}

void main() {
  uint block = flat_group(), first = block * ROWS;
  if (first >= p.rows) return;
  uint row[ROWS];
  float rms[ROWS];
  [[unroll]] for (uint r = 0; r < ROWS; r++) { // rows that are not there are the last one again, and write it again
    row[r] = min(first + r, p.rows - 1);
    rms[r] = RefF(p.stats).v[row[r]];
  }

  REAL x[ROWS], g[ROWS], partial[ROWS];
  [[unroll]] for (uint r = 0; r < ROWS; r++) partial[r] = REAL(0);
  EACH_ITEM(c, p.cols)
    REAL w = load(p.weight, c);
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
      x[r] = load(p.x, row[r] * p.cols + c);
      g[r] = turned_back(row[r] * p.cols + c, row[r], c);
      partial[r] += x[r] * (g[r] * w);
    }
  END_EACH(c, p.cols)
  float k[ROWS];
  [[unroll]] for (uint r = 0; r < ROWS; r++) k[r] = hsum(partial[r]);
  wg_sums(k);
  [[unroll]] for (uint r = 0; r < ROWS; r++) k[r] *= rms[r] * rms[r] / float(p.d);

  EACH_ITEM(c, p.cols)
    REAL w = load(p.weight, c), dw = REAL(0);
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
      if (HELD == 0) {
        x[r] = load(p.x, row[r] * p.cols + c);
        g[r] = turned_back(row[r] * p.cols + c, row[r], c);
      }
      store_result(p.dx, p.dx16, row[r] * p.cols + c, rms[r] * (g[r] * w - x[r] * k[r]));
      if (PARAM != 0 && first + r < p.rows) dw += g[r] * x[r] * rms[r];
    }
    if (PARAM != 0) store(p.dweight, block * p.cols + c, dw);
  END_EACH(c, p.cols)
}
