#version 460
#extension GL_EXT_integer_dot_product : require
#extension GL_EXT_buffer_reference : require
layout(local_size_x = 64) in;
layout(buffer_reference, std430) buffer I { int v[]; };
layout(push_constant) uniform P { I x; };
void main() {
  int a = x.v[gl_LocalInvocationIndex];
  x.v[gl_LocalInvocationIndex] = dotPacked4x8AccSatEXT(a, a, 1);
}
