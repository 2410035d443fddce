// Writing `.vkd` files clip by clip.
#ifndef VKDM_VKD_WRITER_H
#define VKDM_VKD_WRITER_H

#include "vkdm/latent.h"

struct vkd_writer;

struct vkd_writer_params {
  const char *path;
  const struct latent_codec *codec; // its haar means and scales are measured while clips come in
  uint32_t classes;                 // 0: none
  double holdout;                   // share of clips held out, 0 <= x < 1
  uint64_t seed;                    // of the split
  uint32_t span;                    // source frames that a clip covers; clips of one source may overlap
  int level;                        // zstd
};

// Where a clip comes from, and what belongs to it.  Clips of a source come in order of their start.
struct vkd_writer_clip {
  int32_t label, text; // -1: none
  uint32_t source, start;
};

enum vkd_status vkd_writer_open(const struct vkd_writer_params *params, struct vkd_writer **out, struct vkd_error *err);

// raw: u8 [T, H, W, 3], or f32 [C, t, h, w] for LATENT_RAW
enum vkd_status vkd_writer_add(struct vkd_writer *writer, const void *raw, const struct vkd_writer_clip *clip,
                               struct vkd_error *err);

// rows: f32 [m, text_dim]; texts are numbered 0, 1, ... in the order they come.
enum vkd_status vkd_writer_add_text(struct vkd_writer *writer, const float *rows, uint32_t m, uint32_t text_dim,
                                    struct vkd_error *err);

// Chooses the split, writes the tables and puts the file in place.
enum vkd_status vkd_writer_finish(struct vkd_writer *writer, const json_t *meta, struct vkd_error *err);
void vkd_writer_destroy(struct vkd_writer **writer); // without finish() nothing is left behind

#endif
