// The tensors of a model as its files give them: one .safetensors, or the shards that an index lists.
#ifndef VKDM_WEIGHTS_H
#define VKDM_WEIGHTS_H

#include "vkdm/safetensors.h"

struct weights;

// path: FILE.safetensors; FILE.safetensors.index.json, whose shards lie in its folder; or a folder with one of either,
// itself or in its subfolder transformer/.  Files are mapped, not read; they must not be truncated while they are open.
// Errors: VKD_ERR_INPUT naming the file and what is wrong: no weights or several, a shard outside the folder, a tensor
// that is not where the index says, or not in it.
enum vkd_status weights_open(struct weights **out, const char *path, struct vkd_error *err);
// The tensors of a file that is open already, and stays the caller's.
enum vkd_status weights_wrap(struct weights **out, const struct st_file *file, struct vkd_error *err);
void weights_close(struct weights **weights); // NULL inside is fine

const char *weights_path(const struct weights *weights);   // of the file or the index, for messages
const char *weights_folder(const struct weights *weights); // that holds it, where config.json may lie
size_t weights_count(const struct weights *weights);
const struct st_tensor *weights_at(const struct weights *weights, size_t i);           // in order of name
const struct st_tensor *weights_find(const struct weights *weights, const char *name); // NULL: none
// Of a single file; an index has none.
const char *weights_metadata(const struct weights *weights, const char *key); // NULL: none
size_t weights_metadata_count(const struct weights *weights);
void weights_metadata_at(const struct weights *weights, size_t i, const char **key, const char **value);

#endif
