#include "lora_arg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vkd/log.h"
#include "vkdm/lora.h"

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

static enum vkd_status load(const char *path, double strength, bool apply, struct params **params,
                            struct vkd_error *err) {
  struct lora *lora = NULL;
  enum vkd_status st = lora_open(&lora, path, &(*params)->config, err);
  if (st != VKD_OK) return st;
  if (apply) {
    struct dit_config config = (*params)->config;
    lora_configure(lora, strength, &config);
    st = params_adapt(params, &config, err);
    if (st == VKD_OK) st = lora_apply(lora, strength, *params, err);
  } else {
    st = lora_merge(lora, strength, *params, err);
  }
  if (st == VKD_OK)
    vkd_log(VKD_LOG_INFO, "%s: %d adapters of rank %d, strength %g, %s", lora_path(lora), lora_count(lora),
            lora_rank(lora), strength, apply ? "on the fly" : "merged");
  lora_close(&lora);
  return st;
}

enum vkd_status lora_arg_load(const struct cmd_args *args, struct params **params, struct vkd_error *err) {
  const char *text = cmd_string(args, "lora"), *mode = cmd_string(args, "lora-mode"), *name = args->cmd->name;
  bool apply = strcmp(mode, "apply") == 0;
  if (!text && cmd_has(args, "lora-mode"))
    return vkd_fail(err, VKD_ERR_USAGE, "%s: --lora-mode is of --lora, which is not given", name);
  if (!apply && strcmp(mode, "merge") != 0)
    return vkd_fail(err, VKD_ERR_USAGE, "%s: --lora-mode %.60s: merge or apply", name, mode);
  if (!text) return VKD_OK;
  if (apply && strchr(text, ','))
    return vkd_fail(err, VKD_ERR_USAGE, "%s: --lora-mode apply takes one file; merge takes several", name);
  if (apply && (*params)->config.lora.rank > 0)
    return vkd_fail(err, VKD_ERR_USAGE, "%s: the run has adapters of its own beside its weights; use --lora-mode merge",
                    name);
  char *list = strdup(text), *rest = list;
  enum vkd_status st = list ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a path");
  for (char *at; st == VKD_OK && (at = strsep(&rest, ","));) {
    double strength;
    if (!split(at, &strength))
      st = vkd_fail(err, VKD_ERR_USAGE, "%s: --lora %.200s: FILE or FILE:STRENGTH is wanted", name, text);
    else
      st = load(at, strength, apply, params, err);
  }
  free(list);
  return st;
}
