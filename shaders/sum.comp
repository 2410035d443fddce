// y[group] = k * sum of FN over the group's elements.  FN: 0 a, 1 a^2, 2 (a-b)^2
#version 460
#include "common.glsl"
#include "reduce.glsl"
#include "push_reduce.h"
layout(push_constant, std430) uniform Push { sum_push p; };

void main() {
  uint group = flat_group();
  if (group * p.per >= p.n) return;
  uint end = min(p.n, (group + 1) * p.per), end4 = min(p.n4, end / 4);
  uint i = group * p.per / 4 + gl_LocalInvocationID.x; // per is a multiple of 4
  vec4 s4 = vec4(0);
  for (; i < end4; i += gl_WorkGroupSize.x) {
    vec4 v = RefF4(p.a).v[i];
#if FN == 2
    v -= RefF4(p.b).v[i];
#endif
#if FN > 0
    v *= v;
#endif
    s4 += v;
  }
  float s = (s4.x + s4.y) + (s4.z + s4.w);
  i = max(group * p.per, 4 * end4) + gl_LocalInvocationID.x;
  for (; i < end; i += gl_WorkGroupSize.x) {
    float v = RefF(p.a).v[i];
#if FN == 2
    v -= RefF(p.b).v[i];
#endif
#if FN > 0
    v *= v;
#endif
    s += v;
  }
  s = wg_sum(s);
  if (gl_LocalInvocationID.x == 0) RefF(p.y).v[group] = p.k * s;
}
