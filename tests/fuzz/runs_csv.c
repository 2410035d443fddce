// The runs table's reader on broken tables: it must answer, never crash, and leave nothing behind when it refuses.
#include <stdlib.h>
#include <string.h>

#include "../fit/synthetic.h"
#include "check.h"
#include "targets/targets.h"

static const char good[] = "params,tokens,loss,flops,run,diverged,excluded,note\n"
                           "1e6,1e9,2.5,6e15,a,0,0,\"x, \"\"y\"\"\"\n"
                           "2e6,1e9,2.4,12e15,b,0,0,\n"
                           "2e6,2e9,nan,,b,1,,\"two\nlines\"\r\n";

static int taken, refused;

static void feed(const char *text, size_t size) {
  // an exact-size heap copy: the sanitizers see a read past its end
  char *copy = malloc(size ? size : 1);
  if (!copy) abort();
  memcpy(copy, text, size);
  *(target_runs((const uint8_t *)copy, size) ? &taken : &refused) += 1;
  free(copy);
}

int main(void) {
  struct prng prng = {99};
  size_t size = sizeof good - 1;
  for (size_t cut = 0; cut <= size; cut++) feed(good, cut);
  static const char evil[] = ",\"\n\r\0 -eE.nai09\xff\xef";
  for (int trial = 0; trial < 20000; trial++) {
    char text[2 * sizeof good];
    size_t length = size;
    memcpy(text, good, size);
    int edits = 1 + (int)(6 * prng_uniform(&prng));
    for (int e = 0; e < edits; e++) {
      size_t at = (size_t)(prng_uniform(&prng) * (double)length);
      char with = evil[(size_t)(prng_uniform(&prng) * (double)(sizeof evil - 1))];
      if (prng_uniform(&prng) < 0.5) {
        text[at] = with;
      } else if (prng_uniform(&prng) < 0.5) {
        memmove(text + at + 1, text + at, length++ - at);
        text[at] = with;
      } else {
        memmove(text + at, text + at + 1, --length - at);
      }
    }
    feed(text, length);
  }
  char *commas = malloc(100000); // more fields than any table has
  if (!commas) abort();
  memset(commas, ',', 100000);
  feed(commas, 100000);
  memset(commas, '"', 100000);
  feed(commas, 99999);
  memset(commas, '\n', 100000);
  feed(commas, 100000);
  free(commas);
  CHECK(taken > 1000 && refused > 1000, "%d taken, %d refused: the edits try too little", taken, refused);
  return check_done();
}
