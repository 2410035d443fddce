// o = softmax(scale q kT) v per head with a running maximum, lse = log of the sum of exp(scale q kT): blocks of queries and keys in
// shared memory.  Source: Dao et al. 2022, arXiv:2205.14135
#version 460
#define PASS 0
#include "common.glsl"
#include "attention_tile.glsl"

void main() {
  place w = find(p.n, OWN);
  if (!w.inside) return;
  uint r = gl_LocalInvocationID.x / 8, c = gl_LocalInvocationID.x % 8;
  stage(p.q, A_AT, w, w.first, p.n, OWN, p.scale);
  vec4 acc[SUMS], top = vec4(-3.4e38), total = vec4(0.0); // total: of this lane's keys
  [[unroll]] for (uint i = 0; i < SUMS; i++) acc[i] = vec4(0.0);
  uint first = 0;
  do {
    stage(p.k, C_AT, w, first, p.m, BLOCK, 1.0);
    stage(p.v, D_AT, w, first, p.m, BLOCK, 1.0);
    barrier();
    vec4 s[NEAR], next = top;
    [[unroll]] for (uint j = 0; j < NEAR; j++) s[j] = vec4(0.0);
    scores(A_AT, C_AT, s);
    [[unroll]] for (uint j = 0; j < NEAR; j++) {
      if (first + c + 8 * j >= p.m) s[j] = vec4(-3.4e38);
      next = larger(next, s[j]);
    }
    tile[MAX_AT + c * W_PITCH + r] = next;
    barrier();
    [[dont_unroll]] for (uint i = 0; i < 8; i += 4) { // all 8 at once take long to compile on a CPU
      [[unroll]] for (uint j = i; j < i + 4; j++) next = larger(next, tile[MAX_AT + j * W_PITCH + r]);
    }
    vec4 shrink = exp(top - next);
    top = next;
    total *= shrink;
    [[unroll]] for (uint j = 0; j < NEAR; j++) {
      s[j] = exp(s[j] - top);
      total += s[j];
    }
    put_weights(C_AT, s);
    [[unroll]] for (uint i = 0; i < SUMS; i++) acc[i] *= shrink[i % 4];
    barrier();
    accumulate(C_AT, D_AT, acc);
    barrier();
    first += BLOCK;
  } while (first < p.m);
  tile[MAX_AT + c * W_PITCH + r] = total;
  barrier();
  total = vec4(0.0);
  [[dont_unroll]] for (uint i = 0; i < 8; i++) total += tile[MAX_AT + i * W_PITCH + r];
  put_rows(p.o, w, p.n, 1.0 / total, acc);
  [[unroll]] for (uint i = 0; i < 4; i++) {
    uint token = w.first + r + i * GROUPS;
    if (c == 0 && token < p.n) RefF(p.lse).v[w.bh * p.n + token] = top[i] + log(total[i]);
  }
}
