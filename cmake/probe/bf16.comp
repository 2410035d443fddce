#version 460
#extension GL_EXT_bfloat16 : require
#extension GL_EXT_buffer_reference : require
layout(local_size_x = 64) in;
layout(buffer_reference, std430) buffer B { bfloat16_t v[]; };
layout(push_constant) uniform P { B x; };
void main() { x.v[gl_LocalInvocationIndex] = bfloat16_t(2.0 * float(x.v[gl_LocalInvocationIndex])); }
