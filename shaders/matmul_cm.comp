// c = op(a) op(b) + bias + add with cooperative matrices: a, b of HALF 1 (fp16) or 2 (bf16), sums and c in fp32.  Any m, n, k.
// A tile of c is 2 x 2 blocks, a block ROWS x COLS matrices of MM x NN (by KK), all named by specialisation constants; constant 0
// is the number of lanes, four times the subgroup size.  Operands pass through shared memory in the order they are stored in, past
// their ends as zeros, so that a transposed one costs no more than another.
#version 460
#include "common.glsl"
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
#include "half.glsl"
#define ENDING_ID 10
#include "matmul_store.glsl"
#include "matmul_tiles.glsl"
layout(constant_id = 0) const uint LANES = 128;
layout(constant_id = 1) const uint TA = 0;
layout(constant_id = 2) const uint TB = 0;
layout(constant_id = 3) const uint MM = 16; // multiples of 8, all three
layout(constant_id = 4) const uint NN = 16;
layout(constant_id = 5) const uint KK = 16;
layout(constant_id = 6) const uint ROWS = 1;
layout(constant_id = 7) const uint COLS = 1;
layout(constant_id = 8) const uint VEC_A = 0; // rows of a lie at multiples of 16 bytes
layout(constant_id = 9) const uint VEC_B = 0;

layout(buffer_reference, std430, buffer_reference_align = 16) buffer RefU4 { uvec4 v[]; };

const uint BLOCK_ROWS = ROWS * MM, BLOCK_COLS = COLS * NN, STEPS = KK > 16 ? 1 : 32 / KK;
const uint TILE_ROWS = 2 * BLOCK_ROWS, TILE_COLS = 2 * BLOCK_COLS, TILE_K = STEPS * KK;
// Tiles in units of 8 elements; a row ends with 8 unused ones, so that neighbouring rows begin in other banks.
const uint A_OUTER = TA != 0 ? TILE_K : TILE_ROWS, A_INNER = (TA != 0 ? TILE_ROWS : TILE_K) / 8, A_PITCH = A_INNER + 1;
const uint B_OUTER = TB != 0 ? TILE_COLS : TILE_K, B_INNER = (TB != 0 ? TILE_K : TILE_COLS) / 8, B_PITCH = B_INNER + 1;
const uint C_SIZE = MM * NN / 4; // one matrix of sums, for each block
const uint A_SIZE = A_OUTER * A_PITCH, AB_SIZE = A_SIZE + B_OUTER * B_PITCH;
shared uvec4 tile[AB_SIZE > 4 * C_SIZE ? AB_SIZE : 4 * C_SIZE];

// Elements inner .. inner + 7 of row `outer` of x [outers, inners]
uvec4 fetch(Addr x, uint outer, uint inner, uint outers, uint inners, bool vec) {
  bool row = outer < outers;
  uint at = row ? outer * inners : 0;
  if (vec) {
    bool inside = row && inner < inners;
    uvec4 v = RefU4(x).v[inside ? (at + inner) / 8 : 0];
    return inside ? v : uvec4(0);
  }
  uvec4 v = uvec4(0);
  [[dont_unroll]] for (uint i = 0; i < 8; i++) {
    bool inside = row && inner + i < inners;
    uint bits = raw(x, inside ? at + inner + i : 0);
    v[i / 2] |= (inside ? bits : 0) << (i % 2 * 16);
  }
  return v;
}

// Loads of a lane, up to BATCH of each tile, are under way before the first is stored.
const uint A_CHUNKS = A_OUTER * A_INNER, B_CHUNKS = B_OUTER * B_INNER, CHUNKS = A_CHUNKS > B_CHUNKS ? A_CHUNKS : B_CHUNKS;
const uint SHARE = (CHUNKS + LANES - 1) / LANES, BATCH = SHARE < 4 ? SHARE : 4;

