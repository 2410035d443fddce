// A test program's device: open it first, and let device_done() give the exit status.
#ifndef VKD_TEST_DEVICE_H
#define VKD_TEST_DEVICE_H

#include <stdlib.h>

#include "check.h"
#include "vkd/device.h"

// Without a device, or without 16-bit storage where half asks for it, the program ends as skipped.
static inline struct vkd_device *device_or_skip(bool half) {
  struct vkd_error err = {0};
  struct vkd_device *dev = NULL;
  enum vkd_status st = vkd_device_create(&dev, NULL, &err);
  bool lacks = st == VKD_OK && half && !vkd_device_get_caps(dev)->storage_16bit;
  if (st == VKD_ERR_NO_DEVICE || lacks) {
    printf("skipped: %s\n", lacks ? "the device lacks 16-bit storage" : err.what);
    vkd_device_destroy(&dev);
    exit(77);
  }
  CHECK(st == VKD_OK, "%s", err.what);
  if (!dev) exit(check_done());
  return dev;
}

static inline int device_done(struct vkd_device **dev) {
  char first[256] = "";
  CHECK(vkd_device_validation(*dev, first, sizeof first) == 0, "the validation layer complained: %s", first);
  vkd_device_destroy(dev);
  return check_done();
}

#endif
