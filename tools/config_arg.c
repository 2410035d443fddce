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

// Writes the nearest asset "FOLDER/NAME.yaml"'s NAME into near; empty: none.
static void nearest_asset(const char *folder, const char *name, char near[128]) {
  char full[160];
  snprintf(full, sizeof full, "%s/%.100s.yaml", folder, name);
  struct vkd_nearest nearest = {.name = full};
  for (const struct asset *a = assets; a->name; a++)
    if (!strncmp(a->name, folder, strlen(folder)) && a->name[strlen(folder)] == '/')
      vkd_nearest_offer(&nearest, a->name);
  size_t before = strlen(folder) + 1, after = strlen(".yaml");
  *near = 0;
  if (nearest.best && strlen(nearest.best) > before + after)
    snprintf(near, 128, "%.*s", (int)(strlen(nearest.best) - before - after), nearest.best + before);
}

bool config_arg_is_path(const char *text) { return fileio_is_file(text) || strchr(text, '/') || strchr(text, '.'); }

enum vkd_status config_arg_asset(const char *folder, const char *name, const struct asset **out,
                                 struct vkd_error *err) {
  char full[160], near[128];
  snprintf(full, sizeof full, "%s/%.100s.yaml", folder, name);
  *out = asset_find(full);
  if (*out) return VKD_OK;
  nearest_asset(folder, name, near);
  return vkd_fail(err, VKD_ERR_INPUT, "%s: no such file, and nothing of that name is built in%s%s%s", name,
                  *near                       ? "; did you mean '"
                  : strcmp(folder, "configs") ? ""
                                              : " (see vkdit config --list)",
                  near, *near ? "'?" : "");
}

enum vkd_status config_arg_named(const char *name, const char *const *overrides, size_t count, struct config *config,
                                 struct vkd_error *err) {
  char full[160];
  snprintf(full, sizeof full, "configs/%.100s.yaml", name);
  const struct asset *asset = fileio_is_file(name) ? NULL : asset_find(full); // a built-in name may hold a '.'
  if (!asset && config_arg_is_path(name)) return config_load(name, overrides, count, config, err);
  enum vkd_status status = asset ? VKD_OK : config_arg_asset("configs", name, &asset, err);
  if (status) return status;
  return config_from_string(name, (const char *)asset->data, asset->size, overrides, count, config, err);
}

enum vkd_status config_arg_load(const struct cmd_args *args, struct config *config, struct vkd_error *err) {
  const char *path = args->pos[0];
  if (strchr(path, '='))
    return vkd_fail(err, VKD_ERR_USAGE, "%s: the configuration must come before '%s'", args->cmd->name, path);
  return config_arg_named(path, args->pos + 1, (size_t)args->count - 1, config, err);
}
