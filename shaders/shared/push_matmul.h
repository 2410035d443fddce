// Push constants of matmul*.comp and pack.comp.
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

// Tiles of matmul_panels.comp, and the steps of k that it takes at a time: panels are filled up to whole tiles and rounds.
#define PANEL_ROWS 4
#define PANEL_COLS 16
#define PANEL_STEPS 16
// Where its operands are read.
#define MATMUL_PANELS 0
#define MATMUL_ROWS 1
#define MATMUL_STEPWISE 2

// y [panels, k, width] of x [k, count] or [count, k]
struct pack_push {
  Addr x, y;
  uint count, k, steps;
};

#endif
