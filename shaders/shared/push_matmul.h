// Push constants of matmul*.comp and pack.comp.
#ifndef VKD_PUSH_MATMUL_H
#define VKD_PUSH_MATMUL_H
#include "ref.h"

// c = op(a) op(b) + bias + add, not stored where its address is 0; then y = what comes next, likewise:
#define MATMUL_PLAIN 0    // nothing
#define MATMUL_GELU 1     // gelu(c)
#define MATMUL_GELU_DX 2  // gelu'(e) c
#define MATMUL_GATE_ADD 3 // e + c gate, a row of gate for rows_per_gate rows
#define MATMUL_ADD 4      // c + e
#define MATMUL_ROUND 8    // and, times ROUND_F16 or ROUND_BF16: y16 = what came out last, in 16 bits
#define MATMUL_HAS_BIAS 1
#define MATMUL_HAS_ADD 2
#define MATMUL_HAS_C 4
#define MATMUL_HAS_Y 8
struct matmul_push {
  Addr a, b, bias, add, c, e, gate, y, y16;
  uint m, n, k, has, rows_per_gate;
};

// Tiles of matmul_panels.comp, and the steps of k that it takes at a time: panels are filled up to whole tiles and rounds.
#define PANEL_ROWS 4 // a panel of a holds two tiles
#define PANEL_COLS 16
#define PANEL_STEPS 16
// Where its operands are read.
#define MATMUL_PANELS 0
#define MATMUL_ROWS 1

// Outputs of a lane of matmul_bcast.comp, also where there are few rows.
#define BCAST_ROWS 24
#define BCAST_COLS 3
#define BCAST_FEW_ROWS 8
#define BCAST_FEW_COLS 8

// y [panels, k, width] of x [k, count] or [count, k]
struct pack_push {
  Addr x, y;
  uint count, k, steps;
};

#endif
