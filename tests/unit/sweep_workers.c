// Which devices a sweep's workers take, and which runs they begin with.
#include <string.h>

#include "../../model/sweep_internal.h"
#include "check.h"

static void devices_are(const char *kinds, const char *want) {
  struct vkd_device_caps list[8] = {0};
  uint32_t best[8], count = (uint32_t)strlen(kinds);
  for (uint32_t i = 0; i < count; i++) {
    const char kind = kinds[i];
    list[i].kind = kind == 'd' || kind == 'D' ? VKD_DEVICE_DISCRETE
                   : kind == 'i'              ? VKD_DEVICE_INTEGRATED
                                              : VKD_DEVICE_SOFTWARE;
    if (kind == 'D') strcpy(list[i].unusable, "no buffer device addresses");
  }
  uint32_t n = sweep__best_devices(list, count, best);
  CHECK(n == strlen(want), "%s: %u devices", kinds, n);
  for (uint32_t i = 0; i < n && want[i]; i++) CHECK(best[i] == (uint32_t)(want[i] - '0'), "%s: %u", kinds, best[i]);
}

static void order_is(const char *flops, const char *want) {
  struct sweep_cell cells[8] = {0};
  const struct sweep sweep = {.cells = cells};
  int todo[8], count = (int)strlen(flops);
  char got[9] = {0};
  for (int i = 0; i < count; i++) {
    cells[i].flops = flops[i] - '0';
    todo[i] = i;
  }
  sweep__put_costly_first(&sweep, todo, count);
  for (int i = 0; i < count; i++) got[i] = (char)('0' + todo[i]);
  CHECK(!strcmp(got, want), "%s: %s", flops, got);
}

int main(void) {
  devices_are("", "");
  devices_are("s", "0");
  devices_are("sidDd", "24");
  devices_are("idid", "13");
  devices_are("Dsi", "2");
  devices_are("DD", "");
  devices_are("dddd", "0123");
  order_is("", "");
  order_is("123", "210");
  order_is("2121", "0213");
  order_is("111", "012");
  return check_done();
}
