// c = op(a) op(b), ended by store(), by tiles of ROWS x COLS in shared memory, SIDE_R x SIDE_C outputs (multiples of 4) to a lane.  a and
// b are floats, or 16-bit as half.glsl has it.  Any m, n, k; a [m,k] or [k,m], b [k,n] or [n,k].  Specialisation constant 0 must be
// the number of lanes that these make, and divide ROWS STEP / 4 and COLS STEP / 4.
#version 460
#include "common.glsl"
#include "half.glsl"
#define ENDING_ID 11
#include "matmul_store.glsl"
#include "matmul_tiles.glsl"
layout(constant_id = 0) const uint LANES = 64;
layout(constant_id = 1) const uint TA = 0;
layout(constant_id = 2) const uint TB = 0;
layout(constant_id = 3) const uint ROWS = 32;
layout(constant_id = 4) const uint COLS = 32;
layout(constant_id = 5) const uint STEP = 16; // of k at a time
layout(constant_id = 6) const uint SIDE_R = 4;
layout(constant_id = 7) const uint SIDE_C = 4;
layout(constant_id = 8) const uint VEC_A = 0; // four neighbours of a lie at one aligned address
layout(constant_id = 9) const uint VEC_B = 0;
layout(constant_id = 10) const uint UNROLL = 1; // steps of k written out

// Two of each: while one is multiplied the other is filled.  A row is 4 longer than it need be, so that lanes that write columns
// hit different banks and four neighbours stay at an aligned address.
const uint A_PITCH = ROWS + 4, B_PITCH = COLS + 4, A_SIZE = STEP * A_PITCH, B_SIZE = STEP * B_PITCH;
shared float as[2 * A_SIZE], bs[2 * B_SIZE]; // as also holds a row of sums of every lane: STEP is no less than COLS / (2 SIDE_R)

// Elements inner .. inner + 3 of row `outer` of x [outers, inners], zero past its ends
vec4 fetch(Addr x, uint outer, uint inner, uint outers, uint inners, bool vec) {
  bool row = outer < outers;
  uint at = row ? outer * inners : 0;
  if (vec) {
    bool inside = row && inner < inners;
    vec4 v = operand4(x, inside ? (at + inner) / 4 : 0);
    return inside ? v : vec4(0.0);
  }
  vec4 v;
  [[unroll]] for (uint i = 0; i < 4; i++) {
    bool inside = row && inner + i < inners;
    float y = operand(x, inside ? at + inner + i : 0);
    v[i] = inside ? y : 0.0;
  }
  return v;
}

// A lane's share of a tile, four neighbours in the operand's order at a time
const uint A_INNER = (TA != 0 ? ROWS : STEP) / 4, B_INNER = (TB != 0 ? STEP : COLS) / 4;
const uint A_SHARE = ROWS * STEP / 4 / LANES, B_SHARE = COLS * STEP / 4 / LANES;

void main() {
  uint t = gl_LocalInvocationID.x, row0, col0, k0, end;
  if (!tile_of(ROWS, COLS, row0, col0)) return;
  slice_of(STEP, k0, end);
  uint tr = t / (COLS / SIDE_C) * 4, tc = t % (COLS / SIDE_C) * 4; // its outputs: quads of rows and columns, evenly apart
  float acc[SIDE_R][SIDE_C];
  [[unroll]] for (uint i = 0; i < SIDE_R; i++) {
    [[unroll]] for (uint j = 0; j < SIDE_C; j++) acc[i][j] = 0.0;
  }
  vec4 next_a[A_SHARE], next_b[B_SHARE];
  uint tile = 0; // of the two that are filled, 0 or 1
  // round 0 fills the first tile; every other one multiplies a tile while the loads of the next are under way
  bool first = true;
  do {
    uint k = first ? k0 : k0 + STEP;
    [[unroll]] for (uint i = 0; i < A_SHARE; i++) {
      uint at = t + i * LANES, o = at / A_INNER, z = at % A_INNER * 4;
      next_a[i] = TA != 0 ? fetch(p.a, k + o, row0 + z, p.k, p.m, VEC_A != 0) : fetch(p.a, row0 + o, k + z, p.m, p.k, VEC_A != 0);
    }
    [[unroll]] for (uint i = 0; i < B_SHARE; i++) {
      uint at = t + i * LANES, o = at / B_INNER, z = at % B_INNER * 4;
      next_b[i] = TB != 0 ? fetch(p.b, col0 + o, k + z, p.n, p.k, VEC_B != 0) : fetch(p.b, k + o, col0 + z, p.k, p.n, VEC_B != 0);
    }
    if (!first) {
      uint s = 0;
      [[dont_unroll]] do {
        [[unroll]] for (uint u = 0; u < UNROLL; u++) {
          float a[SIDE_R], b[SIDE_C];
          uint at_a = tile * A_SIZE + (s + u) * A_PITCH + tr, at_b = tile * B_SIZE + (s + u) * B_PITCH + tc;
          [[unroll]] for (uint i = 0; i < SIDE_R; i++) a[i] = as[at_a + i / 4 * (4 * ROWS / SIDE_R) + i % 4];
          [[unroll]] for (uint j = 0; j < SIDE_C; j++) b[j] = bs[at_b + j / 4 * (4 * COLS / SIDE_C) + j % 4];
          [[unroll]] for (uint i = 0; i < SIDE_R; i++) {
            [[unroll]] for (uint j = 0; j < SIDE_C; j++) acc[i][j] = fma(a[i], b[j], acc[i][j]);
          }
        }
        s += UNROLL;
      } while (s < STEP);
      k0 += STEP;
      tile ^= 1;
    }
    first = false;
    [[unroll]] for (uint i = 0; i < A_SHARE; i++) {
      uint at = t + i * LANES, o = at / A_INNER, z = at % A_INNER * 4;
      [[unroll]] for (uint j = 0; j < 4; j++)
        as[tile * A_SIZE + (TA != 0 ? o * A_PITCH + z + j : (z + j) * A_PITCH + o)] = next_a[i][j];
    }
    [[unroll]] for (uint i = 0; i < B_SHARE; i++) {
      uint at = t + i * LANES, o = at / B_INNER, z = at % B_INNER * 4;
      [[unroll]] for (uint j = 0; j < 4; j++)
        bs[tile * B_SIZE + (TB != 0 ? (z + j) * B_PITCH + o : o * B_PITCH + z + j)] = next_b[i][j];
    }
    barrier();
  } while (k0 < end);
  // A row of every lane at a time, through shared memory: neighbouring lanes store neighbours, and store() is compiled once for each
  // row, not for each output.  The last barrier of the loop has freed the tiles.
  [[unroll]] for (uint i = 0; i < SIDE_R; i++) {
    [[unroll]] for (uint j = 0; j < SIDE_C; j++) as[tr / 4 * COLS + tc + j / 4 * (4 * COLS / SIDE_C) + j % 4] = acc[i][j];
    barrier();
    [[dont_unroll]] for (uint at = t; at < ROWS / SIDE_R * COLS; at += LANES)
      store_slice(row0 + at / COLS * 4 + i / 4 * (4 * ROWS / SIDE_R) + i % 4, col0 + at % COLS, as[at]);
    barrier();
  }
}
