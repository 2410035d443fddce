// Rotary embedding of interleaved pairs; after real.glsl.  The table holds (cos, sin) per pair: [positions, head].
#ifndef VKD_ROTARY_GLSL
#define VKD_ROTARY_GLSL

// Item col of its row turned by its position's angle, times sign (-1: back).
#if VEC == 4
vec4 turn_pairs(vec4 x, vec4 cs, float sign) {
  return vec4(x.x * cs.x - sign * x.y * cs.y, x.y * cs.x + sign * x.x * cs.y, x.z * cs.z - sign * x.w * cs.w,
              x.w * cs.z + sign * x.z * cs.w);
}
vec4 rotary_at(Addr rope, uint position, uint col, uint head) {
  return load(rope, position * (head / 4) + col % (head / 4));
}
#else
// mine: the element, pair: the other one of its pair
float turn_one(float mine, float pair, vec2 cs, uint col, float sign) {
  return mine * cs.x + ((col & 1u) != 0 ? sign : -sign) * pair * cs.y;
}
#if VEC == 8
#extension GL_KHR_shader_subgroup_shuffle : require
float turn_pairs(float mine, vec2 cs, float sign) {
  return turn_one(mine, subgroupShuffleXor(mine, 1u), cs, gl_SubgroupInvocationID, sign);
}
vec2 rotary_at(Addr rope, uint position, uint col, uint head) {
  float t = load(rope, position * (head / 8) + col % (head / 8));
  return vec2(subgroupShuffle(t, gl_SubgroupInvocationID & ~1u), subgroupShuffle(t, gl_SubgroupInvocationID | 1u));
}
#else
vec2 rotary_at(Addr rope, uint position, uint col, uint head) {
  uint i = position * head + ((col % head) & ~1u);
  return vec2(load(rope, i), load(rope, i + 1));
}
#endif
#endif

// The item `at` of x, turned
REAL rotated(Addr x, Addr rope, uint at, uint position, uint col, uint head, float sign) {
#if VEC == 1
  uint other = (col & 1u) != 0 ? at - 1 : at + 1;
  return turn_one(load(x, at), load(x, other), rotary_at(rope, position, col, head), col, sign);
#else
  return turn_pairs(load(x, at), rotary_at(rope, position, col, head), sign);
#endif
}
#endif
