// Push constants of the kernels for sampling.  quads != 0: all counts are of vec4, not floats.
#ifndef VKD_PUSH_SAMPLING_H
#define VKD_PUSH_SAMPLING_H
#include "ref.h"

// Element i of y is x[i / run * stride + first + i % run]
struct channels_push {
  Addr x, y;
  uint n, run, stride, first, quads;
};

// y = a + scale[i / inner % channels] (b - a)
struct guide_push {
  Addr a, b, scale, y;
  uint n, inner, channels, quads;
};

struct variance_noise_push {
  Addr v, z, range, y;
  uint n;
};
#endif
