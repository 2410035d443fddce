// A kernel written once for items of one float (VEC 1), of one vec4 (VEC 4), and of eight floats (VEC 8), which eight lanes of a CPU
// share, a float each.  An array is read and written item by item; lanes of a workgroup take turns at items, or all take each.
#ifndef VKD_REAL_GLSL
#define VKD_REAL_GLSL
#if VEC == 8
#extension GL_KHR_shader_subgroup_basic : require
#define REAL float
struct Eight {
  float e[8];
};
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Ref8 { Eight v[]; };

// On a CPU a load from per-lane addresses is eight loads.  Eight floats at constant offsets from one address, handed to the
// lanes by selects on the lane number, a constant there, become a load of one vector; likewise the store, where no loop or
// divergent branch is around it.
float load(Addr x, uint i) {
  float mine = Ref8(x).v[i].e[0];
  [[unroll]] for (uint lane = 1; lane < 8; lane++) {
    float v = Ref8(x).v[i].e[lane];
    mine = gl_SubgroupInvocationID == lane ? v : mine;
  }
  return mine;
}
void store(Addr y, uint i, float mine) { Ref8(y).v[i].e[gl_SubgroupInvocationID] = mine; }
// Items of this lane, one after the other; the loads are the same for all lanes, which common.glsl tells wants do-while.  Without
// the `if` the driver (Mesa 26.1) forgets in the loop that lane numbers are constants, and the selects stay.
#define EACH_ITEM(c, count)                                                                                            \
  {                                                                                                                    \
    uint c = 0;                                                                                                        \
    if (c < count) {                                                                                                   \
      do {
#define END_EACH(c, count)                                                                                             \
      }                                                                                                                \
      while (++c < count);                                                                                             \
    }                                                                                                                  \
  }
#define FIRST_ITEM 0u
#define ITEM_STEP 1u
#else
#if VEC == 4
#define REAL vec4
#define REF RefF4
float hsum(vec4 v) { return (v.x + v.y) + (v.z + v.w); }
#else
#define REAL float
#define REF RefF
#endif
REAL load(Addr x, uint i) { return REF(x).v[i]; }
void store(Addr y, uint i, REAL v) { REF(y).v[i] = v; }
#define EACH_ITEM(c, count) for (uint c = gl_LocalInvocationID.x; c < count; c += gl_WorkGroupSize.x) {
#define END_EACH(c, count) }
#define FIRST_ITEM gl_LocalInvocationID.x
#define ITEM_STEP gl_WorkGroupSize.x
#endif
#if VEC != 4
float hsum(float v) { return v; }
#endif

// A kernel's result; with TO_HALF also in 16 bits, or in these alone.  ROUND_ID: the specialisation constant that tells.
#if defined TO_HALF && defined ROUND_ID
#include "round.glsl"
layout(constant_id = ROUND_ID) const uint ROUND = ROUND_F16;
void store_result(Addr y, Addr y16, uint i, REAL v) {
  const uint to = ROUND % ROUND_ALONE;
  if (ROUND < ROUND_ALONE) store(y, i, v);
#if VEC == 8
  store16_eight(y16, i, v, to);
#elif VEC == 4
  Ref16x4(y16).v[i] = rounded4(floatBitsToUint(v), to);
#else
  store16(y16, i, v, to);
#endif
}
#else
void store_result(Addr y, Addr y16, uint i, REAL v) { store(y, i, v); }
#endif
#endif
