// y = some channels of x, in runs that are contiguous in both
#version 460
#include "common.glsl"
#include "push_sampling.h"
layout(push_constant, std430) uniform Push { channels_push p; };

void main() {
  uint i = flat_item();
  if (i >= p.n) return;
  uint from = i / p.run * p.stride + p.first + i % p.run;
  if (p.quads != 0)
    RefF4(p.y).v[i] = RefF4(p.x).v[from];
  else
    RefF(p.y).v[i] = RefF(p.x).v[from];
}
