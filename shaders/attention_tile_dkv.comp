// dv = PT dout and dk = scale dsT q, with P and ds as in attention_tile_dq.comp: own rows are keys, blocks are of queries.
#version 460
#define PASS 2
#include "common.glsl"
#include "attention_tile.glsl"

void main() {
  place w = find(p.m, OWN);
  if (!w.inside) return;
  uint c = gl_LocalInvocationID.x % 8;
  stage(p.k, A_AT, w, w.first, p.m, OWN, p.scale);
  stage(p.v, B_AT, w, w.first, p.m, OWN, 1.0);
  vec4 dk[SUMS], dv[SUMS];
  [[unroll]] for (uint i = 0; i < SUMS; i++) dk[i] = dv[i] = vec4(0.0);
  uint first = 0;
  do {
    vec4 s[NEAR], dp[NEAR];
    [[unroll]] for (uint j = 0; j < NEAR; j++) {
      uint row = w.bh * p.n + min(first + c + 8 * j, p.n - 1);
      s[j] = vec4(-RefF(p.lse).v[row]);
      dp[j] = vec4(-RefF(p.delta).v[row]);
    }
    stage(p.q, C_AT, w, first, p.n, BLOCK, 1.0);
    stage_f(p.dout, D_AT, w, first, p.n, BLOCK, 1.0);
    barrier();
    scores(A_AT, C_AT, s);
    scores(B_AT, D_AT, dp);
    [[unroll]] for (uint j = 0; j < NEAR; j++) {
      s[j] = first + c + 8 * j < p.n ? exp(s[j]) : vec4(0.0);
      dp[j] *= s[j];
    }
    put_weights(W_AT, s);
    put_weights(W_AT + W_SIZE, dp);
    barrier();
    accumulate(W_AT, D_AT, dv);
    accumulate(W_AT + W_SIZE, C_AT, dk);
    barrier();
    first += BLOCK;
  } while (first < p.n);
  put_rows(p.dk, w, p.m, vec4(p.scale), dk);
  put_rows(p.dv, w, p.m, vec4(1.0), dv);
}
