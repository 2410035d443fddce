// Results rounded to 16 bits, to nearest even: to ROUND_F16 or ROUND_BF16.  Rounding is done in integers, since Vulkan leaves the
// direction of a conversion, and what becomes of subnormals, to the driver.
#ifndef VKD_ROUND_GLSL
#define VKD_ROUND_GLSL
#extension GL_EXT_shader_16bit_storage : require
layout(buffer_reference, std430, buffer_reference_align = 2) buffer Ref16 { uint16_t v[]; };

// n >> shift, to nearest even; shift 1 .. 31
uint shift_even(uint n, uint shift) { return (n + (1u << (shift - 1u)) - 1u + (n >> shift & 1u)) >> shift; }

uint rounded_f16(uint bits) {
  uint sign = bits >> 16 & 0x8000u, a = bits & 0x7FFFFFFFu;
  uint normal = shift_even(a - 0x38000000u, 13);          // a carry goes into the exponent, up to infinity
  uint below = min(126u - min(a >> 23, 125u), 26u);       // subnormal, in steps of 2^-24
  uint small = shift_even((a & 0x7FFFFFu) | 0x800000u, below);
  uint h = a >= 0x38800000u ? normal : below > 25u ? 0u : small;
  h = a >= 0x47800000u ? 0x7C00u : h;
  return sign | (a > 0x7F800000u ? 0x7E00u : h);
}
uint rounded_bf16(uint bits) {
  return (bits & 0x7FFFFFFFu) > 0x7F800000u ? bits >> 16 | 0x40u : (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16;
}
// The 16 bits of a float given by its bits
uint rounded(uint bits, uint to) { return to == ROUND_F16 ? rounded_f16(bits) : rounded_bf16(bits); }

void store16(Addr y, uint i, float x, uint to) { Ref16(y).v[i] = uint16_t(rounded(floatBitsToUint(x), to)); }

uvec2 rounded4(uvec4 b, uint to) {
  return uvec2(rounded(b.x, to) | rounded(b.y, to) << 16, rounded(b.z, to) | rounded(b.w, to) << 16);
}
layout(buffer_reference, std430, buffer_reference_align = 8) buffer Ref16x4 { uvec2 v[]; };

#if VEC == 8
struct Eight16 {
  uint16_t e[8];
};
layout(buffer_reference, std430, buffer_reference_align = 2) buffer Ref16x8 { Eight16 v[]; };
// As store() of real.glsl
void store16_eight(Addr y, uint i, float x, uint to) {
  Ref16x8(y).v[i].e[gl_SubgroupInvocationID] = uint16_t(rounded(floatBitsToUint(x), to));
}
#endif
#endif
