// What the attention kernels with a lane per row share.  A lane serves one row (a query, or a key in attention_dkv.comp), kept in
// registers; the rows of the other side are read by all lanes at one address, BLOCK at a time, in a fixed order.
#extension GL_KHR_shader_subgroup_basic : require
#include "attention.glsl"
layout(constant_id = 4) const uint UNIFORM = 0;

// Elements 4i.. of this lane's row, token first + lane.  UNIFORM: a workgroup is one 8-lane subgroup on a CPU, where eight
// loads at one address and selects compile several times faster than a load from per-lane addresses.
#define LOAD_OWN(name, load)                                                                                           \
  vec4 name(Addr r, uint b, uint first, uint tokens, uint head, uint i) {                                              \
    if (UNIFORM == 0) return load(r, row_index(b, min(first + gl_LocalInvocationID.x, tokens - 1), tokens, head), i);  \
    vec4 x = load(r, row_index(b, first, tokens, head), i);                                                            \
    [[unroll]] for (uint lane = 1; lane < 8; lane++) {                                                                 \
      vec4 y = load(r, row_index(b, min(first + lane, tokens - 1), tokens, head), i);                                  \
      x = gl_SubgroupInvocationID == lane ? y : x;                                                                     \
    }                                                                                                                  \
    return x;                                                                                                          \
  }
LOAD_OWN(load_own, load4)
LOAD_OWN(load_own_f, load4f)
