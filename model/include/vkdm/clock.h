// Seconds of a clock that only moves forward.
#ifndef VKDM_CLOCK_H
#define VKDM_CLOCK_H

#include <time.h>

// From an unknown beginning.
static inline double clock_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
