// Four normal draws per lane, from Philox's four words: counter (element / 4, sample, step, stream), key (seed low, seed high).
// Words (w0, w1) give r cos t, r sin t and (w2, w3) likewise, r = sqrt(-2 ln u0), t = 2 pi u1, u = (w + 1/2) 2^-32.
#version 460
#include "common.glsl"
#include "mathx.glsl"
#include "philox.glsl"
#include "push_elementwise.h"
layout(push_constant, std430) uniform Push { randn_push p; };

void main() {
  uint i = flat_item(), quads = (p.inner + 3) / 4;
  if (i / quads >= p.samples) return;
  uint sample_row = i / quads, quad = i - sample_row * quads;
  uvec4 w = philox(uvec4(quad, uint(RefI(p.sample_index).v[sample_row]), uint(RefI(p.key).v[2]), uint(RefI(p.key).v[3])),
                   uvec2(RefI(p.key).v[0], RefI(p.key).v[1]));
  vec4 z = vec4(sqrt(2.0 * neg_log_uniform(w.x)) * turn(w.y), sqrt(2.0 * neg_log_uniform(w.z)) * turn(w.w));
  if (p.aligned != 0) {
    RefF4(p.y).v[i] = z;
    return;
  }
  uint at = sample_row * p.inner + 4 * quad, left = p.inner - 4 * quad;
  RefF(p.y).v[at] = z.x;
  if (left > 1) RefF(p.y).v[at + 1] = z.y;
  if (left > 2) RefF(p.y).v[at + 2] = z.z;
  if (left > 3) RefF(p.y).v[at + 3] = z.w;
}
