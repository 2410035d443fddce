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
// Rows of a (columns with TA) and of b begin at whole vectors of four.
layout(constant_id = 2) const uint WHOLE = 0;

const int TM = 8, TN = 2; // rows and 8-column blocks of a workgroup's tile
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

// The same where rows are whole vectors: two loads in place of eight.
float spread4(uint k, uint col) {
  uint i = (k * p.n + col) >> 2;
  vec4 u = operand4(p.b, i), v = operand4(p.b, i + 1);
  float x = u.x;
  x = lane == 1 ? u.y : x;
  x = lane == 2 ? u.z : x;
  x = lane == 3 ? u.w : x;
  x = lane == 4 ? v.x : x;
  x = lane == 5 ? v.y : x;
  x = lane == 6 ? v.z : x;
  x = lane == 7 ? v.w : x;
  return x;
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

// Four steps of k.
#ifdef TA
#define STEP4(at)                                                                                                      \
  [[unroll]] for (uint s = 0; s < 4; s++) {                                                                            \
    uint i4 = a_index(arow[0], (at) + s) >> 2;                                                                         \
    vec4 lo = operand4(p.a, i4), hi = operand4(p.a, i4 + 1);                                                           \
    float b[TN];                                                                                                       \
    [[unroll]] for (int j = 0; j < TN; j++) b[j] = spread4((at) + s, col0 + 8 * j);                                    \
    [[unroll]] for (int i = 0; i < TM; i++) {                                                                          \
      float a = i < 4 ? lo[i & 3] : hi[i & 3];                                                                         \
      [[unroll]] for (int j = 0; j < TN; j++) acc[i][j] = fma(a, b[j], acc[i][j]);                                     \
    }                                                                                                                  \
  }
#else
#define STEP4(at)                                                                                                      \
  {                                                                                                                    \
    vec4 a4[TM];                                                                                                       \
    [[unroll]] for (int i = 0; i < TM; i++) a4[i] = operand4(p.a, (arow[i] + (at)) >> 2);                              \
    [[unroll]] for (uint s = 0; s < 4; s++) {                                                                          \
      float b[TN];                                                                                                     \
      [[unroll]] for (int j = 0; j < TN; j++) b[j] = spread4((at) + s, col0 + 8 * j);                                  \
      [[unroll]] for (int i = 0; i < TM; i++) {                                                                        \
        [[unroll]] for (int j = 0; j < TN; j++) acc[i][j] = fma(a4[i][s], b[j], acc[i][j]);                            \
      }                                                                                                                \
    }                                                                                                                  \
  }
#endif

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
  const uint steps = WHOLE != 0 ? 16 : 8; // of k in a round
  uint k = 0, rounds = p.k / steps * steps;
  if (rounds != 0) {
    do {
      if (WHOLE != 0) {
        [[unroll]] for (uint u = 0; u < 16; u += 4) STEP4(k + u);
      } else {
        [[unroll]] for (uint u = 0; u < 8; u++) STEP(k + u);
      }
      k += steps;
    } while (k < rounds);
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
