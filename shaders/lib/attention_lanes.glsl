// What the attention kernels with a lane per row share.  A lane serves one row (a query, or a key in attention_dkv.comp), kept in
// registers; the rows of the other side are read by all lanes at one address, BLOCK at a time, in a fixed order.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#include "attention.glsl"
layout(constant_id = 4) const uint UNIFORM = 0;
layout(constant_id = 5) const uint SHARE = 0; // lanes of a subgroup that load a row of the other side together; 0: each loads all

// Address of element `at` of r, elements of 1 << shift bytes: all of a row is read at constant offsets from it.
Addr row_at(Addr r, uint at, uint shift) {
  uint low = r.x + (at << shift);
  return uvec2(low, r.y + (at >> (32 - shift)) + uint(low < r.x));
}
const uint load4_shift = HALF != 0 ? 1 : 2, load4f_shift = 2;

// SHARE: where a load costs the same whatever its addresses (lavapipe before Mesa 26) a lane loads one vec4 in SHARE of a row and hands
// it to the others.
const uint SHARERS = SHARE != 0 ? SHARE : 1, SHARES = SHARE != 0 ? (HD4 + SHARE - 1) / SHARE : 1;
#define SHARE_ROWS(name, load, r)                                                                                      \
  vec4 name[BLOCK * SHARES];                                                                                           \
  Addr name##_at[BLOCK];                                                                                               \
  [[unroll]] for (uint u = 0; u < BLOCK; u++) name##_at[u] = row_at(r, at[u], load##_shift);                           \
  if (SHARE != 0) {                                                                                                    \
    [[unroll]] for (uint u = 0; u < BLOCK; u++) {                                                                      \
      [[unroll]] for (uint g = 0; g < SHARES; g++)                                                                     \
        name[u * SHARES + g] = load(name##_at[u], 0, min(g * SHARERS + gl_SubgroupInvocationID, HD4 - 1));             \
    }                                                                                                                  \
  }
#define SHARED(name, load, u, i)                                                                                       \
  (SHARE != 0 ? subgroupBroadcast(name[(u) * SHARES + (i) / SHARERS], (i) % SHARERS) : load(name##_at[u], 0, i))

// Elements 4i.. of this lane's row, token first + lane.  UNIFORM: a workgroup is one 8-lane subgroup on a CPU, where eight
// loads at one address and selects compile several times faster than a load from per-lane addresses; what was selected is converted.
#define LOAD_OWN(name, Type, load, convert)                                                                            \
  vec4 name(Addr r, uint b, uint first, uint tokens, uint head, uint i) {                                              \
    uint own = first + (UNIFORM != 0 ? 0 : gl_LocalInvocationID.x);                                                    \
    Type x = load(r, row_index(b, min(own, tokens - 1), tokens, head), i);                                             \
    [[unroll]] for (uint lane = 1; lane < 8 && UNIFORM != 0; lane++) {                                                 \
      Type y = load(r, row_index(b, min(first + lane, tokens - 1), tokens, head), i);                                  \
      x = gl_SubgroupInvocationID == lane ? y : x;                                                                     \
    }                                                                                                                  \
    return convert(x);                                                                                                 \
  }
LOAD_OWN(load_own, Raw4, load_raw4, value4)
LOAD_OWN(load_own_f, vec4, load4f, vec4)

// Reads a lane's own row, a vec4 (i) at a time.  Where lanes load from their own addresses on a CPU each load compiles slowly, and there
// is one of them; long rows are in memory there in any case.
#define FOR_OWN(body)                                                                                                  \
  if (SHARE != 0 && HD > 64) {                                                                                         \
    [[dont_unroll]] for (uint i = 0; i < HD4; i++) { body }                                                            \
  } else {                                                                                                             \
    [[unroll]] for (uint i = 0; i < HD4; i++) { body }                                                                 \
  }
