// Readers of untrusted files, one function each: any bytes may come in.  What must hold of the answer stands in
// HOLDS(), which ends the process.  The fuzzers, the replay of their corpora, the test of peak memory and the tests of
// random damage share them.
#ifndef VKD_TEST_TARGETS_H
#define VKD_TEST_TARGETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "vkd/status.h"

// Gives whether the reader took the bytes for a file of its kind.
#define TARGET(name, inputs) bool target_##name(const uint8_t *data, size_t size);
#include "targets.def"
#undef TARGET

#define HOLDS(cond, ...)                                                                                               \
  do {                                                                                                                 \
    if (!(cond)) {                                                                                                     \
      fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #cond);                                                       \
      fprintf(stderr, __VA_ARGS__);                                                                                    \
      fputc('\n', stderr);                                                                                             \
      abort();                                                                                                         \
    }                                                                                                                  \
  } while (0)

// A folder of this process's own, which goes when it ends.
const char *target_folder(void);

// The path of a file in it, which is given these bytes (data NULL: is removed); good until the next call for that name.
const char *target_write(const char *name, const void *data, size_t size);

// An input that stands for several files: pieces between "\n%%\n".  Those that are not there have data NULL.
struct target_part {
  const uint8_t *data;
  size_t size;
};
enum { TARGET_PARTS = 8 };
void target_split(const uint8_t *data, size_t size, struct target_part parts[TARGET_PARTS]);

// What a refusal has to be: bad input (`other`: or what is not supported or asked for wrongly), one line that holds
// `word`.
void target_refused(enum vkd_status status, const struct vkd_error *err, const char *word, bool other);

// A copy of a .safetensors file whose header's length is that of the JSON in it, so that changes of the JSON get past
// the first check; NULL: there is none, or it is right already.  Of the same size, to be freed.
uint8_t *target_mend_safetensors(const uint8_t *data, size_t size);

// As the file is: target_vkd() also tries it with checksums that fit.  *opened (NULL allowed): whether it got that far.
bool target_vkd_as_is(const uint8_t *data, size_t size, bool *opened);

#endif
