// --text, --null-text and --noise: tensors of .safetensors files that a sample starts from.
#ifndef VKDIT_TEXT_ARG_H
#define VKDIT_TEXT_ARG_H

#include "cmd.h"
#include "vkdm/dit.h"

#define TEXT_ARG_OPTS                                                                                                  \
  {.name = "text",                                                                                                     \
   .kind = CMD_STRING,                                                                                                 \
   .metavar = "FILE.safetensors",                                                                                      \
   .help = "text embedding [length, width], or [n, length, width] for n samples by turns; zero padded"},               \
      {.name = "null-text",                                                                                            \
       .kind = CMD_STRING,                                                                                             \
       .metavar = "FILE.safetensors",                                                                                  \
       .help = "text embedding of the guidance, that of the negative prompt; without it zeros"},                       \
  {                                                                                                                    \
    .name = "noise", .kind = CMD_STRING, .metavar = "FILE.safetensors",                                                \
    .help = "starting noise [n, C, T, H, W] in "                                                                       \
            "place of the seed's"                                                                                      \
  }

struct text_arg {
  float *text;      // [count, text_len, text_dim], or NULL
  float *null_text; // [text_len, text_dim], or NULL
  float *noise;     // [count, in_channels, T, H, W], or NULL
};

// A file holds one tensor, or one of the usual name (prompt_embeds, context; ...).  Free in either case.
// Errors: VKD_ERR_USAGE where the model takes no text; VKD_ERR_INPUT naming the file and the shape that is wanted.
enum vkd_status text_arg_read(const struct cmd_args *args, const struct dit_config *config, int count,
                              struct text_arg *out, struct vkd_error *err);
void text_arg_free(struct text_arg *text);

#endif
