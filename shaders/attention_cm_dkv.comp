// dv = PT dout and dk = scale dsT q, with P and ds as in attention_cm_dq.comp: own rows are keys, blocks are of queries.  P, ds and dout are
// rounded to the operands' 11 or 8 bits for their products.
#version 460
#define PASS 2
#include "common.glsl"
#include "attention_cm.glsl"

// P and ds of queries 4 i .. with a key; past the last query both are 0, as its lse says
void weights(uint row, uint i, out vec4 prob, out vec4 ds) {
  uint at = S_AT + row * S_PITCH + i;
  prob = exp(p.scale * floats(at) - floats(STAT_AT + i));
  ds = prob * (floats(at + S_SIZE) - floats(STAT_AT + STATS / 4 + i));
}

void main() {
  place w = find(p.m, OWN);
  if (!w.inside) return;
  // one unit to a subgroup; a driver may run fewer or more subgroups than its usual size makes
  uint pass = 0;
  [[dont_unroll]] do {
    uint unit = pass + gl_SubgroupID;
    uint is_dk = unit_result(unit); // 0: the unit is of dv
    Sums acc[O_COUNT];
    [[unroll]] for (uint j = 0; j < O_COUNT; j++) acc[j] = Sums(0.0);
    stage_both(p.k, p.v, A_AT, OWN_SIZE, w, w.first, p.m, OWN);
    uint first = 0;
    [[dont_unroll]] do {
      stage(p.q, C_AT, w, first, p.n, BLOCK);
      stage_f(p.dout, D_AT, w, first, p.n, BLOCK);
      stage_stats(w, first);
      barrier();
      [[dont_unroll]] for (uint i = 0; i < 2; i++) scores(A_AT + i * OWN_SIZE, C_AT + i * BLOCK_SIZE, S_AT + i * S_SIZE);
      barrier();
      [[dont_unroll]] for (uint i = gl_LocalInvocationID.x; i < OWN * CHUNKS; i += LANES) {
        uint row = i / CHUNKS, chunk = i % CHUNKS, at = W_AT + row * W_PITCH + chunk;
        vec4 prob[2], ds[2];
        [[unroll]] for (uint j = 0; j < 2; j++) weights(row, 2 * chunk + j, prob[j], ds[j]);
        tile[at] = pack8(prob[0], prob[1]);
        tile[at + W_SIZE] = pack8(ds[0], ds[1]);
      }
      barrier();
      if (unit < UNITS) accumulate(W_AT + is_dk * W_SIZE, D_AT - is_dk * BLOCK_SIZE, unit, acc);
      barrier();
      first += BLOCK;
    } while (first < p.n);
    if (unit < UNITS) put_rows(is_dk != 0 ? p.dk : p.dv, w, p.m, is_dk != 0 ? p.scale : 1.0, unit, acc);
    barrier();
    pass += gl_NumSubgroups;
  } while (pass < UNITS);
}
