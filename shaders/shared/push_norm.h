// Push constants of normalisation, modulation and embedding.
#ifndef VKD_PUSH_NORM_H
#define VKD_PUSH_NORM_H
#include "ref.h"

// x [rows, cols], cols in vec4 in the vec4 kernels; d: cols in floats.  Group of row r: r / rows_per_group.
struct layernorm_push {
  Addr x, scale, shift, dout, y;
  uint rows, cols, d, rows_per_group;
  float eps, base; // factor: base + scale
};

// Position of row r in the rotary table (rope 0: none): r % positions.
struct rms_push {
  Addr x, weight, rope, dout, y;
  uint rows, cols, d, positions, head;
  uint rotate; // whether rope is given
  float eps;
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
