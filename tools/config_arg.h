// The configuration that a command is given: CONFIG [key=value ...].
#ifndef VKDIT_CONFIG_ARG_H
#define VKDIT_CONFIG_ARG_H

#include "cmd.h"
#include "vkdm/config.h"

#define CONFIG_ARG_USAGE "CONFIG.yaml [key=value ...]"

// args->pos[0]: a file, or the name of a built-in configuration such as "tiny-video"; args->pos[1 ...]: overrides.
enum vkd_status config_arg_load(const struct cmd_args *args, struct config *config, struct vkd_error *err);

#endif
