// vkdit convert: weight files from one public naming to another.
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "model_file.h"
#include "progress.h"
#include "vkd/nearest.h"
#include "vkdm/convert.h"
#include "vkdm/naming.h"

static const struct cmd_opt opts[] = {
    CMD_OPT_OUTPUT("OUT.safetensors", "file to write", .required = true),
    {.name = "naming",
     .kind = CMD_STRING,
     .metavar = "wan|comfyui|diffusers|meta",
     .required = true,
     .help = "of the tensors; comfyui: Wan's under " NAMING_COMFYUI},
    {.name = "dtype",
     .kind = CMD_STRING,
     .metavar = "keep|f32|f16|bf16",
     .fallback = "keep",
     .help = "keep: every bit as it is; others are rounded to nearest even"},
    {.name = "raw", .help = "of a run: the raw weights, not their running average (EMA)"},
    MODEL_FILE_OPTS,
    {0},
};

static const char *const namings[] = {"wan", "diffusers", "meta", "comfyui"}; // the first as enum dit_naming
static const char *const dtypes[] = {"keep", "f32", "f16", "bf16"};           // as enum convert_dtype
enum { NAMINGS = sizeof namings / sizeof namings[0], DTYPES = sizeof dtypes / sizeof dtypes[0], COMFYUI = 3 };

static enum vkd_status pick(const struct cmd_args *args, const char *option, const char *const *names, int count,
                            int *found, struct vkd_error *err) {
  const char *name = cmd_string(args, option);
  for (*found = 0; *found < count; (*found)++)
    if (strcmp(names[*found], name) == 0) return VKD_OK;
  const char *near = vkd_nearest_name(name, names, (size_t)count);
  return vkd_fail(err, VKD_ERR_USAGE, "convert: --%s %.60s: wanted %s, %s, %s or %s%s%s%s", option, name, names[0],
                  names[1], names[2], names[3], near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

// What takes a moment needs no bar.
static void on_progress(void *user, uint64_t bytes, uint64_t total) {
  struct progress *bar = user;
  if (total < 256 << 20) return;
  if (!*bar->label) progress_begin(bar, "convert", "MiB", 0, total >> 20);
  progress_update(bar, bytes >> 20, NULL);
}

static enum vkd_status run(struct cmd_args *args, struct vkd_error *err) {
  const char *path = cmd_string(args, "output");
  struct model_file in = {.weights = NULL};
  struct derive_options options;
  struct progress bar = {.total = 0};
  int naming = 0, dtype = 0;
  enum vkd_status st = pick(args, "naming", namings, NAMINGS, &naming, err);
  if (st == VKD_OK) st = pick(args, "dtype", dtypes, DTYPES, &dtype, err);
  if (st == VKD_OK) st = model_file_options(args, &options, err);
  options.any_heads = true;
  if (st == VKD_OK) st = model_file_open(&in, args->pos[0], &options, cmd_has(args, "raw"), err);
  if (st != VKD_OK) return st;
  const struct derived *m = &in.model;
  enum dit_naming to = naming == COMFYUI ? DIT_NAMING_WAN : (enum dit_naming)naming;
  if (m->config.family == DIT_CLASS && to == DIT_NAMING_META && !m->latent_known) {
    st = vkd_fail(err, VKD_ERR_USAGE,
                  "%s: Meta's names store the position table, whose size nothing tells: give --size, as 256x256",
                  args->pos[0]);
    goto done;
  }
  const struct convert_params params = {.weights = in.weights,
                                        .model = m,
                                        .naming = to,
                                        .prefix = naming == COMFYUI ? NAMING_COMFYUI : NULL,
                                        .dtype = (enum convert_dtype)dtype,
                                        .progress = on_progress,
                                        .user = &bar};
  st = convert_weights(&params, path, err);
  if (*bar.label) progress_end(&bar, NULL);
  if (st != VKD_OK) goto done;
  printf("%s: %s, names of %s to %s\n", path, dit_family_name(m->config.family), dit_naming_name(m->naming),
         namings[naming]);
done:
  model_file_close(&in);
  return st;
}

const struct cmd cmd_convert = {
    .name = "convert",
    .summary = "Writes the weights of a model in another public naming",
    .usage = MODEL_FILE_USAGE,
    .details = "Metadata go along.  No device is used, and memory stays small whatever the size of the model.",
    .min_pos = 1,
    .max_pos = 1,
    .opts = opts,
    .run = run,
};
