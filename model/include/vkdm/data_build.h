// Building `.vkd` files from videos, image folders, safetensors latents, or seeded moving shapes.
#ifndef VKDM_DATA_BUILD_H
#define VKDM_DATA_BUILD_H

#include "vkdm/latent.h"
#include "vkdm/synthetic.h"

enum { DATA_AUTO = 0xffffffff };

// Zero (or NULL) means the default in brackets.
struct data_build_params {
  const char *const *sources; // files or folders, or the one word "synthetic"
  uint32_t source_count;
  const char *output;     // path of the .vkd
  uint32_t frames;        // T per clip [8; 1 for images]
  uint32_t height, width; // pixels [32 x 32]
  uint32_t stride;        // source frames from one clip frame to the next [1]
  uint32_t hop;       // source frames from one clip start to the next [no overlap, or less to reach about 512 clips]
  uint32_t max_clips; // at most this many per source [all]
  enum latent_kind codec;      // LATENT_PIXEL or LATENT_HAAR; ignored for latents input
  uint32_t levels_t, levels_s; // haar; DATA_AUTO: 1, or 0 where the size is odd
  const char *labels;          // "folder", or a .csv of file,label rows [none]
  const char *text;            // .safetensors with one f32 [m, text_dim] per file stem or class name [none]
  double holdout;              // share of clips held out, 0 <= x < 1; below 0: 0.1
  uint64_t seed;               // of the split, and of the synthetic clips
  uint32_t count, classes;     // synthetic [256 clips, 12 classes]
  enum synthetic_scene scene;  // synthetic [plain]
  int level;                   // zstd level [6]
  void (*progress)(void *user, const char *source, uint64_t clips_done,
                   uint64_t clips_expected); // expected 0: not known
  void *user;
};

// Writes a temporary file beside `output` and renames it when complete.
// Errors: VKD_ERR_INPUT naming the source; VKD_ERR_USAGE on sizes or options that do not fit; VKD_ERR_IO.
enum vkd_status data_build(const struct data_build_params *params, struct vkd_error *err);

#endif
