// Counter-based random numbers: the same draws on host and device, for any split of the work.
// Streams are told apart by the counter's last word, and (seed, step, sample) are the caller's.
#ifndef VKD_RANDOM_H
#define VKD_RANDOM_H

#include <stdint.h>

// Philox4x32-10: four words from a counter and a key.  Source: Salmon et al. 2011, doi:10.1145/2063384.2063405
void vkd_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

// Uniform in (0, 1): (word + 1/2) 2^-32, exact in double.
double vkd_uniform(uint32_t word);

// Two standard normal draws of two words (Box and Muller 1958): r cos t, r sin t with r = sqrt(-2 ln u0), t = 2 pi u1.
void vkd_normal(uint32_t word0, uint32_t word1, double out[2]);

// The four normal draws of counter (quad, sample, step, stream) and key seed, as vkd_randn() puts them at elements
// 4 quad .. 4 quad + 3 of a sample.
void vkd_normal4(uint64_t seed, uint32_t step, uint32_t stream, uint32_t sample, uint32_t quad, double out[4]);

#endif
