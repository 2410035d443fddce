// State of one data_build(), shared by the kinds of source.
#ifndef VKDM_BUILD_H
#define VKDM_BUILD_H

#include <stdbool.h>

#include "data_sources.h"
#include "vkd_writer.h"
#include "vkdm/data_build.h"
#include "vkdm/safetensors.h"

struct build {
  struct data_build_params p; // defaults filled in
  struct source_list sources;
  bool synthetic;
  struct latent_codec codec;
  struct vkd_writer *writer;
  struct st_file *text;
  int32_t *text_ids; // by tensor of `text`: its number in the output; -1: not written yet
  uint32_t text_count;
  uint64_t expected, done; // clips
  uint32_t skipped;        // sources too short for a clip
  uint8_t *clip;           // scratch for one
};

// Adds a clip of sources.items[source]; stem: NULL where the source has no file.
enum vkd_status build_add_clip(struct build *b, const void *raw, const char *name, const char *stem, uint32_t source,
                               uint32_t start, int32_t label, struct vkd_error *err);

// Latents input: prepare sets codec and, without --labels, the classes from the files' "labels"; add adds one file's.
enum vkd_status build_prepare_latents(struct build *b, struct vkd_error *err);
enum vkd_status build_add_latents(struct build *b, uint32_t index, struct vkd_error *err);

#endif
