#include "precision_arg.h"

#include <string.h>

enum vkd_status precision_arg(const struct cmd_args *args, enum vkd_dtype *dtype, struct vkd_error *err) {
  static const enum vkd_dtype dtypes[] = {VKD_F32, VKD_F16, VKD_BF16};
  const char *text = cmd_string(args, "precision");
  if (!text) return VKD_OK;
  for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
    if (strcmp(vkd_dtype_name(dtypes[i]), text) == 0) {
      *dtype = dtypes[i];
      return VKD_OK;
    }
  return vkd_fail(err, VKD_ERR_USAGE, "%s: --precision %.60s: fp32, fp16 and bf16 are known", args->cmd->name, text);
}
