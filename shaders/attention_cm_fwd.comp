// o and lse as in attention_tile_fwd.comp with cooperative matrices.  The probabilities, at most 1, are rounded to the operands' 11 or
// 8 bits for their product with v; their sum is not.  o stays in matrices of sums that are multiplied, element by element, with one
// that has in each row how much its maximum shrinks what was there.
#version 460
#define PASS 0
#include "common.glsl"
#include "attention_cm.glsl"

// A row of scores is shared by PER_ROW lanes, which have every PER_ROW-th 8 of its keys, or a lane has ROWS rows.
const uint ROWS = (OWN + LANES - 1) / LANES;

// Scaled scores 4 i .. of a row, those of keys past the last below all others
vec4 score(uint row, uint i, uint first) {
  vec4 s = p.scale * uintBitsToFloat(tile[S_AT + row * S_PITCH + i]);
  uvec4 key = first + 4 * i + uvec4(0, 1, 2, 3);
  return mix(vec4(-3.4e38), s, lessThan(key, uvec4(p.m)));
}

// Probabilities of this lane's keys of a row, and how much its earlier sums shrink
void soften(uint row, uint part, uint first, inout float top, inout float total) {
  vec4 most = vec4(top);
  [[dont_unroll]] for (uint i = 0; i < 2 * CHUNKS; i++) most = larger(most, score(row, i, first));
  float next = larger(larger(most.x, most.y), larger(most.z, most.w)), shrink = exp(top - next);
  top = next;
  total *= shrink;
  [[dont_unroll]] for (uint i = part; i < CHUNKS; i += PER_ROW) {
    vec4 x = exp(score(row, 2 * i, first) - top), y = exp(score(row, 2 * i + 1, first) - top), z = x + y;
    total += (z.x + z.y) + (z.z + z.w);
    tile[W_AT + row * W_PITCH + i] = pack8(x, y);
  }
  [[dont_unroll]] for (uint i = part; i < NN / 4; i += PER_ROW) tile[R_AT + row * R_PITCH + i] = uvec4(floatBitsToUint(shrink));
}

void main() {
  place w = find(p.n, OWN);
  if (!w.inside) return;
  uint lane = gl_LocalInvocationID.x, part = lane % PER_ROW;
  // one unit to a subgroup; a driver may run fewer or more subgroups than its usual size makes
  uint pass = 0;
  [[dont_unroll]] do {
    uint unit = pass + gl_SubgroupID;
    Sums o[O_COUNT];
    [[unroll]] for (uint j = 0; j < O_COUNT; j++) o[j] = Sums(0.0);
    float top[ROWS], total[ROWS];
    [[unroll]] for (uint i = 0; i < ROWS; i++) {
      top[i] = -3.4e38;
      total[i] = 0.0;
    }
    stage(p.q, A_AT, w, w.first, p.n, OWN);
    uint first = 0;
    [[dont_unroll]] do {
      stage_both(p.k, p.v, C_AT, D_AT - C_AT, w, first, p.m, BLOCK);
      barrier();
      scores(A_AT, C_AT, S_AT);
      barrier();
      [[unroll]] for (uint i = 0; i < ROWS; i++) {
        uint row = lane / PER_ROW + i * LANES;
        if (row < OWN) soften(row, part, first, top[i], total[i]);
      }
      barrier();
      if (unit < UNITS) {
        Sums ratio;
        coopMatLoad(ratio, tile, R_AT + unit_row(unit) * R_PITCH, R_PITCH, gl_CooperativeMatrixLayoutRowMajor);
        [[unroll]] for (uint j = 0; j < O_COUNT; j++) o[j] *= ratio;
        accumulate(W_AT, D_AT, unit, o);
      }
      barrier();
      first += BLOCK;
    } while (first < p.m);
    if (unit < UNITS) put_sums(unit, o);
    [[unroll]] for (uint i = 0; i < ROWS; i++) {
      uint row = lane / PER_ROW + i * LANES;
      if (row < OWN) tile[T_AT + row * PER_ROW + part] = floatBitsToUint(vec4(total[i], top[i], 0.0, 0.0));
    }
    barrier();
    if (unit < UNITS) {
      FOR_ITEMS(unit, i) {
        uint row = item_row(unit, i), d = item_d(unit, i);
        if (w.first + row < p.n && d < HD4) {
          float sum = 0.0;
          [[dont_unroll]] for (uint j = 0; j < PER_ROW; j++) sum += uintBitsToFloat(tile[T_AT + row * PER_ROW + j].x);
          store4(p.o, row_index(w.b, w.first + row, p.n, w.head), d, uintBitsToFloat(tile[result_row(unit, row) + d]) / sum);
          if (d == 0) RefF(p.lse).v[w.bh * p.n + w.first + row] = uintBitsToFloat(tile[T_AT + row * PER_ROW].y) + log(sum);
        }
      }
    }
    barrier();
    pass += gl_NumSubgroups;
  } while (pass < UNITS);
}
