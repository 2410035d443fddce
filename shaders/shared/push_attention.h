// Push constants of attention_*.comp.
#ifndef VKD_PUSH_ATTENTION_H
#define VKD_PUSH_ATTENTION_H
#include "ref.h"

// q, o, dout, dq [batch, n, heads, hd]; k, v, dk, dv [batch, m, heads, hd]; lse, delta [batch, heads, n].
// A kernel leaves alone what it does not name.
struct attention_push {
  Addr q, k, v, o, lse, dout, delta, dq, dk, dv;
  uint batch, heads, n, m, hd;
  float scale;
};

#endif
