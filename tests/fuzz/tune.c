// The reader of measured forms on broken tables: it takes a table whole or not at all, and never crashes.
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "targets/targets.h"
#include "tune.h"
#include "vkd/random.h"

static const char good[] = "vkdit tune 1\tfuzz\td\t1\tff\n"
                           "matmul/nt/fp32/m10/n9/k9 tile 1234567\n"
                           "matmul/nn/bf16/m1/n2/k16 coopmat 89\n"
                           "attention/h64/n10/m6 lanes 18446744073709551\n";

static int taken, refused;

static void feed(const char *text, size_t size) {
  // an exact-size heap copy: the sanitizers see a read past its end
  char *copy = malloc(size ? size : 1);
  if (!copy) abort();
  memcpy(copy, text, size);
  *(target_tune((const uint8_t *)copy, size) ? &taken : &refused) += 1;
  free(copy);
}

// Uniform in [0, below)
static uint32_t below(uint32_t n) {
  static uint32_t counter;
  uint32_t words[4];
  vkd_philox((const uint32_t[]){counter++, 0, 0, 0}, (const uint32_t[]){5, 0}, words);
  return words[0] % n;
}

int main(void) {
  size_t size = sizeof good - 1;
  for (size_t cut = 0; cut <= size; cut++) feed(good, cut);
  static const char evil[] = " \n\t\r\0/_-09azAZ\x7f\xff";
  for (int trial = 0; trial < 20000; trial++) {
    char text[2 * sizeof good];
    size_t length = size;
    memcpy(text, good, size);
    for (uint32_t e = 1 + below(6); e; e--) {
      size_t at = below((uint32_t)length);
      char with = evil[below(sizeof evil - 1)];
      switch (below(3)) {
      case 0:
        text[at] = with;
        break;
      case 1:
        memmove(text + at + 1, text + at, length++ - at);
        text[at] = with;
        break;
      default:
        memmove(text + at, text + at + 1, --length - at);
      }
    }
    feed(text, length);
  }
  CHECK(taken > 100 && refused > 1000, "%d taken, %d refused: the edits try too little", taken, refused);
  size_t header = strlen("vkdit tune 1\tfuzz\td\t1\tff\n"), room = (size_t)1 << 18;
  char *many = malloc(room);
  if (!many) abort();
  memcpy(many, good, header);
  static const char fills[] = {'\n', ' ', 'a', '0', 0};
  for (size_t i = 0; i < sizeof fills; i++) {
    memset(many + header, fills[i], room - header);
    feed(many, room);
  }
  size_t n = header; // more lines than a table holds
  for (int i = 0; i <= VKD_TUNE_ENTRIES; i++) n += (size_t)snprintf(many + n, room - n, "k%d f 1\n", i);
  feed(many, n);
  feed(many, n - strlen("k4096 f 1\n"));
  free(many);
  return check_done();
}
