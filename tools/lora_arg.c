#include "lora_arg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vkd/log.h"

// Splits FILE[:STRENGTH] in place.  What stands behind the last colon is a strength only where it is a number.
static bool split(char *text, double *strength) {
  char *colon = strrchr(text, ':'), *end = NULL;
  *strength = 1;
  if (!colon) return *text != 0;
  double value = strtod(colon + 1, &end);
  if (end == colon + 1 || *end) return *text != 0;
  *colon = 0;
  *strength = value;
  return *text != 0 && isfinite(value);
}

// Over weights that are streamed.
static enum vkd_status load_reader(struct lora_arg *arg, struct lora *lora, double strength, bool apply,
                                   struct params **params, struct vkd_error *err) {
  struct params *old = *params, *with = NULL;
  struct dit_config config = old->config;
  struct lora_reader **reader = &arg->readers[arg->count - 1];
  enum vkd_status st = lora_reader_create(reader, lora, strength, apply, &old->config, old->reader, err);
  if (st == VKD_OK && apply) {
    lora_configure(lora, strength, &config);
    st = params_create(&with, old->dev, &config, 0, err);
    if (st != VKD_OK) return st;
    params_destroy(params);
    *params = with;
  }
  if (st == VKD_OK) (*params)->reader = lora_reader_get(*reader);
  return st;
}

static enum vkd_status load(struct lora_arg *arg, const char *path, double strength, bool apply, struct params **params,
                            struct vkd_error *err) {
  if (arg->count == LORA_ARG_FILES)
    return vkd_fail(err, VKD_ERR_USAGE, "%s: more than %d adapter files", path, LORA_ARG_FILES);
  enum vkd_status st = lora_open(&arg->files[arg->count], path, &(*params)->config, err);
  if (st != VKD_OK) return st;
  struct lora *lora = arg->files[arg->count++];
  struct dit_config config = (*params)->config;
  if ((*params)->reader) {
    st = load_reader(arg, lora, strength, apply, params, err);
  } else if (apply) {
    lora_configure(lora, strength, &config);
    st = params_adapt(params, &config, err);
    if (st == VKD_OK) st = lora_apply(lora, strength, *params, err);
  } else {
    st = lora_merge(lora, strength, *params, err);
  }
  if (st == VKD_OK)
    vkd_log(VKD_LOG_INFO, "%s: %d adapters of rank %d, strength %g, %s", lora_path(lora), lora_count(lora),
            lora_rank(lora), strength, apply ? "on the fly" : "merged");
  return st;
}

enum vkd_status lora_arg_load(struct lora_arg *out, const struct cmd_args *args, struct params **params,
                              struct vkd_error *err) {
  const char *text = cmd_string(args, "lora"), *mode = cmd_string(args, "lora-mode"), *name = args->cmd->name;
  // 16-bit weights on the device were rounded before; those that are streamed are rounded after the adapters.
  bool rounded = (*params)->narrow && (*params)->config.compute != VKD_F32 && !(*params)->reader;
  bool automatic = strcmp(mode, "auto") == 0, apply = automatic ? rounded : strcmp(mode, "apply") == 0;
  if (!text && cmd_has(args, "lora-mode"))
    return vkd_fail(err, VKD_ERR_USAGE, "%s: --lora-mode is of --lora, which is not given", name);
  if (!apply && !automatic && strcmp(mode, "merge") != 0)
    return vkd_fail(err, VKD_ERR_USAGE, "%s: --lora-mode %.60s: merge, apply or auto", name, mode);
  if (!text) return VKD_OK;
  if (apply && strchr(text, ','))
    return vkd_fail(err, VKD_ERR_USAGE,
                    "%s: adapters on the fly come from one file; several are merged, into fp32 weights", name);
  if (apply && (*params)->config.lora.rank > 0)
    return vkd_fail(err, VKD_ERR_USAGE,
                    "%s: the run has adapters of its own beside its weights; others are merged, into fp32 weights",
                    name);
  char *list = strdup(text), *rest = list;
  enum vkd_status st = list ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a path");
  for (char *at; st == VKD_OK && (at = strsep(&rest, ","));) {
    double strength;
    if (!split(at, &strength))
      st = vkd_fail(err, VKD_ERR_USAGE, "%s: --lora %.200s: FILE or FILE:STRENGTH is wanted", name, text);
    else
      st = load(out, at, strength, apply, params, err);
  }
  free(list);
  return st;
}

void lora_arg_close(struct lora_arg *arg) {
  while (arg->count > 0) {
    arg->count--;
    lora_reader_destroy(&arg->readers[arg->count]);
    lora_close(&arg->files[arg->count]);
  }
}
