// A run that goes on keeps the lines of the steps before, whole, and shows each.
#include <string.h>

#include "../../../model/metrics.h"
#include "targets.h"
#include "vkdm/fileio.h"

static int shown;
static void count(void *user, const json_t *line) {
  (void)user;
  HOLDS(json_integer_value(json_object_get(line, "step")) <= 5, "a later step");
  shown++;
}

bool target_metrics(const uint8_t *data, size_t size) {
  struct metrics *m = NULL;
  struct vkd_error err = {0};
  char *kept = NULL;
  size_t left = 0;
  const char *path = target_write("metrics.jsonl", data, size);
  shown = 0;
  HOLDS(metrics_open(&m, target_folder(), 5, count, NULL, &err) == VKD_OK, "%s", err.what);
  HOLDS(metrics_write(m, 6, &(struct metric){"loss", 0.5}, 1, &err) == VKD_OK, "%s", err.what);
  HOLDS(metrics_close(&m, &err) == VKD_OK, "%s", err.what);
  HOLDS(fileio_read_whole(path, size + 64, &kept, &left, &err) == VKD_OK, "%s", err.what);
  int lines = 0;
  for (size_t i = 0; i < left; i++) lines += kept[i] == '\n';
  HOLDS(lines == shown + 1 && left > 0 && kept[left - 1] == '\n', "%d lines, %d were shown", lines, shown);
  free(kept);
  return shown > 0;
}
