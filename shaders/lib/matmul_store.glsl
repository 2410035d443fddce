// Push constants of the matmul kernels, and how they end.  ENDING_ID: the specialisation constant that tells.
#include "activation.glsl"
#include "push_matmul.h"
layout(push_constant, std430) uniform Push { matmul_push p; };
layout(constant_id = ENDING_ID) const uint ENDING = MATMUL_PLAIN;

float ending(uint row, uint col, uint i, float x) {
  if (ENDING == MATMUL_GELU) return gelu(x);
  float e = RefF(p.e).v[i];
  if (ENDING == MATMUL_GELU_DX) return gelu_dx(e, x);
  if (ENDING == MATMUL_GATE_ADD) return e + x * RefF(p.gate).v[row / p.rows_per_gate * p.n + col];
  return x + e;
}

void store(uint row, uint col, float x) {
  uint i = row * p.n + col;
  if ((p.has & MATMUL_HAS_BIAS) != 0) x += RefF(p.bias).v[col];
  if ((p.has & MATMUL_HAS_ADD) != 0) x += RefF(p.add).v[i];
  if ((p.has & MATMUL_HAS_C) != 0) RefF(p.c).v[i] = x;
  if (ENDING != MATMUL_PLAIN) RefF(p.y).v[i] = ending(row, col, i, x);
}
