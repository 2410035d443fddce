// A kernel written once for one float per item (VEC 1) and one vec4 per item (VEC 4).
#ifndef VKD_REAL_GLSL
#define VKD_REAL_GLSL
#if VEC == 4
#define REAL vec4
#define REF RefF4
float hsum(vec4 v) { return (v.x + v.y) + (v.z + v.w); }
#else
#define REAL float
#define REF RefF
float hsum(float v) { return v; }
#endif
#endif
