// Checkpoints: RUN/checkpoints/step-000001234/ with weights, EMA and moments as safetensors in the family's own names
// and a JSON state; of a run with adapters, those of the adapters alone, as lora_save() writes them. The folder appears
// whole, under its final name, or not at all; every file's hash stands in the state.
#ifndef VKDM_CKPT_H
#define VKDM_CKPT_H

#include "vkdm/config.h"
#include "vkdm/latent.h"
#include "vkdm/loss_scale.h"
#include "vkdm/params.h"

struct ckpt_state {
  int64_t step; // updates done
  struct dit_config model;
  struct latent_codec codec; // how samples become video
  uint64_t data_fingerprint; // of the dataset trained on
  char **class_names;        // [class_count]; owned
  uint32_t class_count;
  char *config; // the run's effective configuration as YAML; owned
  // Of a run with adapters: what they lie on, as base_load() gave it; NULL, 0 without.  Owned.
  char *base;
  uint64_t base_hash;
  struct loss_scale loss_scale; // zeros: none was written
};

void ckpt_state_free(struct ckpt_state *state);

// The kinds of which a checkpoint has a file each, in the order in which they are written: weights, EMA, moments.
enum { CKPT_FILES = 4 };
enum params_kind ckpt_kind(int file);

// What fetch.whole() makes of a kind is read from params before the next one is fetched (params_whole()).
struct ckpt_fetch {
  enum vkd_status (*whole)(void *user, enum params_kind kind, struct vkd_error *err);
  void *user;
};

// A checkpoint of the same step is replaced; at every moment one of the two is there. What was written is read back
// before it takes its name.
// Errors: VKD_ERR_IO; the folder is then as it was.
enum vkd_status ckpt_save(const char *run, const struct ckpt_state *state, const struct params *params,
                          struct ckpt_fetch fetch, struct vkd_error *err);

// Removes what killed runs were writing, and all up to `step`, one known to be whole under its own name, but the newest
// `keep` (0: keeps all); what an earlier save of that step left goes in any case.  Later ones, damaged else training
// would have gone on from them, stay until their step is saved again.
enum vkd_status ckpt_prune(const char *run, int keep, int64_t step, struct vkd_error *err);

enum vkd_status ckpt_remove_all(const char *run, struct vkd_error *err);

// Path of the newest checkpoint of a run, unread, malloc'd; NULL where there is none (no error).
// Errors: VKD_ERR_IO where the folder cannot be read.
enum vkd_status ckpt_newest(const char *run, char **path, struct vkd_error *err);

// Errors: VKD_ERR_INPUT where a file is missing, damaged, or its hash is not the state's; VKD_ERR_IO where the disk
// fails.
enum vkd_status ckpt_open(const char *path, struct ckpt_state *state, struct vkd_error *err);
// Opens the checkpoint that `path` is, or the newest whole one of the run that it is; a warning tells what is wrong
// with a newer one.  *folder: where it lies, malloc'd; NULL where there is none (no error).
// Errors: ckpt_open()'s for the oldest, where none is whole; ckpt_newest()'s.
enum vkd_status ckpt_find(const char *path, char **folder, struct ckpt_state *state, struct vkd_error *err);
// Name of the file that holds a kind, in a checkpoint's folder.
const char *ckpt_file(enum params_kind kind);
enum vkd_status ckpt_load(const char *path, struct params *params, enum params_kind from, enum params_kind into,
                          struct vkd_error *err);

#endif
