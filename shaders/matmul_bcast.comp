// c = op(a) op(b), ended by store(), for software drivers that load lane by lane, whatever the address: a value of a is loaded by one
// lane and handed to the others.  A workgroup is one subgroup of LANES (4, 8 or 16); ROWS x COLS outputs to a lane.  a and b are floats, or 16-bit as
// half.glsl has it.  Any m, n, k; a [m,k] or [k,m], b [k,n] or [n,k].
#version 460
#include "common.glsl"
#extension GL_KHR_shader_subgroup_ballot : require
#include "half.glsl"
#include "matmul_store.glsl"
layout(constant_id = 0) const uint LANES = 8;
layout(constant_id = 1) const uint TA = 0;
layout(constant_id = 2) const uint TB = 0;
const uint ROWS = BCAST_ROWS, COLS = BCAST_COLS;

uint row[ROWS], col[COLS];
float acc[ROWS][COLS];

float load_a(uint i, uint k) { return operand(p.a, TA != 0 ? k * p.m + row[i] : row[i] * p.k + k); }
float load_b(uint k, uint j) { return operand(p.b, TB != 0 ? col[j] * p.k + k : k * p.n + col[j]); }

// The product of step k, of which lane `from` holds the values of a.
#define MULTIPLY(k, from) {                                                                                            \
    float b[COLS];                                                                                                     \
    [[unroll]] for (uint j = 0; j < COLS; j++) b[j] = load_b(k, j);                                                    \
    [[unroll]] for (uint i = 0; i < ROWS; i++) {                                                                       \
      float x = subgroupBroadcast(a[i], from);                                                                         \
      [[unroll]] for (uint j = 0; j < COLS; j++) acc[i][j] = fma(x, b[j], acc[i][j]);                                  \
    }                                                                                                                  \
  }
#define MULTIPLY4(k, from) MULTIPLY(k + from, from) MULTIPLY(k + from + 1, from + 1) MULTIPLY(k + from + 2, from + 2) \
  MULTIPLY(k + from + 3, from + 3)

void main() {
  uint row_tiles = (p.m + ROWS - 1) / ROWS, row0 = flat_group() % row_tiles * ROWS;
  uint col0 = flat_group() / row_tiles * (COLS * LANES), lane = gl_SubgroupInvocationID;
  if (col0 >= p.n) return;
  [[unroll]] for (uint j = 0; j < COLS; j++) col[j] = min(col0 + j * LANES + lane, p.n - 1);
  [[unroll]] for (uint i = 0; i < ROWS; i++) {
    row[i] = min(row0 + i, p.m - 1);
    [[unroll]] for (uint j = 0; j < COLS; j++) acc[i][j] = 0.0;
  }
  uint k = 0, whole = p.k - p.k % LANES;
  float a[ROWS];
  if (whole != 0) do {
    [[unroll]] for (uint i = 0; i < ROWS; i++) a[i] = load_a(i, k + lane);
    MULTIPLY4(k, 0)
    if (LANES > 4) { MULTIPLY4(k, 4) }
    if (LANES > 8) { MULTIPLY4(k, 8) }
    if (LANES > 8) { MULTIPLY4(k, 12) }
    k += LANES;
  } while (k < whole);
  if (k < p.k) do {
    [[unroll]] for (uint i = 0; i < ROWS; i++) a[i] = load_a(i, k);
    MULTIPLY(k, 0)
    k++;
  } while (k < p.k);
  [[unroll]] for (uint i = 0; i < ROWS; i++) {
    [[unroll]] for (uint j = 0; j < COLS; j++) {
      uint r = row0 + i, c = col0 + j * LANES + lane;
      if (r < p.m && c < p.n) store(r, c, acc[i][j]);
    }
  }
}
