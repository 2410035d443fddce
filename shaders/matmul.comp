// c = op(a) op(b) + bias + add by tiles of 64x64 in shared memory, 8x8 outputs to each of 64 lanes (specialisation constant
// 0 must be 64).  a and b are floats, or 16-bit as half.glsl has it.  Any m, n, k; a [m,k] or [k,m], b [k,n] or [n,k] by specialisation constants 1 and 2.
#version 460
#include "common.glsl"
#include "half.glsl"
#define ENDING_ID 3
#include "matmul_store.glsl"
layout(constant_id = 1) const uint TA = 0;
layout(constant_id = 2) const uint TB = 0;

const int TILE = 64, STEP = 16, SIDE = 8;
shared float as[STEP][TILE + 1], bs[STEP][TILE + 1]; // one column more: lanes that step by rows hit different banks

float load_a(uint row, uint k) {
  bool inside = row < p.m && k < p.k;
  uint r = min(row, p.m - 1), z = min(k, p.k - 1);
  float x = operand(p.a, TA != 0 ? z * p.m + r : r * p.k + z);
  return inside ? x : 0.0;
}

float load_b(uint k, uint col) {
  bool inside = col < p.n && k < p.k;
  uint c = min(col, p.n - 1), z = min(k, p.k - 1);
  float x = operand(p.b, TB != 0 ? c * p.k + z : z * p.n + c);
  return inside ? x : 0.0;
}

void main() {
  uint t = gl_LocalInvocationID.x, row_tiles = (p.m + TILE - 1) / TILE;
  uint row0 = flat_group() % row_tiles * TILE, col0 = flat_group() / row_tiles * TILE;
  if (col0 >= p.n) return;
  uint tr = t / SIDE, tc = t % SIDE; // this lane's outputs: rows tr + 8 i, columns tc + 8 j
  float acc[SIDE][SIDE];
  [[unroll]] for (int i = 0; i < SIDE; i++) {
    [[unroll]] for (int j = 0; j < SIDE; j++) acc[i][j] = 0.0;
  }
  uint k0 = 0;
  do {
    // neighbouring lanes read neighbouring addresses in either order of the operand
    [[unroll]] for (uint i = 0; i < STEP; i++) {
      if (TA != 0) as[i][t] = load_a(row0 + t, k0 + i);
      else as[t % STEP][t / STEP + 4 * i] = load_a(row0 + t / STEP + 4 * i, k0 + t % STEP);
      if (TB == 0) bs[i][t] = load_b(k0 + i, col0 + t);
      else bs[t % STEP][t / STEP + 4 * i] = load_b(k0 + t % STEP, col0 + t / STEP + 4 * i);
    }
    barrier();
    uint k = 0;
    [[dont_unroll]] do {
      float a[SIDE], b[SIDE];
      [[unroll]] for (int i = 0; i < SIDE; i++) a[i] = as[k][tr + SIDE * i];
      [[unroll]] for (int j = 0; j < SIDE; j++) b[j] = bs[k][tc + SIDE * j];
      [[unroll]] for (int i = 0; i < SIDE; i++) {
        [[unroll]] for (int j = 0; j < SIDE; j++) acc[i][j] = fma(a[i], b[j], acc[i][j]);
      }
      k++;
    } while (k < STEP);
    barrier();
    k0 += STEP;
  } while (k0 < p.k);
  [[unroll]] for (int i = 0; i < SIDE; i++) {
    [[unroll]] for (int j = 0; j < SIDE; j++) {
      uint row = row0 + tr + SIDE * i, col = col0 + tc + SIDE * j;
      if (row < p.m && col < p.n) store(row, col, acc[i][j]);
    }
  }
}
