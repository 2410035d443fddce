// Push constants of normalisation, modulation and embedding.
#ifndef VKD_PUSH_NORM_H
#define VKD_PUSH_NORM_H
#include "ref.h"

// x [rows, cols], cols in items of the kernel's form (real.glsl); d: cols in floats.  Group of row r: r / rows_per_group.
struct layernorm_push {
  Addr x, scale, shift, y, y16, stats;
  uint rows, cols, d, rows_per_group;
  float eps, base; // factor: base + scale
};

// Position of row r in the rotary table: r % positions.
struct rms_push {
  Addr x, weight, rope, y, y16, stats;
  uint rows, cols, d, positions, head;
  float eps;
};

#define NORM_BACK_ROWS 8

// `blocks` blocks of NORM_BACK_ROWS rows in each of `groups` groups of `rows` rows; dscale, dshift [groups, blocks, cols].
struct layernorm_back_push {
  Addr x, scale, dout, stats, dx, dscale, dshift;
  uint groups, blocks, rows, cols, d;
  float base;
};

// dweight [blocks of NORM_BACK_ROWS rows, cols]
struct rms_back_push {
  Addr x, weight, rope, dout, stats, dx, dx16, dweight;
  uint rows, cols, d, positions, head;
};

// e [batch, chunks * d], table [k, d], out [k, batch, d]
struct modulation_push {
  Addr e, table, y;
  uint k, batch, d, chunks;
};

struct embed_push {
  Addr table, y;
  Addr row_index;
  uint rows, d, entries;
};
#endif
