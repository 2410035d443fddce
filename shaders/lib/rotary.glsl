// Rotary embedding of interleaved pairs; after real.glsl.  The table holds (cos, sin) per pair: [positions, head].
#ifndef VKD_ROTARY_GLSL
#define VKD_ROTARY_GLSL

// Element `at` (column col of its row) of x turned by its position's angle, times sign (-1: back).
#if VEC == 4
vec4 turn_pairs(vec4 x, vec4 cs, float sign) {
  return vec4(x.x * cs.x - sign * x.y * cs.y, x.y * cs.x + sign * x.x * cs.y, x.z * cs.z - sign * x.w * cs.w,
              x.w * cs.z + sign * x.z * cs.w);
}
vec4 rotary_at(Addr rope, uint position, uint col, uint head) {
  return RefF4(rope).v[position * (head / 4) + col % (head / 4)];
}
vec4 rotated(Addr x, Addr rope, uint at, uint position, uint col, uint head, float sign) {
  return turn_pairs(RefF4(x).v[at], rotary_at(rope, position, col, head), sign);
}
#else
// mine: the element, pair: the other one of its pair
float turn_one(float mine, float pair, vec2 cs, uint col, float sign) {
  return mine * cs.x + ((col & 1u) != 0 ? sign : -sign) * pair * cs.y;
}
vec2 rotary_at(Addr rope, uint position, uint col, uint head) {
  uint i = position * head + ((col % head) & ~1u);
  return vec2(RefF(rope).v[i], RefF(rope).v[i + 1]);
}
float rotated(Addr x, Addr rope, uint at, uint position, uint col, uint head, float sign) {
  uint other = (col & 1u) != 0 ? at - 1 : at + 1;
  return turn_one(RefF(x).v[at], RefF(x).v[other], rotary_at(rope, position, col, head), col, sign);
}
#endif
#endif
