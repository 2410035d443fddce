// The cells of a sweep have names that are plain folders, each its own, and configurations that pass.
#include <string.h>

#include "targets.h"
#include "vkdm/sweep.h"

static enum vkd_status load_base(void *user, const char *base, struct config *out, struct vkd_error *err) {
  (void)user, (void)base, (void)err;
  config_default(out);
  return VKD_OK;
}

bool target_sweep(const uint8_t *data, size_t size) {
  struct sweep sweep;
  struct vkd_error err = {0};
  const struct sweep_source source = {
      .name = "s.yaml", .text = (const char *)data, .size = size, .load_base = load_base};
  enum vkd_status st = sweep_parse(&source, &sweep, &err);
  if (st != VKD_OK) {
    HOLDS(!sweep.cells, "a refused sweep keeps memory");
    target_refused(st, &err, "s.yaml", true);
    return false;
  }
  HOLDS(sweep.count >= 1 && sweep.count <= SWEEP_MAX_CELLS && sweep.rows_from >= 0 && sweep.rows_from <= 1, "%d cells",
        sweep.count);
  for (int i = 0; i < sweep.count; i++) {
    const char *name = sweep.cells[i].name;
    HOLDS(*name && *name != '.' && !strchr(name, '/') && memchr(name, 0, SWEEP_NAME_MAX), "a cell called '%s'", name);
    HOLDS(!config_check(&sweep.cells[i].config, &err), "%s: %s", name, err.what);
  }
  sweep_free(&sweep);
  return true;
}
