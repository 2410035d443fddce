// c = op(a) b + bias + add for drivers with one 8-lane subgroup to a workgroup and the lanes in registers of a CPU, where a load
// from per-lane addresses is eight loads and one from a uniform address is one.  Neighbouring floats of b are read as
// uniform scalars and handed to the lanes by selects on the lane number, a constant there: a load of one vector.
// a [m,k], or [k,m] with TA; b [k,n]; floats, or 16-bit as half.glsl has it.  Specialisation constant 0 must be 8, constant 1 tells n < 16.
#version 460
#include "common.glsl"
#extension GL_KHR_shader_subgroup_basic : require
#include "half.glsl"
#include "matmul_store.glsl"
layout(constant_id = 1) const uint NARROW = 0;

const int TM = 8, TN = 2, KU = 8; // rows and 8-column blocks of a workgroup's tile; steps of k per round
#define lane gl_SubgroupInvocationID

// b[k][col + lane]
float spread(uint k, uint col) {
  if (NARROW != 0) return operand(p.b, k * p.n + min(col + lane, p.n - 1));
  uint i = k * p.n + col;
  Raw v0 = raw(p.b, i), v1 = raw(p.b, i + 1), v2 = raw(p.b, i + 2), v3 = raw(p.b, i + 3);
  Raw v4 = raw(p.b, i + 4), v5 = raw(p.b, i + 5), v6 = raw(p.b, i + 6), v7 = raw(p.b, i + 7);
  Raw x = v0;
  x = lane == 1 ? v1 : x;
  x = lane == 2 ? v2 : x;
  x = lane == 3 ? v3 : x;
  x = lane == 4 ? v4 : x;
  x = lane == 5 ? v5 : x;
  x = lane == 6 ? v6 : x;
  x = lane == 7 ? v7 : x;
  return value(x);
}

#ifdef TA
uint a_index(uint row, uint k) { return k * p.m + row; }
#else
uint a_index(uint row, uint k) { return row * p.k + k; }
#endif

#define STEP(at)                                                                                                       \
  {                                                                                                                    \
    float b[TN];                                                                                                       \
    [[unroll]] for (int j = 0; j < TN; j++) b[j] = spread(at, col0 + 8 * j);                                           \
    [[unroll]] for (int i = 0; i < TM; i++) {                                                                          \
      float a = operand(p.a, arow[i] + a_index(0, at));                                                                \
      [[unroll]] for (int j = 0; j < TN; j++) acc[i][j] = fma(a, b[j], acc[i][j]);                                     \
    }                                                                                                                  \
  }

void main() {
  uint row_tiles = (p.m + TM - 1) / TM, tile = flat_group();
  uint row0 = tile % row_tiles * TM, begin = tile / row_tiles * (8 * TN);
  if (begin >= p.n) return;
  // the last column tile is moved to end at n; columns before `begin` are another tile's
  uint col0 = NARROW != 0 ? begin : min(begin, p.n - 8 * TN);
  uint arow[TM];
  [[unroll]] for (int i = 0; i < TM; i++) arow[i] = a_index(min(row0 + i, p.m - 1), 0);
  float acc[TM][TN];
  [[unroll]] for (int i = 0; i < TM; i++) {
    [[unroll]] for (int j = 0; j < TN; j++) acc[i][j] = 0.0;
  }
  uint k = 0, whole = p.k / KU * KU;
  if (whole != 0) {
    do {
      [[unroll]] for (int u = 0; u < KU; u++) STEP(k + u);
      k += KU;
    } while (k < whole);
  }
  if (k < p.k) {
    do {
      STEP(k);
      k++;
    } while (k < p.k);
  }
  [[unroll]] for (int i = 0; i < TM; i++) {
    [[unroll]] for (int j = 0; j < TN; j++) {
      uint row = row0 + i, col = col0 + 8 * j + lane;
      if (row < p.m && col >= begin && col < p.n) store(row, col, acc[i][j]);
    }
  }
}
