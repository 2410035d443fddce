// An image becomes pixels of the size asked for, whatever its own.
#include <string.h>

#include "targets.h"
#include "vkdm/image.h"

bool target_image(const uint8_t *data, size_t size) {
  static const uint32_t sizes[][2] = {{8, 8}, {1, 3}, {64, 2}, {31, 47}};
  const uint32_t *side = sizes[size % 4];
  struct vkd_error err = {0};
  const char *path = target_write("i.png", data, size);
  size_t bytes = (size_t)side[0] * side[1] * 3;
  uint8_t *rgb = malloc(bytes); // of its own, so that the sanitizers see a write past its end
  HOLDS(rgb, "no memory");
  memset(rgb, 0, bytes);
  enum vkd_status st = image_load(path, side[0], side[1], rgb, &err);
  if (st != VKD_OK) target_refused(st, &err, path, false);
  free(rgb);
  return st == VKD_OK;
}
