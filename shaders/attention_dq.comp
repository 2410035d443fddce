// dq = scale ds k, with ds = P (dout vT - delta) and P = exp(scale q kT - lse) computed again.  One lane per query.
#version 460
#include "common.glsl"
#include "attention_lanes.glsl"

void main() {
  uint blocks = (p.n + gl_WorkGroupSize.x - 1) / gl_WorkGroupSize.x, group = flat_group();
  uint bh = group / blocks, b = bh / p.heads, head = bh % p.heads;
  if (b >= p.batch) return;
  uint first = group % blocks * gl_WorkGroupSize.x, token = first + gl_LocalInvocationID.x, query = min(token, p.n - 1);
  uint row = row_index(b, query, p.n, head), keys = row_index(b, 0, p.m, head), stride = p.heads * HD;
  float lse = RefF(p.lse).v[bh * p.n + query], delta = RefF(p.delta).v[bh * p.n + query];
  vec4 q[HD4], dout[HD4], acc[HD4];
  FOR_OWN(
    q[i] = p.scale * load_own(p.q, b, first, p.n, head, i);
    dout[i] = load_own_f(p.dout, b, first, p.n, head, i);
    acc[i] = vec4(0.0);
  )
  uint j = 0;
  do {
    float s[BLOCK], dp[BLOCK];
    uint at[BLOCK];
    [[unroll]] for (uint u = 0; u < BLOCK; u++) {
      s[u] = -lse;
      dp[u] = -delta;
      at[u] = keys + min(j + u, p.m - 1) * stride;
    }
    SHARE_ROWS(k, load4, p.k)
    SHARE_ROWS(v, load4, p.v)
    [[unroll]] for (uint i = 0; i < HD4; i++) {
      [[unroll]] for (uint u = 0; u < BLOCK; u++) {
        s[u] = dot_add(q[i], SHARED(k, load4, u, i), s[u]);
        dp[u] = dot_add(dout[i], SHARED(v, load4, u, i), dp[u]);
      }
    }
    [[unroll]] for (uint u = 0; u < BLOCK; u++) s[u] = j + u < p.m ? exp(s[u]) * dp[u] : 0.0;
    [[unroll]] for (uint i = 0; i < HD4; i++) {
      vec4 x = acc[i];
      [[unroll]] for (uint u = 0; u < BLOCK; u++) x = fma(vec4(s[u]), SHARED(k, load4, u, i), x);
      acc[i] = x;
    }
    j += BLOCK;
  } while (j < p.m);
  if (token >= p.n) return;
  [[unroll]] for (uint i = 0; i < HD4; i++) store4(p.dq, row, i, p.scale * acc[i]);
}
