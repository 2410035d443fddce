// --lora and --lora-mode: low-rank adapters for a model that a command has opened.
#ifndef VKDIT_LORA_ARG_H
#define VKDIT_LORA_ARG_H

#include "cmd.h"
#include "vkdm/params.h"

#define LORA_ARG_OPTS                                                                                                  \
  {.name = "lora",                                                                                                     \
   .kind = CMD_STRING,                                                                                                 \
   .metavar = "FILE[:STRENGTH]",                                                                                       \
   .help = "low-rank adapters: a file or folder of diffusers, PEFT, kohya or a run of ours; more after commas"},       \
  {                                                                                                                    \
    .name = "lora-mode", .kind = CMD_STRING, .metavar = "MODE", .fallback = "merge",                                   \
    .help = "merge: add them to the weights; apply: compute them beside, from one file"                                \
  }

// Puts the adapters that --lora names into *params, which apply mode replaces.  Nothing to do without --lora.
// Errors: VKD_ERR_USAGE on a strength or mode that is none, apply mode with several files or a model that has adapters
// already; as lora_open().
enum vkd_status lora_arg_load(const struct cmd_args *args, struct params **params, struct vkd_error *err);

#endif
