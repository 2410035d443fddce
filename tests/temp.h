// A folder for a test's files, below $TMPDIR.
#ifndef VKD_TEST_TEMP_H
#define VKD_TEST_TEMP_H

#include <stdio.h>
#include <stdlib.h>

enum { TEMP_SIZE = 200 };

// folder: [TEMP_SIZE].  Without one no test can tell anything: the program ends as failed.
static inline void temp_folder(char *folder) {
  const char *base = getenv("TMPDIR");
  int n = snprintf(folder, TEMP_SIZE, "%s/vkdit-test-XXXXXX", base && *base ? base : P_tmpdir);
  if (n < 0 || n >= TEMP_SIZE || !mkdtemp(folder)) {
    perror("a temporary folder");
    exit(1);
  }
}

#endif
