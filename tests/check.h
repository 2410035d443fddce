// Checks for test programs.  A failed check is counted and printed; the program goes on, and check_done() gives its
// exit status. Comparisons are written so that NaN fails.
#ifndef VKD_TEST_CHECK_H
#define VKD_TEST_CHECK_H

#include <math.h>
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

// A run that checked nothing has failed.
static inline int check_done(void) {
  printf("%d passed, %d failed\n", check_passed, check_failed);
  return check_failed || !check_passed;
}

#endif
