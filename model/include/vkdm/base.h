// The weights that a run starts from: those of another run, or of a public weight file.
#ifndef VKDM_BASE_H
#define VKDM_BASE_H

#include "vkdm/params.h"

// Loads a run's newest checkpoint, a checkpoint, or what weights_open() opens, into the model's own parameters, and
// into their EMA where it is kept.  Of a checkpoint the averaged weights, as sampling uses them, where it was trained
// with them. *hash (may be NULL): of the values themselves, whatever the file's naming and element types.  *found (may
// be NULL): absolute path of the checkpoint or file, malloc'd. Errors: VKD_ERR_INPUT where there is no such thing, or
// it is not this model's shape.
enum vkd_status base_load(const char *path, struct params *params, uint64_t *hash, char **found, struct vkd_error *err);

#endif
