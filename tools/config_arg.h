// The configuration that a command is given: CONFIG [key=value ...].
#ifndef VKDIT_CONFIG_ARG_H
#define VKDIT_CONFIG_ARG_H

#include "assets.h"
#include "cmd.h"
#include "vkdm/config.h"

#define CONFIG_ARG_USAGE "CONFIG.yaml [key=value ...]"

// args->pos[0]: a file, or the name of a built-in configuration such as "tiny-video"; args->pos[1 ...]: overrides.
enum vkd_status config_arg_load(const struct cmd_args *args, struct config *config, struct vkd_error *err);

// `name`: a file, or the name of a built-in configuration.
enum vkd_status config_arg_named(const char *name, const char *const *overrides, size_t count, struct config *config,
                                 struct vkd_error *err);

// Whether the text means a file and not something built in.
bool config_arg_is_path(const char *text);

// assets/FOLDER/NAME.yaml.  Errors: VKD_ERR_INPUT naming the nearest.
enum vkd_status config_arg_asset(const char *folder, const char *name, const struct asset **out, struct vkd_error *err);

#endif
