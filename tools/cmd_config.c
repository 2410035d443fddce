// vkdit config: shows what a configuration amounts to, and which keys there are.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assets.h"
#include "cmd.h"
#include "config_arg.h"

static const struct cmd_opt opts[] = {
    {.name = "keys", .help = "list every key with its accepted values, default and meaning"},
    {.name = "list", .help = "list the built-in configurations"},
    {.name = "show", .kind = CMD_STRING, .metavar = "CONFIG", .help = "print a built-in configuration with its comments"},
    {.name = "output",
     .letter = 'o',
     .kind = CMD_STRING,
     .metavar = "FILE",
     .help = "write to a file instead of stdout"},
    {0},
};

static void print_keys(void) {
  const char *key, *fallback, *help;
  char accepted[160];
  for (size_t i = 0; config_describe(i, &key, &fallback, &help, accepted, sizeof accepted); i++)
    printf("%-20s %s: %s (default: %s)\n", key, help, accepted, *fallback ? fallback : "none");
}

static void print_list(void) {
  for (const struct asset *a = assets; a->name; a++)
    if (!strncmp(a->name, "configs/", 8))
      printf("%.*s\n", (int)(strlen(a->name) - strlen("configs/.yaml")), a->name + 8);
}

static enum vkd_status show(const char *name, struct vkd_error *err) {
  char path[128];
  snprintf(path, sizeof path, "configs/%.100s.yaml", name);
  const struct asset *asset = asset_find(path);
  if (!asset)
    return vkd_fail(err, VKD_ERR_USAGE, "config: no built-in configuration '%s'; see vkdit config --list", name);
  fwrite(asset->data, 1, asset->size, stdout);
  return VKD_OK;
}

static enum vkd_status run(struct cmd_args *args, struct vkd_error *err) {
  struct config config;
  if (cmd_has(args, "keys")) {
    print_keys();
    return VKD_OK;
  }
  if (cmd_has(args, "list")) {
    print_list();
    return VKD_OK;
  }
  if (cmd_has(args, "show")) return show(cmd_string(args, "show"), err);
  if (!args->count)
    return vkd_fail(err, VKD_ERR_USAGE, "config: too few arguments; usage: vkdit config %s", CONFIG_ARG_USAGE);
  enum vkd_status status = config_arg_load(args, &config, err);
  if (status) return status;
  if (cmd_has(args, "output")) return config_write(&config, cmd_string(args, "output"), err);
  char *text = config_to_string(&config);
  if (!text) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "config: out of memory");
  fputs(text, stdout);
  free(text);
  return VKD_OK;
}

const struct cmd cmd_config = {
    .name = "config",
    .summary = "Prints the full configuration of a run, or the keys there are",
    .usage = CONFIG_ARG_USAGE,
    .max_pos = -1,
    .opts = opts,
    .run = run,
};
