// Weights filled in by several threads: every element once, in place, rounded; the reader's error comes back.
#include "fill.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "vkd/half.h"

enum { BIG = 3000001, SMALL = 17, BROKEN = 9 };

static float value(int index, uint64_t i) { return (float)(index + 1) * 0.37f + (float)(i % 100003) * 1.7e-3f; }

static enum vkd_status read_value(void *user, int index, uint64_t first, uint64_t count, float *dst,
                                  struct vkd_error *err) {
  (void)user;
  if (index == BROKEN) return vkd_fail(err, VKD_ERR_INPUT, "broken at %d", index);
  for (uint64_t i = 0; i < count; i++) dst[i] = value(index, first + i);
  return VKD_OK;
}

int main(void) {
  struct vkd_error err = {0};
  const struct params_reader reader = {.read = read_value};
  float *a = malloc((BIG + 1) * sizeof *a), b[SMALL];
  uint16_t *c = malloc((BIG + 1) * sizeof *c), *d = malloc((BIG + 1) * sizeof *d);
  CHECK(a && c && d, "memory");
  if (!a || !c || !d) return check_done();
  a[BIG] = -1;
  c[BIG] = d[BIG] = 12345;
  struct fill fills[] = {{0, VKD_F32, 5, BIG, a},
                         {1, VKD_F32, 0, SMALL, b},
                         {2, VKD_F16, 0, BIG, c},
                         {3, VKD_BF16, 7, BIG, d},
                         {4, VKD_F32, 0, 0, NULL}};
  CHECK(fill_run(&reader, fills, 5, &err) == VKD_OK, "%s", err.what);
  uint64_t wrong = 0;
  for (uint64_t i = 0; i < BIG; i++)
    wrong += a[i] != value(0, 5 + i) || c[i] != vkd_half_bits(VKD_F16, value(2, i)) ||
             d[i] != vkd_half_bits(VKD_BF16, value(3, 7 + i)) || (i < SMALL && b[i] != value(1, i));
  CHECK(wrong == 0, "%llu elements are wrong", (unsigned long long)wrong);
  CHECK(a[BIG] == -1 && c[BIG] == 12345 && d[BIG] == 12345, "nothing is written past the end");
  fills[1].index = BROKEN;
  CHECK(fill_run(&reader, fills, 5, &err) == VKD_ERR_INPUT && strstr(err.what, "broken at 9"), "%s", err.what);
  free(a);
  free(c);
  free(d);
  return check_done();
}
