// Every kernel row on the device against the float64 reference, forward and backward, with guard bands: what
// `vkdit selftest` selects, or with VKD_SELFTEST_ALL=1 every case in every form, which takes software drivers minutes
// more to compile.
#include <stdlib.h>

#include "device.h"
#include "vkd/selftest.h"

static void report(void *user, const struct vkd_selftest_result *r) {
  (void)user;
  const char *form = r->form ? r->form : "";
  printf("%-20s %-20s %-8s forward %8.2e backward %8.2e\n", r->op, r->name, form, r->forward, r->backward);
  CHECK(r->pass, "%s/%s %s: %s", r->op, r->name, form, r->what);
}

int main(int argc, char **argv) {
  struct vkd_error err = {0};
  struct vkd_device *dev = device_or_skip(false);
  struct vkd_selftest_params params = {.only = argc > 1 ? argv[1] : NULL, .all = getenv("VKD_SELFTEST_ALL") != NULL};
  struct vkd_selftest_summary summary;
  enum vkd_status st = vkd_selftest_run(dev, &params, report, NULL, &summary, &err);
  CHECK(st == VKD_OK, "%s", err.what);
  return device_done(&dev);
}
