// tokens[b, (f,h,w), vector] = latent[b, c, f pt + a, h ph + i, w pw + j]; INVERSE: the other way.  One workgroup per token, so
// that only the patch's own sizes, known when the pipeline is built, are divided by in every lane.
#version 460
#include "common.glsl"
#include "push_layout.h"
layout(push_constant, std430) uniform Push { patchify_push p; };
layout(constant_id = 1) const uint PT = 1;
layout(constant_id = 2) const uint PH = 1;
layout(constant_id = 3) const uint PW = 1;
layout(constant_id = 4) const uint CHANNELS = 1;
layout(constant_id = 5) const uint CHANNEL_LAST = 0;

void main() {
  uint token = flat_group(), e = gl_LocalInvocationID.x;
  if (token >= p.count) return;
  const uint CELLS = PT * PH * PW, VECTOR = CELLS * CHANNELS;
  uint w = token % p.w, h = token / p.w % p.h, f = token / (p.w * p.h) % p.f, b = token / (p.w * p.h * p.f);
  uint row = p.w * PW, plane = p.h * PH * row, volume = p.f * PT * plane;
  uint corner = b * CHANNELS * volume + f * PT * plane + h * PH * row + w * PW, at = token * VECTOR;
  if (e < VECTOR) do {
      uint c = CHANNEL_LAST != 0 ? e % CHANNELS : e / CELLS, cell = CHANNEL_LAST != 0 ? e / CHANNELS : e % CELLS;
      uint from = corner + c * volume + cell / (PW * PH) * plane + cell / PW % PH * row + cell % PW;
#ifdef INVERSE
      RefF(p.latent).v[from] = RefF(p.tokens).v[at + e];
#else
      RefF(p.tokens).v[at + e] = RefF(p.latent).v[from];
#endif
    } while ((e += gl_WorkGroupSize.x) < VECTOR);
}
