// Push constants of the elementwise kernels.
#ifndef VKD_PUSH_ELEMENTWISE_H
#define VKD_PUSH_ELEMENTWISE_H
#include "ref.h"

// n elements, the first 4 n4 of them as vec4.
struct map_push {
  Addr a, b, y;
  uint n, n4;
};

// y = (z +) x * s[row / rows_per_group]; rows of d4 vec4 (d4 > 0) or d floats
struct row_broadcast_push {
  Addr z, x, s, y, y16;
  uint rows, d, d4, rows_per_group;
};

struct lincomb_push {
  Addr coef, y;
  Addr x[7];
  uint count, n, n4;
};

// y = k * (a - b) * s[0]
struct mse_dx_push {
  Addr a, b, s, y;
  uint n, n4;
  float k;
};

// Sample of element i is i / inner; inner4 > 0: in vec4.
struct diffuse_push {
  Addr x0, noise, coef, xt, target;
  uint n, inner, inner4;
};

// Samples of `inner` elements; y (0: zeros) and dy hold twice as many.  hybrid: sums of blocks of `per` elements, in
// `stride` places per sum.
#define HYBRID_HAS_DLOSS 1u
#define HYBRID_HAS_DPARTS 2u
struct hybrid_push {
  Addr y, noise, x0, coef, dloss, dparts, result;
  uint samples, inner, per, stride, has;
};

struct adamw_push {
  Addr p, g, m, v, ema, hyper, norm2, copy;
  uint n, n4, copy_to; // ROUND_F16 or ROUND_BF16
  float lr_scale, decay;
};

struct randn_push {
  Addr y;
  Addr key, sample_index;
  uint samples, inner; // elements per sample
  uint aligned;        // a sample's elements may be written as vec4
};
#endif
