// Push constants of the matmul kernels, and how they end.
#include "push_matmul.h"
layout(push_constant, std430) uniform Push { matmul_push p; };

void store(uint row, uint col, float x) {
  uint i = row * p.n + col;
  if ((p.has & MATMUL_HAS_BIAS) != 0) x += RefF(p.bias).v[col];
  if ((p.has & MATMUL_HAS_ADD) != 0) x += RefF(p.add).v[i];
  RefF(p.c).v[i] = x;
}
