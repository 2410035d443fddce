// Push constants of matmul*.comp and transpose.comp.
#ifndef VKD_PUSH_MATMUL_H
#define VKD_PUSH_MATMUL_H
#include "ref.h"

// c = op(a) op(b) + bias + add
#define MATMUL_HAS_BIAS 1
#define MATMUL_HAS_ADD 2
struct matmul_push {
  Addr a, b, bias, add, c;
  uint m, n, k, has;
};

// y[c,r] = x[r,c]
struct transpose_push {
  Addr x, y;
  uint rows, cols;
};

#endif
