// o = softmax(scale q kT) v per head with a running maximum, lse = log of the sum of exp(scale q kT).
// Source: Dao et al. 2022, arXiv:2205.14135
#version 460
#include "common.glsl"
#include "attention_lanes.glsl"

void main() {
  uint blocks = (p.n + gl_WorkGroupSize.x - 1) / gl_WorkGroupSize.x, group = flat_group();
  uint bh = group / blocks, b = bh / p.heads, head = bh % p.heads;
  if (b >= p.batch) return;
  uint first = group % blocks * gl_WorkGroupSize.x, token = first + gl_LocalInvocationID.x;
  uint row = row_index(b, min(token, p.n - 1), p.n, head), keys = row_index(b, 0, p.m, head), stride = p.heads * HD;
  vec4 q[HD4], acc[HD4];
  FOR_OWN(
    q[i] = p.scale * load_own(p.q, b, first, p.n, head, i);
    acc[i] = vec4(0.0);
  )
  float top = -3.4e38, total = 0.0;
  uint j = 0;
  do {
    float s[BLOCK];
    uint at[BLOCK];
    [[unroll]] for (uint u = 0; u < BLOCK; u++) {
      s[u] = 0.0;
      at[u] = keys + min(j + u, p.m - 1) * stride;
    }
    SHARE_ROWS(k, load4, p.k)
    [[unroll]] for (uint i = 0; i < HD4; i++) {
      [[unroll]] for (uint u = 0; u < BLOCK; u++) s[u] = dot_add(q[i], SHARED(k, load4, u, i), s[u]);
    }
    float next = top; // rows beyond m repeat the last one, which changes no maximum
    [[unroll]] for (uint u = 0; u < BLOCK; u++) next = larger(next, s[u]);
    float shrink = exp(top - next);
    top = next;
    total *= shrink;
    [[unroll]] for (uint u = 0; u < BLOCK; u++) {
      s[u] = j + u < p.m ? exp(s[u] - top) : 0.0;
      total += s[u];
    }
    SHARE_ROWS(v, load4, p.v)
    [[unroll]] for (uint i = 0; i < HD4; i++) {
      vec4 x = shrink * acc[i];
      [[unroll]] for (uint u = 0; u < BLOCK; u++) x = fma(vec4(s[u]), SHARED(v, load4, u, i), x);
      acc[i] = x;
    }
    j += BLOCK;
  } while (j < p.m);
  if (token >= p.n) return;
  [[unroll]] for (uint i = 0; i < HD4; i++) store4(p.o, row, i, acc[i] / total);
  RefF(p.lse).v[bh * p.n + token] = top + log(total);
}
