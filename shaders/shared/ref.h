// Types of push-constant structs, shared by C and GLSL.  A buffer reference is a device address (8 bytes) in C.
// Structs list references first, then 4-byte members, so that C and std430 agree.
#ifndef VKD_SHARED_REF_H
#define VKD_SHARED_REF_H

#ifdef GL_core_profile
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_control_flow_attributes : require
layout(buffer_reference, std430, buffer_reference_align = 4) buffer RefF { float v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer RefF4 { vec4 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer RefI { int v[]; };
#define Addr uvec2 // SwiftShader cannot compile a reference cast to another kind of reference
#else
#include <stdint.h>
typedef uint64_t Addr;
typedef uint32_t uint;
#endif

// A result rounded to 16 bits beside or, with ALONE, in place of fp32 (lib/round.glsl); 0: it is not
#define ROUND_F16 1
#define ROUND_BF16 2
#define ROUND_ALONE 4

#endif
