#version 460
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_scalar_block_layout : require
layout(local_size_x = 64) in;
layout(buffer_reference, scalar, buffer_reference_align = 2) buffer H { float16_t v[]; };
layout(push_constant, scalar) uniform P { H x; };
void main() { x.v[gl_LocalInvocationIndex] *= 2.0hf; }
