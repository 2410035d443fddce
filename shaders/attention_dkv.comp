// dv = PT dout and dk = scale dsT q, with P and ds as in attention_dq.comp.  One lane per key.
#version 460
#include "common.glsl"
#include "attention_lanes.glsl"

void main() {
  uint blocks = (p.m + gl_WorkGroupSize.x - 1) / gl_WorkGroupSize.x, group = flat_group();
  uint bh = group / blocks, b = bh / p.heads, head = bh % p.heads;
  if (b >= p.batch) return;
  uint first = group % blocks * gl_WorkGroupSize.x, token = first + gl_LocalInvocationID.x;
  uint row = row_index(b, min(token, p.m - 1), p.m, head), queries = row_index(b, 0, p.n, head);
  uint stride = p.heads * HD;
  vec4 k[HD4], v[HD4], dk[HD4], dv[HD4];
  FOR_OWN(
    k[i] = p.scale * load_own(p.k, b, first, p.m, head, i);
    v[i] = load_own(p.v, b, first, p.m, head, i);
    dk[i] = vec4(0.0);
    dv[i] = vec4(0.0);
  )
  uint j = 0;
  do {
    float s[BLOCK], dp[BLOCK];
    uint at[BLOCK];
    [[unroll]] for (uint u = 0; u < BLOCK; u++) {
      uint query = min(j + u, p.n - 1);
      s[u] = -RefF(p.lse).v[bh * p.n + query];
      dp[u] = -RefF(p.delta).v[bh * p.n + query];
      at[u] = queries + query * stride;
    }
    SHARE_ROWS(theirs, load4, p.q)
    SHARE_ROWS(dout, load4f, p.dout)
    [[unroll]] for (uint i = 0; i < HD4; i++) {
      [[unroll]] for (uint u = 0; u < BLOCK; u++) {
        s[u] = dot_add(k[i], SHARED(theirs, load4, u, i), s[u]);
        dp[u] = dot_add(v[i], SHARED(dout, load4f, u, i), dp[u]);
      }
    }
    [[unroll]] for (uint u = 0; u < BLOCK; u++) {
      s[u] = j + u < p.n ? exp(s[u]) : 0.0;
      dp[u] *= s[u];
    }
    [[unroll]] for (uint i = 0; i < HD4; i++) {
      vec4 x = dk[i], y = dv[i];
      [[unroll]] for (uint u = 0; u < BLOCK; u++) {
        x = fma(vec4(dp[u]), SHARED(theirs, load4, u, i), x);
        y = fma(vec4(s[u]), SHARED(dout, load4f, u, i), y);
      }
      dk[i] = x;
      dv[i] = y;
    }
    j += BLOCK;
  } while (j < p.n);
  if (token >= p.m) return;
  [[unroll]] for (uint i = 0; i < HD4; i++) {
    store4(p.dk, row, i, p.scale * dk[i]);
    store4(p.dv, row, i, dv[i]);
  }
}
