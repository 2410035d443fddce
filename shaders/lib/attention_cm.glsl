// What the attention kernels with cooperative matrices share: operands of HALF 1 (fp16) or 2 (bf16), sums in fp32.
// A workgroup owns STRIPS times MM rows of one head (queries, or keys in attention_cm_dkv.comp) and takes BLOCK rows of the other
// side at a time, in a fixed order.  A strip's results stay in matrices of sums, each result divided by columns among PARTS
// subgroups; its scores are divided among SCORE_PARTS.  What lies between two products goes through shared memory, where layouts are known.
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#if HALF == 1
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define Half float16_t
#else
#extension GL_EXT_bfloat16 : require
#define Half bfloat16_t
#endif
#include "attention.glsl"
layout(constant_id = 0) const uint LANES = 128;
layout(constant_id = 4) const uint VEC8 = 0; // rows of q, k and v lie at multiples of 16 bytes
layout(constant_id = 5) const uint MM = 16;  // multiples of 8, all three
layout(constant_id = 6) const uint NN = 16;
layout(constant_id = 7) const uint KK = 16;
layout(constant_id = 8) const uint STRIPS = 4;
layout(constant_id = 9) const uint WIDTH = 64; // HD filled up with zeros to multiples of NN and KK; BLOCK is one of both too
layout(constant_id = 10) const uint PARTS = 1;
layout(constant_id = 11) const uint SCORE_PARTS = 1;
layout(constant_id = 12) const uint LOADS = 4; // of a lane under way at a time, at most

layout(buffer_reference, std430, buffer_reference_align = 16) buffer RefU4 { uvec4 v[]; };

const uint RESULTS = PASS == 2 ? 2 : 1;
const uint OWN = STRIPS * MM, CHUNKS = BLOCK / 8, UNITS = STRIPS * RESULTS * PARTS;
const uint S_COUNT = BLOCK / NN / SCORE_PARTS, O_COUNT = WIDTH / NN / PARTS; // matrices of a subgroup

// In units of 8 elements (fp32: of 4), with odd pitches, so that neighbouring rows begin in other banks; as bytes_of() of
// runtime/ops/attention_coopmat.c counts.  Results take all of it in the end.
const uint PITCH = WIDTH / 8 | 1, W_PITCH = CHUNKS | 1, S_PITCH = BLOCK / 4 | 1, O_PITCH = WIDTH / 4 | 1;
const uint OWN_SIZE = OWN * PITCH, BLOCK_SIZE = BLOCK * PITCH, W_SIZE = OWN * W_PITCH, S_SIZE = OWN * S_PITCH;
#if PASS == 0
// own q; k, later probabilities and how much earlier sums shrink; v; scores.  In the end o, and its rows' totals.
const uint RATIO = LANES > OWN ? LANES / OWN : 1, PER_ROW = RATIO < CHUNKS ? RATIO : CHUNKS;
const uint R_PITCH = NN / 4 | 1, WR_SIZE = W_SIZE + OWN * R_PITCH;
const uint A_AT = 0, C_AT = OWN_SIZE, W_AT = C_AT, R_AT = W_AT + W_SIZE, D_AT = C_AT + (BLOCK_SIZE > WR_SIZE ? BLOCK_SIZE : WR_SIZE);
const uint S_AT = D_AT + BLOCK_SIZE, LOOP_END = S_AT + S_SIZE, T_AT = OWN * O_PITCH, END = T_AT + OWN * PER_ROW;
#elif PASS == 1
// own q, dout; k; v, later ds; scores, dp; lse and delta of own rows
const uint A_AT = 0, B_AT = OWN_SIZE, C_AT = 2 * OWN_SIZE, D_AT = C_AT + BLOCK_SIZE, W_AT = D_AT;
const uint S_AT = D_AT + (BLOCK_SIZE > W_SIZE ? BLOCK_SIZE : W_SIZE), STAT_AT = S_AT + 2 * S_SIZE, STATS = OWN;
const uint LOOP_END = STAT_AT + STATS / 2, END = RESULTS * OWN * O_PITCH;
#else
// own k, v; q; dout; scores, dp; probabilities, ds; lse and delta of the block's rows
const uint A_AT = 0, B_AT = OWN_SIZE, C_AT = 2 * OWN_SIZE, D_AT = C_AT + BLOCK_SIZE, S_AT = D_AT + BLOCK_SIZE;
const uint W_AT = S_AT + 2 * S_SIZE, STAT_AT = W_AT + 2 * W_SIZE, STATS = BLOCK;
const uint LOOP_END = STAT_AT + STATS / 2, END = RESULTS * OWN * O_PITCH;
#endif
shared uvec4 tile[LOOP_END > END ? LOOP_END : END];

