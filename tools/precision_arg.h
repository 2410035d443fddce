// --precision: what the operands of products and attention are rounded to.
#ifndef VKDIT_PRECISION_ARG_H
#define VKDIT_PRECISION_ARG_H

#include "cmd.h"
#include "vkd/graph.h"

#define PRECISION_ARG_OPT(...)                                                                                         \
  { .name = "precision", .kind = CMD_STRING, .metavar = "fp32|fp16|bf16", .help = __VA_ARGS__ }

// *dtype stays where the option is not given.  Errors: VKD_ERR_USAGE.
enum vkd_status precision_arg(const struct cmd_args *args, enum vkd_dtype *dtype, struct vkd_error *err);

#endif
