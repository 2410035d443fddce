// With h = dout (base + scale) and xhat = (x - mean) / std: dx = (h - mean(h) - xhat mean(h xhat)) / std, and of the block's rows
// dscale = sum of dout xhat, dshift = sum of dout.  A workgroup takes NORM_BACK_ROWS rows of a group, its lanes the columns.  Every
// element is read once where a lane has one item of a row at most (HELD), else once more from the cache.
#version 460
#include "common.glsl"
#include "push_norm.h"
#define ROWS NORM_BACK_ROWS
#define WG_SUMS (2 * ROWS)
#include "real.glsl"
#include "reduce.glsl"
layout(push_constant, std430) uniform Push { layernorm_back_push p; };
layout(constant_id = 1) const uint HELD = 0;
layout(constant_id = 2) const uint PARAM = 1; // whether dscale and dshift are wanted

void main() {
  uint group = flat_group(), block = group % p.blocks, first = block * ROWS;
  group /= p.blocks;
  if (group >= p.groups) return;
  uint at[ROWS];
  vec2 stats[ROWS];
  [[unroll]] for (uint r = 0; r < ROWS; r++) { // rows that are not there are the last one again, and write it again
    uint row = group * p.rows + min(first + r, p.rows - 1);
    at[r] = row * p.cols;
    stats[r] = vec2(RefF(p.stats).v[2 * row], RefF(p.stats).v[2 * row + 1]);
  }

  REAL dout[ROWS], xhat[ROWS], partial[2 * ROWS];
  [[unroll]] for (uint r = 0; r < 2 * ROWS; r++) partial[r] = REAL(0);
  EACH_ITEM(c, p.cols)
    REAL k = p.base + load(p.scale, group * p.cols + c);
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
      dout[r] = load(p.dout, at[r] + c);
      xhat[r] = (load(p.x, at[r] + c) - stats[r].x) * stats[r].y;
      partial[r] += dout[r] * k;
      partial[ROWS + r] += dout[r] * k * xhat[r];
    }
  END_EACH(c, p.cols)
  float mean[2 * ROWS];
  [[unroll]] for (uint r = 0; r < 2 * ROWS; r++) mean[r] = hsum(partial[r]) / float(p.d);
  wg_sums(mean);

  EACH_ITEM(c, p.cols)
    REAL k = p.base + load(p.scale, group * p.cols + c), dscale = REAL(0), dshift = REAL(0);
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
      if (HELD == 0) {
        dout[r] = load(p.dout, at[r] + c);
        xhat[r] = (load(p.x, at[r] + c) - stats[r].x) * stats[r].y;
      }
      store(p.dx, at[r] + c, (dout[r] * k - mean[r] - xhat[r] * mean[ROWS + r]) * stats[r].y);
      if (PARAM != 0 && first + r < p.rows) {
        dscale += dout[r] * xhat[r];
        dshift += dout[r];
      }
    }
    if (PARAM != 0) {
      uint to = (group * p.blocks + block) * p.cols + c;
      store(p.dscale, to, dscale);
      store(p.dshift, to, dshift);
    }
  END_EACH(c, p.cols)
}
