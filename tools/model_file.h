// Models from weight files: FILE.safetensors, an index of shards, a folder with either; or from runs of ours.
#ifndef VKDIT_MODEL_FILE_H
#define VKDIT_MODEL_FILE_H

#include "cmd.h"
#include "run_model.h"
#include "vkdm/derive.h"

#define MODEL_FILE_USAGE "RUN|CHECKPOINT|FILE.safetensors|INDEX.json|FOLDER"

// Rows of a command's options: what a weight file itself may not tell.
#define MODEL_FILE_OPTS                                                                                                \
  {.name = "heads",                                                                                                    \
   .kind = CMD_INT,                                                                                                    \
   .metavar = "N",                                                                                                     \
   .min = 1,                                                                                                           \
   .max = 65536,                                                                                                       \
   .help = "attention heads of a weight file, where config.json beside it does not tell them"},                        \
      {.name = "text-len",                                                                                             \
       .kind = CMD_INT,                                                                                                \
       .metavar = "N",                                                                                                 \
       .min = 1,                                                                                                       \
       .max = 65536,                                                                                                   \
       .help = "rows that the text of a weight file is padded to, likewise; 512 where nothing tells them"},            \
      {.name = "size",                                                                                                 \
       .kind = CMD_SIZE,                                                                                               \
       .metavar = "HxW",                                                                                               \
       .help = "of a weight file's pictures in pixels, 8 to a latent's row or column, as Wan's and SD's VAE have it"}, \
      {.name = "frames",                                                                                               \
       .kind = CMD_INT,                                                                                                \
       .metavar = "F",                                                                                                 \
       .fallback = "1",                                                                                                \
       .min = 1,                                                                                                       \
       .max = 65536,                                                                                                   \
       .help = "with --size: frames of the video, 4 k + 1, which are k + 1 latent frames (Wan's VAE)"},                \
  {                                                                                                                    \
    .name = "latent", .kind = CMD_STRING, .metavar = "TxHxW",                                                          \
    .help = "the same in the latent's own frames, rows "                                                               \
            "and columns, for another VAE"                                                                             \
  }

// Of --heads, --text-len and --size with --frames, or --latent.  Errors: VKD_ERR_USAGE.
enum vkd_status model_file_options(const struct cmd_args *args, struct derive_options *options, struct vkd_error *err);

// The weights that `path` stands for, and their model; of a run or checkpoint the averaged weights, or the raw ones.
struct model_file {
  struct weights *weights;
  struct derived model;
};
// Errors: as weights_open(), derive_model(), ckpt_open(); VKD_ERR_USAGE where options are given for a run.
enum vkd_status model_file_open(struct model_file *out, const char *path, const struct derive_options *options,
                                bool raw, struct vkd_error *err);
void model_file_log(const struct model_file *file); // one line of what was found
void model_file_close(struct model_file *file);
// Errors: VKD_ERR_USAGE, naming the options, where nothing told the latent's size.
enum vkd_status model_file_require_latent(const struct model_file *file, struct vkd_error *err);

// What the family's public code assumes of such a model, in a configuration whose other fields are at their defaults.
void model_file_config(const struct derived *model, struct config *config);

// What a model is to be asked before its weights are loaded, which may take minutes; all but params is there.
struct run_model_check {
  enum vkd_status (*run)(void *user, const struct run_model *model, struct vkd_error *err);
  void *user;
};

// A model to sample from, of either kind.  Of a file: its configuration has the defaults of the family's public code,
// its latents are raw, state.step is -1, and its weights are streamed where they do not fit.  Errors: also
// VKD_ERR_USAGE where nothing tells the latent's size; that of the check.
enum vkd_status run_model_open_any(struct run_model *out, const char *path, const struct derive_options *options,
                                   bool raw, struct vkd_device *dev, const struct streamed_wish *wish,
                                   const struct run_model_check *check, struct vkd_error *err);

#endif
