#version 460
#extension GL_NV_cooperative_matrix2 : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_buffer_reference : require
layout(local_size_x = 32) in;
layout(buffer_reference, std430) buffer H { float16_t v[]; };
layout(push_constant) uniform P { H x; };
layout(constant_id = 0) const uint T = 16;
float16_t larger(const in float16_t a, const in float16_t b) { return max(a, b); }
void main() {
  coopmat<float16_t, gl_ScopeWorkgroup, T, T, gl_MatrixUseAccumulator> a, r;
  coopMatLoad(a, x.v, 0, T, gl_CooperativeMatrixLayoutRowMajor);
  coopMatReduceNV(r, a, gl_CooperativeMatrixReduceRowNV, larger);
  coopMatStore(r, x.v, 0, T, gl_CooperativeMatrixLayoutRowMajor);
}
