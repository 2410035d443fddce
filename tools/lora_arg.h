// --lora and --lora-mode: low-rank adapters for a model that a command has opened.
#ifndef VKDIT_LORA_ARG_H
#define VKDIT_LORA_ARG_H

#include "cmd.h"
#include "vkdm/lora.h"

#define LORA_ARG_OPTS                                                                                                  \
  {.name = "lora",                                                                                                     \
   .kind = CMD_STRING,                                                                                                 \
   .metavar = "FILE[:STRENGTH]",                                                                                       \
   .help = "low-rank adapters: a file or folder of diffusers, PEFT, kohya or a run of ours; more after commas"},       \
  {                                                                                                                    \
    .name = "lora-mode", .kind = CMD_STRING, .metavar = "auto|merge|apply", .fallback = "auto",                        \
    .help = "merge: add them to the weights, which must be fp32; apply: compute them beside, from one file; auto: "    \
            "merge where it can"                                                                                       \
  }

// What must live as long as the params: readers over weights that are streamed.
enum { LORA_ARG_FILES = 16 };
struct lora_arg {
  struct lora *files[LORA_ARG_FILES];
  struct lora_reader *readers[LORA_ARG_FILES];
  int count;
};

// Puts the adapters that --lora names into *params, which apply mode replaces; where they have a reader in place of
// storage, into what it reads.  Nothing to do without --lora.  *out: zeroed before.
// Errors: VKD_ERR_USAGE on a strength or mode that is none, apply mode with several files or a model that has adapters
// already; as lora_open().
enum vkd_status lora_arg_load(struct lora_arg *out, const struct cmd_args *args, struct params **params,
                              struct vkd_error *err);
void lora_arg_close(struct lora_arg *arg);

#endif
