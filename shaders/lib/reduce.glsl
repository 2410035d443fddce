// Sum over a workgroup of any size, in an order fixed by the device's subgroups.
#ifndef VKD_REDUCE_GLSL
#define VKD_REDUCE_GLSL
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

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
