// Operands of a kernel that come as floats (HALF 0), fp16 (1) or bf16 (2), and are computed with in fp32.
#ifndef VKD_HALF_GLSL
#define VKD_HALF_GLSL
#ifndef HALF
#define HALF 0
#endif

#if HALF == 0
#define Raw float
#define Bits uint
layout(buffer_reference, std430, buffer_reference_align = 4) buffer RefBits { uint v[]; };
Raw raw(Addr x, uint i) { return RefF(x).v[i]; }
float value(Raw x) { return x; }
#define Raw4 vec4
Raw4 raw4(Addr x, uint i) { return RefF4(x).v[i]; }
vec4 value4(Raw4 x) { return x; }
#else
#extension GL_EXT_shader_16bit_storage : require
#define Raw uint
#define Bits uint16_t
layout(buffer_reference, std430, buffer_reference_align = 2) buffer RefBits { uint16_t v[]; };
layout(buffer_reference, std430, buffer_reference_align = 8) buffer RefU2 { uvec2 v[]; };
Raw raw(Addr x, uint i) { return uint(RefBits(x).v[i]); }
#if HALF == 1
float value(Raw x) { return unpackHalf2x16(x).x; }
vec2 values(uint pair) { return unpackHalf2x16(pair); }
#else
float value(Raw x) { return uintBitsToFloat(x << 16); }
vec2 values(uint pair) { return uintBitsToFloat(uvec2(pair << 16, pair & 0xFFFF0000u)); }
#endif
#define Raw4 uvec2
Raw4 raw4(Addr x, uint i) { return RefU2(x).v[i]; } // elements 4i .. 4i+3, at a multiple of 8 bytes
vec4 value4(Raw4 x) { return vec4(values(x.x), values(x.y)); }
#endif

float operand(Addr x, uint i) { return value(raw(x, i)); }
vec4 operand4(Addr x, uint i) { return value4(raw4(x, i)); }
#endif
