// What the attention kernels in shared memory share.  A workgroup owns OWN rows of one head (queries, or keys in attention_tile_dkv.comp)
// and takes BLOCK rows of the other side at a time, in a fixed order.  Its lanes lie as GROUPS x 8: lane (r, c) has the scores of the
// four own rows r + GROUPS i with the rows c + 8 j of the block, one vec4 per j, and of its rows' results the vec4 c + 8 v.
#include "attention.glsl"
layout(constant_id = 0) const uint LANES = 64;
layout(constant_id = 4) const uint LOADS = 8; // of a lane under way at a time, at most
const uint GROUPS = LANES / 8, OWN = 4 * GROUPS, NEAR = BLOCK / 8, PARTS = (HD4 + 7) / 8, SUMS = 4 * PARTS;

// Rows of operands and of weights begin in other banks than their neighbours, in units of vec4: pitches are odd.
const uint PITCH = HD4 | 1, W_PITCH = GROUPS | 1;
const uint OWN_SIZE = OWN * PITCH, BLOCK_SIZE = BLOCK * PITCH;
const uint W_SIZE = BLOCK * W_PITCH; // weights: for every row of the block a vec4 for each r

// As vkd__attention_tile_bytes() of runtime/ops/attention_tile.c counts.
#if PASS == 0
// own q; k, later weights; v; maxima.  The weights take k's place when it has been read.
const uint A_AT = 0, C_AT = OWN_SIZE, D_AT = C_AT + (BLOCK_SIZE > W_SIZE ? BLOCK_SIZE : W_SIZE), MAX_AT = D_AT + BLOCK_SIZE;
const uint SIZE = MAX_AT + 8 * W_PITCH;
#elif PASS == 1
// own q, dout; k; v, later weights
const uint A_AT = 0, B_AT = OWN_SIZE, C_AT = 2 * OWN_SIZE, D_AT = C_AT + BLOCK_SIZE;
const uint SIZE = D_AT + (BLOCK_SIZE > W_SIZE ? BLOCK_SIZE : W_SIZE);
#else
// own k, v; q; dout; weights of both
const uint A_AT = 0, B_AT = OWN_SIZE, C_AT = 2 * OWN_SIZE, D_AT = C_AT + BLOCK_SIZE, W_AT = D_AT + BLOCK_SIZE;
const uint SIZE = W_AT + 2 * W_SIZE;
#endif
shared vec4 tile[SIZE];

const uint SHARE = (BLOCK * HD4 + LANES - 1) / LANES, BATCH = SHARE < LOADS ? SHARE : LOADS;

// Rows first .. first + rows - 1 of x [batch, tokens, heads, HD], by `scale`, to tile[at ..]; zeros past the last.  Neighbouring lanes
// read neighbouring addresses, and up to BATCH loads of a lane are under way before the first is stored.
#define STAGE(name, load)                                                                                              \
  void name(Addr x, uint at, place w, uint first, uint tokens, uint rows, float scale) {                               \
    [[dont_unroll]] for (uint from = gl_LocalInvocationID.x; from < rows * HD4; from += BATCH * LANES) {               \
      vec4 v[BATCH];                                                                                                   \
      [[unroll]] for (uint j = 0; j < BATCH; j++) {                                                                    \
        uint i = from + j * LANES, row = first + i / HD4;                                                              \
        v[j] = load(x, row_index(w.b, min(row, tokens - 1), tokens, w.head), i % HD4);                                 \
        if (row >= tokens) v[j] = vec4(0.0);                                                                           \
      }                                                                                                                \
      [[unroll]] for (uint j = 0; j < BATCH; j++) {                                                                    \
        uint i = from + j * LANES;                                                                                     \
        if (i < rows * HD4) tile[at + i / HD4 * PITCH + i % HD4] = scale * v[j];                                       \
      }                                                                                                                \
    }                                                                                                                  \
  }
STAGE(stage, load4)
#if HALF == 0
#define stage_f stage
#else
STAGE(stage_f, load4f)
#endif

// s += own rows (at own) times rows of the block (at block)
void scores(uint own, uint block, inout vec4 s[NEAR]) {
  own += gl_LocalInvocationID.x / 8 * PITCH;
  block += gl_LocalInvocationID.x % 8 * PITCH;
  [[dont_unroll]] for (uint d = 0; d < HD4; d++) {
    vec4 a[4];
    [[unroll]] for (uint i = 0; i < 4; i++) a[i] = tile[own + i * GROUPS * PITCH + d];
    [[unroll]] for (uint j = 0; j < NEAR; j++) {
      vec4 x = tile[block + j * 8 * PITCH + d];
      [[unroll]] for (uint i = 0; i < 4; i++) s[j][i] = dot_add(a[i], x, s[j][i]);
    }
  }
}

void put_weights(uint at, vec4 s[NEAR]) {
  at += gl_LocalInvocationID.x % 8 * W_PITCH + gl_LocalInvocationID.x / 8;
  [[unroll]] for (uint j = 0; j < NEAR; j++) tile[at + j * 8 * W_PITCH] = s[j];
}

// acc += weights (at w) times rows of the block; acc[4 v + i] is of own row i
void accumulate(uint w, uint block, inout vec4 acc[SUMS]) {
  uint at[PARTS];
  [[unroll]] for (uint v = 0; v < PARTS; v++) at[v] = block + min(gl_LocalInvocationID.x % 8 + 8 * v, HD4 - 1);
  w += gl_LocalInvocationID.x / 8;
  [[dont_unroll]] for (uint k = 0; k < BLOCK; k += 2) {
    [[unroll]] for (uint u = k; u < k + 2; u++) {
      vec4 weight = tile[w + u * W_PITCH];
      [[unroll]] for (uint v = 0; v < PARTS; v++) {
        vec4 x = tile[at[v] + u * PITCH];
        [[unroll]] for (uint i = 0; i < 4; i++) acc[4 * v + i] = fma(vec4(weight[i]), x, acc[4 * v + i]);
      }
    }
  }
}

// The lane's part of its rows, each by its component of `scale`
void put_rows(Addr y, place w, uint tokens, vec4 scale, vec4 acc[SUMS]) {
  [[unroll]] for (uint i = 0; i < 4; i++) {
    uint token = w.first + gl_LocalInvocationID.x / 8 + i * GROUPS;
    if (token >= tokens) break;
    uint row = row_index(w.b, token, tokens, w.head);
    [[unroll]] for (uint v = 0; v < PARTS; v++) {
      uint d = gl_LocalInvocationID.x % 8 + 8 * v;
      if (d < HD4) store4(y, row, d, scale[i] * acc[4 * v + i]);
    }
  }
}
