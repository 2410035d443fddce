// Sums over a block of a sample: of e^2, and of vb in bits.  Places past the last block get zeros.
#version 460
#include "common.glsl"
#include "reduce.glsl"
#include "hybrid.glsl"

void main() {
  uint group = flat_group(), index = group / p.stride, block = group % p.stride;
  if (index >= p.samples) return;
  uint end = min(p.inner, (block + 1) * p.per);
  float mse = 0.0, vb = 0.0;
  for (uint i = block * p.per + gl_LocalInvocationID.x; i < end; i += gl_WorkGroupSize.x) {
    element x = load(index, i);
    mse += x.e * x.e;
    vb += vb_bits(x);
  }
  mse = wg_sum(mse);
  vb = wg_sum(vb);
  if (gl_LocalInvocationID.x == 0) {
    RefF(p.result).v[2 * index * p.stride + block] = mse;
    RefF(p.result).v[(2 * index + 1) * p.stride + block] = vb;
  }
}
