// y[i] = value
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_scalar_block_layout : require
layout(local_size_x_id = 0) in;
layout(buffer_reference, scalar, buffer_reference_align = 4) writeonly buffer Out { float v[]; };
layout(push_constant, scalar) uniform Push { Out y; uint n; float value; };
void main() {
  uint i = gl_GlobalInvocationID.x;
  if (i < n) y.v[i] = value;
}
