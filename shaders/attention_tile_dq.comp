// dq = scale ds k, with ds = P (dout vT - delta) and P = exp(scale q kT - lse) computed again: blocks in shared memory.
#version 460
#define PASS 1
#include "common.glsl"
#include "attention_tile.glsl"

void main() {
  place w = find(p.n, OWN);
  if (!w.inside) return;
  uint r = gl_LocalInvocationID.x / 8, c = gl_LocalInvocationID.x % 8;
  stage(p.q, A_AT, w, w.first, p.n, OWN, p.scale);
  stage_f(p.dout, B_AT, w, w.first, p.n, OWN, 1.0);
  vec4 acc[SUMS], lse, delta;
  [[unroll]] for (uint i = 0; i < SUMS; i++) acc[i] = vec4(0.0);
  [[unroll]] for (uint i = 0; i < 4; i++) {
    uint row = w.bh * p.n + min(w.first + r + i * GROUPS, p.n - 1);
    lse[i] = RefF(p.lse).v[row];
    delta[i] = RefF(p.delta).v[row];
  }
  uint first = 0;
  do {
    stage(p.k, C_AT, w, first, p.m, BLOCK, 1.0);
    stage(p.v, D_AT, w, first, p.m, BLOCK, 1.0);
    barrier();
    vec4 s[NEAR], dp[NEAR];
    [[unroll]] for (uint j = 0; j < NEAR; j++) {
      s[j] = -lse;
      dp[j] = -delta;
    }
    scores(A_AT, C_AT, s);
    scores(B_AT, D_AT, dp);
    [[unroll]] for (uint j = 0; j < NEAR; j++) s[j] = first + c + 8 * j < p.m ? exp(s[j]) * dp[j] : vec4(0.0);
    barrier();
    put_weights(D_AT, s);
    barrier();
    accumulate(D_AT, C_AT, acc);
    barrier();
    first += BLOCK;
  } while (first < p.m);
  put_rows(p.dq, w, p.n, vec4(p.scale), acc);
}