// Elements x .. x + 7 of row `row` of a head of r, zeros past HD and past the last token
uvec4 fetch(Addr r, place w, uint row, uint tokens, uint x) {
  uint at = row_index(w.b, min(row, tokens - 1), tokens, w.head) + x;
  if (VEC8 != 0) {
    bool inside = row < tokens && x < HD;
    uvec4 v = RefU4(r).v[(inside ? at : 0) / 8];
    return inside ? v : uvec4(0);
  }
  uvec4 v = uvec4(0);
  [[dont_unroll]] for (uint i = 0; i < 8; i++) {
    bool inside = row < tokens && x + i < HD;
    uint bits = raw(r, inside ? at + i : 0);
    v[i / 2] |= (inside ? bits : 0) << (i % 2 * 16);
  }
  return v;
}

uint pack(float x, float y) {
#if HALF == 1
  return packHalf2x16(vec2(x, y));
#else
  uvec2 u = floatBitsToUint(vec2(x, y)); // to nearest, ties to even; no NaN comes here that is not one afterwards
  u += 0x7FFFu + (u >> 16 & 1u);
  return u.y & 0xFFFF0000u | u.x >> 16;
#endif
}
uvec4 pack8(vec4 x, vec4 y) { return uvec4(pack(x.x, x.y), pack(x.z, x.w), pack(y.x, y.y), pack(y.z, y.w)); }

// The same of floats, rounded to Half
uvec4 fetch_f(Addr r, place w, uint row, uint tokens, uint x) {
  uint base = row_index(w.b, min(row, tokens - 1), tokens, w.head), i = x / 4;
  vec4 low = load4f(r, base, min(i, HD4 - 1)), high = load4f(r, base, min(i + 1, HD4 - 1));
  bool inside = row < tokens;
  return pack8(inside && i < HD4 ? low : vec4(0.0), inside && i + 1 < HD4 ? high : vec4(0.0));
}

// Rows first .. first + rows - 1 of x [batch, tokens, heads, HD] to tile[at ..]; up to BATCH loads of a lane are under way before
// the first is stored.
const uint ROW_CHUNKS = WIDTH / 8, SHARE = (BLOCK * ROW_CHUNKS + LANES - 1) / LANES, BATCH = SHARE < LOADS ? SHARE : LOADS;
#define STAGE(name, fetch)                                                                                             \
  void name(Addr x, uint at, place w, uint first, uint tokens, uint rows) {                                            \
    [[dont_unroll]] for (uint from = gl_LocalInvocationID.x; from < rows * ROW_CHUNKS; from += BATCH * LANES) {        \
      uvec4 v[BATCH];                                                                                                  \
      [[unroll]] for (uint j = 0; j < BATCH; j++) {                                                                    \
        uint i = from + j * LANES;                                                                                     \
        v[j] = fetch(x, w, first + i / ROW_CHUNKS, tokens, i % ROW_CHUNKS * 8);                                        \
      }                                                                                                                \
      [[unroll]] for (uint j = 0; j < BATCH; j++) {                                                                    \
        uint i = from + j * LANES;                                                                                     \
        if (i < rows * ROW_CHUNKS) tile[at + i / ROW_CHUNKS * PITCH + i % ROW_CHUNKS] = v[j];                          \
      }                                                                                                                \
    }                                                                                                                  \
  }
STAGE(stage, fetch)
STAGE(stage_f, fetch_f)

// x to tile[at ..], y to tile[at + apart ..]; as a loop, since what is written once is compiled once
void stage_both(Addr x, Addr y, uint at, uint apart, place w, uint first, uint tokens, uint rows) {
  [[dont_unroll]] for (uint i = 0; i < 2; i++) stage(i == 0 ? x : y, at + i * apart, w, first, tokens, rows);
}

#define Sums coopmat<float, gl_ScopeSubgroup, MM, NN, gl_MatrixUseAccumulator>
#define Left coopmat<Half, gl_ScopeSubgroup, MM, KK, gl_MatrixUseA>
#define Right coopmat<Half, gl_ScopeSubgroup, KK, NN, gl_MatrixUseB>

