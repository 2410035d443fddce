// dq = scale ds k, with ds = P (dout vT - delta) and P = exp(scale q kT - lse) computed again, with cooperative matrices.  dout and ds are
// rounded to the operands' 11 or 8 bits for their products.
#version 460
#define PASS 1
#include "common.glsl"
#include "attention_cm.glsl"

// ds of keys 4 i .. of a row, 0 past the last key
vec4 weights(uint row, uint i, uint first, float lse, float delta) {
  uint at = S_AT + row * S_PITCH + i;
  vec4 ds = exp(p.scale * floats(at) - lse) * (floats(at + S_SIZE) - delta);
  return mix(vec4(0.0), ds, lessThan(first + 4 * i + uvec4(0, 1, 2, 3), uvec4(p.m)));
}

void main() {
  place w = find(p.n, OWN);
  if (!w.inside) return;
  // one unit to a subgroup; a driver may run fewer or more subgroups than its usual size makes
  uint pass = 0;
  [[dont_unroll]] do {
    uint unit = pass + gl_SubgroupID;
    Sums dq[O_COUNT];
    [[unroll]] for (uint j = 0; j < O_COUNT; j++) dq[j] = Sums(0.0);
    stage(p.q, A_AT, w, w.first, p.n, OWN);
    stage_f(p.dout, B_AT, w, w.first, p.n, OWN);
    stage_stats(w, w.first);
    uint first = 0;
    [[dont_unroll]] do {
      stage_both(p.k, p.v, C_AT, BLOCK_SIZE, w, first, p.m, BLOCK);
      barrier();
      [[dont_unroll]] for (uint i = 0; i < 2; i++) scores(A_AT + i * OWN_SIZE, C_AT + i * BLOCK_SIZE, S_AT + i * S_SIZE);
      barrier();
      [[dont_unroll]] for (uint i = gl_LocalInvocationID.x; i < OWN * CHUNKS; i += LANES) {
        uint row = i / CHUNKS, chunk = i % CHUNKS;
        float lse = floats(STAT_AT + row / 4)[row % 4], delta = floats(STAT_AT + STATS / 4 + row / 4)[row % 4];
        vec4 low = weights(row, 2 * chunk, first, lse, delta), high = weights(row, 2 * chunk + 1, first, lse, delta);
        tile[W_AT + row * W_PITCH + chunk] = pack8(low, high);
      }
      barrier();
      if (unit < UNITS) accumulate(W_AT, C_AT, unit, dq);
      barrier();
      first += BLOCK;
    } while (first < p.m);
    if (unit < UNITS) put_rows(p.dq, w, p.n, p.scale, unit, dq);
    barrier();
    pass += gl_NumSubgroups;
  } while (pass < UNITS);
}
