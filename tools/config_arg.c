#include "config_arg.h"

#include <stdio.h>
#include <string.h>

#include "assets.h"
#include "vkd/nearest.h"
#include "vkdm/fileio.h"

const struct asset *asset_find(const char *name) {
  for (const struct asset *a = assets; a->name; a++)
    if (!strcmp(a->name, name)) return a;
  return NULL;
}

enum vkd_status config_arg_load(const struct cmd_args *args, struct config *config, struct vkd_error *err) {
  const char *path = args->pos[0];
  const char *const *overrides = args->pos + 1;
  size_t count = (size_t)args->count - 1;
  if (strchr(path, '='))
    return vkd_fail(err, VKD_ERR_USAGE, "%s: the configuration must come before '%s'", args->cmd->name, path);
  if (fileio_is_file(path) || strchr(path, '/') || strchr(path, '.'))
    return config_load(path, overrides, count, config, err);
  char name[128];
  snprintf(name, sizeof name, "configs/%.100s.yaml", path);
  const struct asset *asset = asset_find(name);
  if (asset) return config_from_string(path, (const char *)asset->data, asset->size, overrides, count, config, err);
  struct vkd_nearest nearest = {.name = name};
  for (const struct asset *a = assets; a->name; a++)
    if (!strncmp(a->name, "configs/", 8)) vkd_nearest_offer(&nearest, a->name);
  int shown = nearest.best ? (int)(strlen(nearest.best) - strlen("configs/.yaml")) : 0;
  return vkd_fail(err, VKD_ERR_INPUT, "%s: no such file, and no built-in configuration of that name%s%.*s%s", path,
                  shown > 0 ? "; did you mean '" : " (see vkdit config --list)", shown > 0 ? shown : 0,
                  shown > 0 ? nearest.best + strlen("configs/") : "", shown > 0 ? "'?" : "");
}
