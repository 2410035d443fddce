// A table of measured forms is taken whole or not at all, each key once.
#include <string.h>

#include "targets.h"
#include "tune.h"

bool target_tune(const uint8_t *data, size_t size) {
  static const struct vkd_device_caps caps = {.name = "fuzz", .driver = "d", .driver_info = "1", .driver_version = 255};
  struct vkd_tune table = {.count = 0};
  const char *wrong = vkd__tune_parse(&table, &caps, (const char *)data, size);
  HOLDS(!wrong || !table.count, "%u entries of a table that is wrong: %s", table.count, wrong);
  HOLDS(table.count <= VKD_TUNE_ENTRIES, "%u entries", table.count);
  for (uint32_t i = 0; i < table.count; i++) {
    const struct vkd_tune_entry *e = &table.entries[i];
    HOLDS(e->ns > 0 && *e->key && memchr(e->key, 0, sizeof e->key) && *e->form && memchr(e->form, 0, sizeof e->form) &&
              vkd__tune_find(&table, e->key) == e,
          "entry %u", i);
  }
  free(table.entries);
  return !wrong;
}
