#version 460
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_buffer_reference : require
layout(local_size_x = 32) in;
layout(buffer_reference, std430) buffer H { float16_t v[]; };
layout(buffer_reference, std430) buffer F { float v[]; };
layout(push_constant) uniform P { H x; F y; };
layout(constant_id = 0) const uint T = 8;
void main() {
  coopmat<float16_t, gl_ScopeSubgroup, T, T, gl_MatrixUseA> a;
  coopmat<float16_t, gl_ScopeSubgroup, T, T, gl_MatrixUseB> b;
  coopmat<float, gl_ScopeSubgroup, T, T, gl_MatrixUseAccumulator> c =
      coopmat<float, gl_ScopeSubgroup, T, T, gl_MatrixUseAccumulator>(0.0);
  coopMatLoad(a, x.v, 0, T, gl_CooperativeMatrixLayoutRowMajor);
  coopMatLoad(b, x.v, 0, T, gl_CooperativeMatrixLayoutColumnMajor);
  c = coopMatMulAdd(a, b, c);
  coopMatStore(c, y.v, 0, T, gl_CooperativeMatrixLayoutRowMajor);
}
