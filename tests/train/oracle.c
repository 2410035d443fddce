// The reference cases: outputs, loss, gradients, optimiser steps, EMA and samples of public code in float64.
#include <string.h>
#include <sys/stat.h>

#include "device.h"
#include "vkdm/verify.h"

static const char *const cases[] = {"wan_hd24", "wan_hd128", "wan_hd64_diffusers", "dit_hybrid"};

static void run_case(struct vkd_device *dev, const char *folder) {
  struct vkd_error err = {0};
  struct verify_report r;
  enum vkd_status st = verify_case(dev, folder, &r, &err);
  CHECK(st == VKD_OK, "%s: %s", folder, err.what);
  double worst[VERIFY_GROUPS] = {0};
  int rows[VERIFY_GROUPS] = {0};
  for (int i = 0; i < r.count; i++) {
    const struct verify_row *row = &r.rows[i];
    CHECK(row->error <= row->tolerance, "%s: %s, %s: %g, at most %g", folder, verify_group_title(row->group), row->name,
          row->error, row->tolerance);
    rows[row->group]++;
    worst[row->group] = fmax(worst[row->group], row->error / row->tolerance);
  }
  for (int g = 0; g < VERIFY_GROUPS; g++) {
    CHECK(rows[g] > 0, "%s: nothing was compared of %s", folder, verify_group_title((enum verify_group)g));
    printf("%s: %-18s %3d compared, worst at %.3f of its tolerance\n", folder, verify_group_title((enum verify_group)g),
           rows[g], worst[g]);
  }
  verify_report_free(&r);
}

int main(void) {
  struct vkd_device *dev = device_or_skip(false);
  struct stat info;
  int found = 0;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char folder[64];
    snprintf(folder, sizeof folder, "../shared/oracle/%s", cases[i]);
    if (stat(folder, &info) != 0) continue;
    found++;
    run_case(dev, folder);
  }
  if (!found) {
    vkd_device_destroy(&dev);
    printf("skipped: no reference cases in ../shared/oracle\n");
    return 77;
  }
  CHECK(found == (int)(sizeof cases / sizeof cases[0]), "only %d of the cases are there", found);
  return device_done(&dev);
}
