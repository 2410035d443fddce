// delta[b,h,n] = sum over the head of dout * o.  One lane per row.
#version 460
#include "common.glsl"
#include "push_attention.h"
layout(push_constant, std430) uniform Push { attention_push p; };

void main() {
  uint item = flat_item(); // (b, token, head)
  if (item >= p.batch * p.n * p.heads) return;
  uint head = item % p.heads, token = item / p.heads % p.n, b = item / p.heads / p.n;
  float sum = 0.0;
  uint i = item * p.hd, end = i + p.hd;
  do {
    sum = fma(RefF(p.dout).v[i], RefF(p.o).v[i], sum);
    i++;
  } while (i < end);
  RefF(p.delta).v[(b * p.heads + head) * p.n + token] = sum;
}
