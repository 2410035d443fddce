// Push constants of the matmul kernels, and how they end.  ENDING_ID: the specialisation constant that tells.  With TO_HALF, and for
// 16-bit operands, results may be rounded to 16 bits.
#include "activation.glsl"
#if HALF != 0
#define TO_HALF
#endif
#ifdef TO_HALF
#include "round.glsl"
#endif
#include "push_matmul.h"
layout(push_constant, std430) uniform Push { matmul_push p; };
layout(constant_id = ENDING_ID) const uint END = MATMUL_PLAIN;

const uint ENDING = END % MATMUL_ROUND, ROUND = END / MATMUL_ROUND;
const bool HAS_E = ENDING > MATMUL_GELU, HAS_GATE = ENDING == MATMUL_GATE_ADD;
float ending(float x, float e, float gate) {
  if (ENDING == MATMUL_GELU) return gelu(x);
  if (ENDING == MATMUL_GELU_DX) return gelu_dx(e, x);
  return HAS_GATE ? e + x * gate : x + e;
}

void store(uint row, uint col, float x) {
  uint i = row * p.n + col;
  if ((p.has & MATMUL_HAS_BIAS) != 0) x += RefF(p.bias).v[col];
  if ((p.has & MATMUL_HAS_ADD) != 0) x += RefF(p.add).v[i];
  if ((p.has & MATMUL_HAS_C) != 0) RefF(p.c).v[i] = x;
  if (END == MATMUL_PLAIN) return;
  if (ENDING != MATMUL_PLAIN) {
    float e = HAS_E ? RefF(p.e).v[i] : 0.0;
    float gate = HAS_GATE ? RefF(p.gate).v[row / p.rows_per_gate * p.n + col] : 0.0;
    x = ending(x, e, gate);
    if ((p.has & MATMUL_HAS_Y) != 0) RefF(p.y).v[i] = x;
  }
#ifdef TO_HALF
  if (ROUND != 0) store16(p.y16, i, x, ROUND);
#endif
}
