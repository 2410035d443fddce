// Labels of a few known sources: within the number of classes, each with a name.
#include <string.h>

#include "../../../model/data_sources.h"
#include "targets.h"

bool target_labels(const uint8_t *data, size_t size) {
  static const char *const files[] = {"a.png", "b.png", "d,e.png", "q\"x.png"};
  const char *sources[4];
  struct source_list list = {0};
  struct vkd_error err = {0};
  for (int i = 0; i < 4; i++) sources[i] = target_write(files[i], "", 0);
  const char *path = target_write("labels.csv", data, size);
  HOLDS(sources_find(sources, 4, &list, &err) == VKD_OK && list.count == 4, "%s", err.what);
  enum vkd_status st = sources_label(&list, path, &err);
  if (st != VKD_OK) target_refused(st, &err, path, false);
  for (uint32_t i = 0; st == VKD_OK && i < list.count; i++)
    HOLDS(list.items[i].label >= -1 && list.items[i].label < (int64_t)list.class_count, "label %d of %u",
          list.items[i].label, list.class_count);
  for (uint32_t i = 0; i < list.class_count; i++) HOLDS(list.classes[i] && *list.classes[i], "class %u", i);
  sources_free(&list);
  return st == VKD_OK;
}
