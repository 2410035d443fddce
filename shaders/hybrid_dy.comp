// Gradient of the hybrid loss: to eps that of mse, to v that of vb
#version 460
#include "common.glsl"
#include "hybrid.glsl"

void main() {
  uint item = flat_item();
  if (item >= p.samples * p.inner) return;
  uint index = item / p.inner, i = item % p.inner, eps = item + index * p.inner;
  element x = load(index, i);
  // Both addresses are good, wanted or not: lavapipe loads what all lanes share under a false condition too.
  vec2 parts = vec2(RefF(p.dparts).v[2 * index], RefF(p.dparts).v[2 * index + 1]);
  vec2 k = (p.has & HYBRID_HAS_DPARTS) != 0 ? parts : vec2(0.0);
  k += (p.has & HYBRID_HAS_DLOSS) != 0 ? RefF(p.dloss).v[0] / float(p.samples) : 0.0;
  k /= float(p.inner);
  RefF(p.result).v[eps] = 2.0 * k.x * x.e;
  RefF(p.result).v[eps + p.inner] = k.y * vb_bits_dv(x);
}
