#version 460
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_buffer_reference : require
layout(local_size_x = 64) in;
layout(buffer_reference, std430, buffer_reference_align = 2) buffer H { uint16_t v[]; };
layout(push_constant, std430) uniform P { H x; };
void main() { x.v[gl_LocalInvocationIndex] = uint16_t(uint(x.v[gl_LocalInvocationIndex]) + 1u); }
