#include "vkd/random.h"

#include <math.h>

void vkd_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
  uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]}, k[2] = {key[0], key[1]};
  for (int round = 0; round < 10; round++) {
    uint64_t a = (uint64_t)0xD2511F53u * c[0], b = (uint64_t)0xCD9E8D57u * c[2];
    uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ k[0], (uint32_t)b, (uint32_t)(a >> 32) ^ c[3] ^ k[1], (uint32_t)a};
    for (int i = 0; i < 4; i++) c[i] = next[i];
    k[0] += 0x9E3779B9u;
    k[1] += 0xBB67AE85u;
  }
  for (int i = 0; i < 4; i++) out[i] = c[i];
}

double vkd_uniform(uint32_t word) { return ((double)word + 0.5) / 4294967296.0; }

void vkd_normal(uint32_t word0, uint32_t word1, double out[2]) {
  double r = sqrt(-2 * log(vkd_uniform(word0))), t = 2 * 3.14159265358979323846 * vkd_uniform(word1);
  out[0] = r * cos(t);
  out[1] = r * sin(t);
}

void vkd_normal4(uint64_t seed, uint32_t step, uint32_t stream, uint32_t sample, uint32_t quad, double out[4]) {
  uint32_t words[4];
  vkd_philox((const uint32_t[]){quad, sample, step, stream}, (const uint32_t[]){(uint32_t)seed, (uint32_t)(seed >> 32)},
             words);
  vkd_normal(words[0], words[1], out);
  vkd_normal(words[2], words[3], out + 2);
}
