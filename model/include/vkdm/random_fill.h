// Made-up numbers for what is timed: operands, latents, weights.
#ifndef VKDM_RANDOM_FILL_H
#define VKDM_RANDOM_FILL_H

#include <stddef.h>
#include <stdint.h>

// dst [n]: standard normal draws keyed by `which`, a table of some 65000 of them over and over: drawing billions would
// take longer than what is timed.
void random_fill(float *dst, size_t n, uint32_t which);

#endif
