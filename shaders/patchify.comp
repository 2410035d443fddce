// tokens[b, (f,h,w), vector] = latent[b, c, f pt + a, h ph + i, w pw + j]; INVERSE: the other way.  One lane per token element.
#version 460
#include "common.glsl"
#include "push_layout.h"
layout(push_constant, std430) uniform Push { patchify_push p; };
layout(constant_id = 1) const uint PT = 1;
layout(constant_id = 2) const uint PH = 1;
layout(constant_id = 3) const uint PW = 1;
layout(constant_id = 4) const uint CHANNEL_LAST = 0;

void main() {
  uint n = flat_item();
  if (n >= p.n) return;
  uint vec = PT * PH * PW * p.channels, token = n / vec, e = n - token * vec;
  uint ch, cell; // cell: (a, i, j) within the patch
  if (CHANNEL_LAST != 0) {
    cell = e / p.channels;
    ch = e - cell * p.channels;
  } else {
    ch = e / (PT * PH * PW);
    cell = e - ch * (PT * PH * PW);
  }
  uint j = cell % PW, i = cell / PW % PH, a = cell / (PW * PH);
  uint w = token % p.w, h = token / p.w % p.h, f = token / (p.w * p.h) % p.f, b = token / (p.w * p.h * p.f);
  uint at = (((b * p.channels + ch) * p.f * PT + f * PT + a) * p.h * PH + h * PH + i) * p.w * PW + w * PW + j;
#ifdef INVERSE
  p.latent.v[at] = p.tokens.v[n];
#else
  p.tokens.v[n] = p.latent.v[at];
#endif
}
