// y[i] = FN(a[i]) or FN(a[i], b[i]); INPUTS 0: y[i] = 0
#version 460
#include "common.glsl"
#include "activation.glsl"
#if VEC == 8
#include "real.glsl"
#endif
#include "push_elementwise.h"
layout(push_constant, std430) uniform Push { map_push p; };

float copy(float a) { return a; }
float add(float a, float b) { return a + b; }

#if INPUTS == 0
#define EACH(a, b) 0.0
#elif INPUTS == 1
#define EACH(a, b) FN(a)
#else
#define EACH(a, b) FN(a, b)
#endif

#if VEC == 8
layout(constant_id = 1) const uint SPAN = 8; // vectors of a workgroup
void main() {
  uint i = flat_group() * SPAN;
  if ((i + SPAN) * 8 <= p.n) {
    [[unroll]] for (uint u = 0; u < SPAN; u++) store(p.y, i + u, EACH(load(p.a, i + u), load(p.b, i + u)));
    return;
  }
  for (i = i * 8 + gl_LocalInvocationID.x; i < p.n; i += 8) RefF(p.y).v[i] = EACH(RefF(p.a).v[i], RefF(p.b).v[i]);
}
#else
void main() {
  uint i = flat_item();
  if (i < p.n4) {
#if INPUTS > 0
    vec4 a = RefF4(p.a).v[i];
#endif
#if INPUTS > 1
    vec4 b = RefF4(p.b).v[i];
#endif
    RefF4(p.y).v[i] = vec4(EACH(a.x, b.x), EACH(a.y, b.y), EACH(a.z, b.z), EACH(a.w, b.w));
    return;
  }
  i += 3 * p.n4;
  if (i >= p.n) return;
  RefF(p.y).v[i] = EACH(RefF(p.a).v[i], RefF(p.b).v[i]);
}
#endif
