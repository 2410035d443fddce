// Sum over a workgroup of any size, in an order fixed by the device's subgroups.
#ifndef VKD_REDUCE_GLSL
#define VKD_REDUCE_GLSL
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

#if VEC == 8
// One subgroup of eight lanes.  A barrier, though never met, would make the driver keep all values in memory, and its own sum
// over a subgroup asks for every lane whether it is on.
#extension GL_KHR_shader_subgroup_shuffle : require
float lanes_sum(float x) {
  x += subgroupShuffleXor(x, 4u);
  x += subgroupShuffleXor(x, 2u);
  return x + subgroupShuffleXor(x, 1u);
}
float wg_sum(float x) { return lanes_sum(x); }
#else
#define lanes_sum subgroupAdd
shared float wg_parts[256]; // one per subgroup: 1024 lanes in subgroups of 4

// Every lane calls it, and gets the sum.
float wg_sum(float x) {
  float s = subgroupAdd(x);
  if (gl_NumSubgroups > 1) {
    barrier(); // the parts of the call before have been read
    if (subgroupElect()) wg_parts[gl_SubgroupID] = s;
    barrier();
    s = 0.0;
    uint i = 0;
    do s += wg_parts[i];
    while (++i < gl_NumSubgroups);
  }
  return s;
}
#endif

#ifdef WG_SUMS
#if VEC != 8
shared float wg_many[WG_SUMS * 64];
#endif

// The same for several sums at once, of at most 64 subgroups.
void wg_sums(inout float s[WG_SUMS]) {
  [[unroll]] for (uint i = 0; i < WG_SUMS; i++) s[i] = lanes_sum(s[i]);
#if VEC != 8
  if (gl_NumSubgroups > 1) {
    if (subgroupElect()) {
      [[unroll]] for (uint i = 0; i < WG_SUMS; i++) wg_many[i * 64 + gl_SubgroupID] = s[i];
    }
    barrier();
    [[unroll]] for (uint i = 0; i < WG_SUMS; i++) {
      uint k = 0;
      s[i] = 0.0;
      do s[i] += wg_many[i * 64 + k];
      while (++k < gl_NumSubgroups);
    }
  }
#endif
}
#endif
#endif