// Own rows (at own) times rows of the block (at block), to tile[to ..].  Whatever the number of subgroups, they make all of it.
void scores(uint own, uint block, uint to) {
  [[dont_unroll]] for (uint u = gl_SubgroupID; u < STRIPS * SCORE_PARTS; u += gl_NumSubgroups) {
    uint row = u / SCORE_PARTS * MM, col = u % SCORE_PARTS * S_COUNT * NN;
    Sums s[S_COUNT];
    [[unroll]] for (uint j = 0; j < S_COUNT; j++) s[j] = Sums(0.0);
    [[dont_unroll]] for (uint k = 0; k < WIDTH; k += KK) {
      Left a;
      coopMatLoad(a, tile, own + row * PITCH + k / 8, PITCH, gl_CooperativeMatrixLayoutRowMajor);
      [[unroll]] for (uint j = 0; j < S_COUNT; j++) {
        Right b;
        coopMatLoad(b, tile, block + (col + j * NN) * PITCH + k / 8, PITCH, gl_CooperativeMatrixLayoutColumnMajor);
        s[j] = coopMatMulAdd(a, b, s[j]);
      }
    }
    [[unroll]] for (uint j = 0; j < S_COUNT; j++)
      coopMatStore(s[j], tile, to + row * S_PITCH + (col + j * NN) / 4, S_PITCH, gl_CooperativeMatrixLayoutRowMajor);
  }
}

// Which result a unit has a part of, and its first row and column there
uint unit_result(uint unit) { return unit / PARTS % RESULTS; }
uint unit_row(uint unit) { return unit / PARTS / RESULTS * MM; }
uint unit_col(uint unit) { return unit % PARTS * O_COUNT * NN; }

// acc += weights (at w) times rows of the block
void accumulate(uint weights, uint block, uint unit, inout Sums acc[O_COUNT]) {
  [[dont_unroll]] for (uint k = 0; k < BLOCK; k += KK) {
    Left a;
    coopMatLoad(a, tile, weights + unit_row(unit) * W_PITCH + k / 8, W_PITCH, gl_CooperativeMatrixLayoutRowMajor);
    [[unroll]] for (uint j = 0; j < O_COUNT; j++) {
      Right b;
      coopMatLoad(b, tile, block + k * PITCH + unit_col(unit) / 8 + j * NN / 8, PITCH, gl_CooperativeMatrixLayoutRowMajor);
      acc[j] = coopMatMulAdd(a, b, acc[j]);
    }
  }
}

// Row `row` of a result in tile, in the end
uint result_row(uint unit, uint row) { return (unit_result(unit) * OWN + row) * O_PITCH; }

// A unit's results to its own place there, for its subgroup to read.
void put_sums(uint unit, Sums acc[O_COUNT]) {
  uint at = result_row(unit, unit_row(unit)) + unit_col(unit) / 4;
  [[unroll]] for (uint j = 0; j < O_COUNT; j++)
    coopMatStore(acc[j], tile, at + j * NN / 4, O_PITCH, gl_CooperativeMatrixLayoutRowMajor);
}

// The items of a unit's results, a row and 4 columns (d) each, that a lane has
#define FOR_ITEMS(unit, i)                                                                                             \
  [[dont_unroll]] for (uint i = gl_SubgroupInvocationID; i < MM * (O_COUNT * NN / 4); i += gl_SubgroupSize)
uint item_row(uint unit, uint i) { return unit_row(unit) + i / (O_COUNT * NN / 4); }
uint item_d(uint unit, uint i) { return unit_col(unit) / 4 + i % (O_COUNT * NN / 4); }

#if PASS != 0
// A unit's results, scaled, to rows w.first .. of y.  Nobody else reads tile now.
void put_rows(Addr y, place w, uint tokens, float scale, uint unit, Sums acc[O_COUNT]) {
  put_sums(unit, acc);
  subgroupBarrier();
  FOR_ITEMS(unit, i) {
    uint row = item_row(unit, i), d = item_d(unit, i);
    if (w.first + row < tokens && d < HD4)
      store4(y, row_index(w.b, w.first + row, tokens, w.head), d, scale * uintBitsToFloat(tile[result_row(unit, row) + d]));
  }
}

// lse and delta of queries first .. first + STATS - 1; past the last ones that make a probability 0
void stage_stats(place w, uint first) {
  [[dont_unroll]] for (uint i = gl_LocalInvocationID.x; i < STATS / 4; i += LANES) {
    vec4 lse, delta;
    [[dont_unroll]] for (uint j = 0; j < 4; j++) {
      uint query = first + 4 * i + j, at = w.bh * p.n + min(query, p.n - 1);
      lse[j] = query < p.n ? RefF(p.lse).v[at] : 3.4e38;
      delta[j] = query < p.n ? RefF(p.delta).v[at] : 0.0;
    }
    tile[STAT_AT + i] = floatBitsToUint(lse);
    tile[STAT_AT + STATS / 4 + i] = floatBitsToUint(delta);
  }
}

vec4 floats(uint at) { return uintBitsToFloat(tile[at]); }
#endif