void stage(uint row0, uint col0, uint k0) {
  [[dont_unroll]] for (uint first = gl_LocalInvocationID.x; first < CHUNKS; first += BATCH * LANES) {
    uvec4 a[BATCH], b[BATCH];
    [[unroll]] for (uint j = 0; j < BATCH; j++) {
      uint i = first + j * LANES, o = i / A_INNER, z = i % A_INNER * 8;
      a[j] = TA != 0 ? fetch(p.a, k0 + o, row0 + z, p.k, p.m, VEC_A != 0)
                     : fetch(p.a, row0 + o, k0 + z, p.m, p.k, VEC_A != 0);
      o = i / B_INNER;
      z = i % B_INNER * 8;
      b[j] = TB != 0 ? fetch(p.b, col0 + o, k0 + z, p.n, p.k, VEC_B != 0)
                     : fetch(p.b, k0 + o, col0 + z, p.k, p.n, VEC_B != 0);
    }
    [[unroll]] for (uint j = 0; j < BATCH; j++) {
      uint i = first + j * LANES;
      if (i < A_CHUNKS) tile[i / A_INNER * A_PITCH + i % A_INNER] = a[j];
      if (i < B_CHUNKS) tile[A_SIZE + i / B_INNER * B_PITCH + i % B_INNER] = b[j];
    }
  }
}

#define Sums coopmat<float, gl_ScopeSubgroup, MM, NN, gl_MatrixUseAccumulator>

// One matrix of sums, through shared memory, so that bias, added tensor and the ends of c need no layout of the lanes
void finish(Sums sums, uint block, uint row0, uint col0) {
  uint base = block * C_SIZE;
  coopMatStore(sums, tile, base, NN / 4, gl_CooperativeMatrixLayoutRowMajor);
  subgroupBarrier();
  [[dont_unroll]] for (uint i = gl_SubgroupInvocationID; i < MM * NN; i += gl_SubgroupSize) {
    uint row = row0 + i / NN, col = col0 + i % NN;
    store_slice(row, col, uintBitsToFloat(tile[base + i / 4][i % 4]));
  }
  subgroupBarrier();
}

void main() {
  uint row0, col0, begin, end;
  if (!tile_of(TILE_ROWS, TILE_COLS, row0, col0)) return;
  slice_of(TILE_K, begin, end);
  // one block to a subgroup; a driver may run fewer or more subgroups than its usual size makes
  uint pass = 0;
  [[dont_unroll]] do {
    uint block = pass + gl_SubgroupID, r = block / 2 * BLOCK_ROWS, c = block % 2 * BLOCK_COLS;
    Sums acc[ROWS * COLS];
    [[unroll]] for (uint i = 0; i < ROWS * COLS; i++) acc[i] = Sums(0.0);
    uint k0 = begin;
    [[dont_unroll]] do {
      stage(row0, col0, k0);
      barrier();
      [[dont_unroll]] for (uint k = 0; k < TILE_K && block < 4; k += KK) {
        coopmat<Half, gl_ScopeSubgroup, MM, KK, gl_MatrixUseA> a[ROWS];
        coopmat<Half, gl_ScopeSubgroup, KK, NN, gl_MatrixUseB> b;
        [[unroll]] for (uint i = 0; i < ROWS; i++) {
          uint x = r + i * MM;
          if (TA != 0) coopMatLoad(a[i], tile, k * A_PITCH + x / 8, A_PITCH, gl_CooperativeMatrixLayoutColumnMajor);
          else coopMatLoad(a[i], tile, x * A_PITCH + k / 8, A_PITCH, gl_CooperativeMatrixLayoutRowMajor);
        }
        [[unroll]] for (uint j = 0; j < COLS; j++) {
          uint x = c + j * NN;
          if (TB != 0) coopMatLoad(b, tile, A_SIZE + x * B_PITCH + k / 8, B_PITCH, gl_CooperativeMatrixLayoutColumnMajor);
          else coopMatLoad(b, tile, A_SIZE + k * B_PITCH + x / 8, B_PITCH, gl_CooperativeMatrixLayoutRowMajor);
          [[unroll]] for (uint i = 0; i < ROWS; i++) acc[i * COLS + j] = coopMatMulAdd(a[i], b, acc[i * COLS + j]);
        }
      }
      barrier();
      k0 += TILE_K;
    } while (k0 < end);
    if (block < 4) {
      [[unroll]] for (uint i = 0; i < ROWS; i++) {
        [[unroll]] for (uint j = 0; j < COLS; j++)
          finish(acc[i * COLS + j], block, row0 + r + i * MM, col0 + c + j * NN);
      }
    }
    barrier();
    pass += gl_NumSubgroups;
  } while (pass < 4);
}
