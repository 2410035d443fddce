// Push constants of the reductions.
#ifndef VKD_PUSH_REDUCE_H
#define VKD_PUSH_REDUCE_H
#include "ref.h"

// y[group] = k * sum over the group's elements of f(a, b); elements `per` group of n, the first 4 n4 of all as vec4
struct sum_push {
  Addr a, b, y;
  uint n, n4, per;
  float k;
};

// Row r of group g is row g * rows + r of the operands, which have `cols` columns, in items of the kernel's form (real.glsl).
// y[(g * blocks + block) * cols + col]: sum over the block's `per` rows.
struct col_sum_push {
  Addr a, b, y;
  uint groups, rows, cols;
  uint per, blocks;
};
#endif
