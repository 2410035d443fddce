// c = op(a) op(b), ended by store(), for software drivers that load lane by lane, whatever the address: a value of a is loaded by
// one lane and handed to the others.  A workgroup is one subgroup of LANES (4, 8 or 16), ROWS x COLS outputs to a lane.  a and b are
// floats, or 16-bit as half.glsl has it.  Any m, n, k; a [m,k] or [k,m], b [k,n] or [n,k].
#version 460
#include "common.glsl"
#extension GL_KHR_shader_subgroup_ballot : require
#include "half.glsl"
#define ENDING_ID 3
#include "matmul_store.glsl"
layout(constant_id = 0) const uint LANES = 8;
layout(constant_id = 1) const uint TA = 0;
layout(constant_id = 2) const uint TB = 0;
#ifdef FEW
const uint ROWS = BCAST_FEW_ROWS, COLS = BCAST_FEW_COLS;
#else
const uint ROWS = BCAST_ROWS, COLS = BCAST_COLS;
#endif
const uint LOADS = (ROWS + LANES - 1) / LANES;
shared float sums[ROWS * COLS * LANES];

void main() {
  uint row_tiles = (p.m + ROWS - 1) / ROWS, row0 = flat_group() % row_tiles * ROWS;
  uint col0 = flat_group() / row_tiles * (COLS * LANES), lane = gl_SubgroupInvocationID;
  if (col0 >= p.n) return;
  uint step_a = TA != 0 ? p.m : 1, step_b = TB != 0 ? 1 : p.n, at_a[LOADS], at_b[COLS]; // indices of a step of k
  float acc[ROWS][COLS];
  [[unroll]] for (uint j = 0; j < COLS; j++) at_b[j] = min(col0 + j * LANES + lane, p.n - 1) * (TB != 0 ? p.k : 1);
  [[unroll]] for (uint l = 0; l < LOADS; l++) at_a[l] = min(row0 + l * LANES + lane, p.m - 1) * (TA != 0 ? 1 : p.k);
  [[unroll]] for (uint i = 0; i < ROWS; i++) {
    [[unroll]] for (uint j = 0; j < COLS; j++) acc[i][j] = 0.0;
  }
  uint k = 0;
  [[dont_unroll]] do {
    float a[LOADS], b[COLS]; // a: a row to each lane
    [[unroll]] for (uint l = 0; l < LOADS; l++) a[l] = operand(p.a, at_a[l] + k * step_a);
    [[unroll]] for (uint j = 0; j < COLS; j++) b[j] = operand(p.b, at_b[j] + k * step_b);
    [[unroll]] for (uint i = 0; i < ROWS; i++) {
      float x = subgroupBroadcast(a[i / LANES], i % LANES);
      [[unroll]] for (uint j = 0; j < COLS; j++) acc[i][j] = fma(x, b[j], acc[i][j]);
    }
    k++;
  } while (k < p.k);
  // through shared memory, so that there is one store() to compile
  [[unroll]] for (uint i = 0; i < ROWS; i++) {
    [[unroll]] for (uint j = 0; j < COLS; j++) sums[(i * COLS + j) * LANES + lane] = acc[i][j];
  }
  barrier();
  uint i = 0;
  [[dont_unroll]] do {
    uint r = row0 + i / COLS, c = col0 + i % COLS * LANES + lane;
    if (r < p.m && c < p.n) store(r, c, sums[i * LANES + lane]);
    i++;
  } while (i < ROWS * COLS);
}
