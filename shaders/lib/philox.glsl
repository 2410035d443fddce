// Philox4x32-10, integers only: the same on every device and in runtime/philox.c.
// Source: Salmon et al. 2011, doi:10.1145/2063384.2063405
#ifndef VKD_PHILOX_GLSL
#define VKD_PHILOX_GLSL

uvec4 philox(uvec4 counter, uvec2 key) {
  uint round = 0;
  do {
    uint hi0, lo0, hi1, lo1;
    umulExtended(0xD2511F53u, counter.x, hi0, lo0);
    umulExtended(0xCD9E8D57u, counter.z, hi1, lo1);
    counter = uvec4(hi1 ^ counter.y ^ key.x, lo1, hi0 ^ counter.w ^ key.y, lo0);
    key += uvec2(0x9E3779B9u, 0xBB67AE85u);
  } while (++round < 10);
  return counter;
}
#endif
