// The end of a product split over k: c = the sum of a [k, m, n], k slices in order, ended by store().  A lane to each element.
#version 460
#include "common.glsl"
#define ENDING_ID 1
#include "matmul_store.glsl"

void main() {
  uint i = flat_item(), size = p.m * p.n;
  if (i >= size) return;
  float x = 0.0;
  [[dont_unroll]] for (uint s = 0; s < p.k; s++) x += RefF(p.a).v[s * size + i];
  store(i / p.n, i % p.n, x);
}
