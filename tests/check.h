// Checks for test programs.  A failed check is counted and printed; the program goes on, and check_done() gives its
// exit status. Comparisons are written so that NaN fails.
#ifndef VKD_TEST_CHECK_H
#define VKD_TEST_CHECK_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>

static int check_passed, check_failed;

#define CHECK(cond, ...)                                                                                               \
  do {                                                                                                                 \
    if (cond) {                                                                                                        \
      check_passed++;                                                                                                  \
    } else {                                                                                                           \
      check_failed++;                                                                                                  \
      fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #cond);                                                       \
      fprintf(stderr, __VA_ARGS__);                                                                                    \
      fputc('\n', stderr);                                                                                             \
    }                                                                                                                  \
  } while (0)

#define CHECK_NEAR(got, want, tol)                                                                                     \
  CHECK(fabs((double)(got) - (double)(want)) <= (tol), "got %.9g, want %.9g, tolerance %.3g", (double)(got),           \
        (double)(want), (double)(tol))

// Root mean square of x - ref, relative to that of ref.
static inline double check_relative(const float *x, const double *ref, int64_t n) {
  double d2 = 0, r2 = 0;
  for (int64_t i = 0; i < n; i++) {
    d2 += ((double)x[i] - ref[i]) * ((double)x[i] - ref[i]);
    r2 += ref[i] * ref[i];
  }
  return sqrt(d2 / r2);
}

// A run that checked nothing has failed.
static inline int check_done(void) {
  printf("%d passed, %d failed\n", check_passed, check_failed);
  return check_failed || !check_passed;
}

#endif
