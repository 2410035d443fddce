// Nothing goes to a driver but what this device and driver gave: the bytes as a file, and as what a sound file holds.
#include <string.h>

#include "cache.h"
#include "targets.h"

bool target_pipelines(const uint8_t *data, size_t size) {
  static const struct vkd_device_caps caps = {.vendor_id = 0x10005, .device_id = 7, .uuid = "sixteen letters"};
  const void *content;
  size_t got;
  const char *path = target_write("written.bin", NULL, 0);
  HOLDS(vkd__cache_write(path, data, size), "not written");
  void *file = vkd__cache_read(path, size, &content, &got);
  HOLDS(file && got == size && memcmp(content, data, size) == 0, "read otherwise than written");
  free(file);
  path = target_write("pipelines.bin", data, size);
  if ((file = vkd__cache_read(path, size, &content, &got))) {
    HOLDS(got < size && memcmp(content, data + (size - got), got) == 0, "%zu of %zu bytes", got, size);
    data = data + (size - got);
    size = got;
  }
  free(file);
  bool taken = !vkd__cache_check_pipelines(data, size, &caps);
  HOLDS(!taken || (size >= 32 && memcmp(data + 16, caps.uuid, 16) == 0), "foreign pipelines are taken");
  return taken;
}
