// Every kernel includes this first.  Specialisation constant 0 is the number of lanes of a workgroup.
#ifndef VKD_COMMON_GLSL
#define VKD_COMMON_GLSL
#extension GL_GOOGLE_include_directive : require
#include "ref.h"

layout(local_size_x_id = 0) in;

// Workgroup number of a one-dimensional dispatch that may have been folded into x and y.
uint flat_group() { return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x; }
uint flat_item() { return flat_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x; }

// Loops whose loads are the same for all lanes are written do-while: lavapipe 26 runs the body of a for loop once more with all
// lanes off, and such loads then read past the end (the pad behind every buffer takes the one row that is left).
// Loops that lanes leave at different times, with sums that are used afterwards, are written as for: SwiftShader spoils what a
// do-while computes in lanes that have left it.
#endif
