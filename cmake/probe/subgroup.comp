#version 460
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_EXT_buffer_reference : require
layout(local_size_x = 64) in;
layout(buffer_reference, std430) buffer F { float v[]; };
layout(push_constant) uniform P { F x; };
void main() {
  float s = subgroupAdd(x.v[gl_LocalInvocationIndex]);
  x.v[gl_LocalInvocationIndex] = subgroupShuffle(s, 1) + subgroupBroadcast(s, 2);
}
