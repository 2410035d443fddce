// delta[b,h,n] = sum over the head of dout * o.  A lane to a row, which it reads alone or (VEC 8: heads of whole vectors) with the others.
#version 460
#include "common.glsl"
#if VEC == 8
#include "real.glsl"
#include "reduce.glsl"
#endif
#include "push_attention.h"
layout(push_constant, std430) uniform Push { attention_push p; };

#if VEC == 8
float row_sum(uint group, uint items) { // of row 8 group + lane; a row beyond the last is the last
  float sums[8];
  [[unroll]] for (uint r = 0; r < 8; r++) sums[r] = 0.0;
  uint vectors = p.hd / 8, i = 0;
  if (i < vectors) do {
      [[unroll]] for (uint r = 0; r < 8; r++) {
        uint at = min(group * 8 + r, items - 1) * vectors + i;
        sums[r] = fma(load(p.dout, at), load(p.o, at), sums[r]);
      }
    } while (++i < vectors);
  // each time lanes hand half of their rows to lanes that keep these
  [[unroll]] for (uint s = 4; s > 0; s /= 2) {
    bool upper = (gl_SubgroupInvocationID & s) != 0;
    [[unroll]] for (uint r = 0; r < s; r++) {
      float other = subgroupShuffleXor(upper ? sums[r] : sums[r + s], s);
      sums[r] = (upper ? sums[r + s] : sums[r]) + other;
    }
  }
  return sums[0];
}
#else
float row_sum(uint item) {
  float sum = 0.0;
  uint i = item * p.hd, end = i + p.hd;
  do {
    sum = fma(RefF(p.dout).v[i], RefF(p.o).v[i], sum);
    i++;
  } while (i < end);
  return sum;
}
#endif

void main() {
  uint item = flat_item(), items = p.batch * p.n * p.heads; // (b, token, head)
#if VEC == 8
  if (flat_group() * 8 >= items) return;
  float sum = row_sum(flat_group(), items);
  if (item >= items) return;
#else
  if (item >= items) return;
  float sum = row_sum(item);
#endif
  uint head = item % p.heads, token = item / p.heads % p.n, b = item / p.heads / p.n;
  RefF(p.delta).v[(b * p.heads + head) * p.n + token] = sum;
}
