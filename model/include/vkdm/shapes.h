// The shapes of the clips that a configuration works on, for what needs no clip itself: plans, profiles, benchmarks.
#ifndef VKDM_SHAPES_H
#define VKDM_SHAPES_H

#include "vkdm/config.h"
#include "vkdm/dataset.h"

// Those of data.path; or of the synthetic set, which need not exist; or data.latent with the text and classes that the
// model names.  *file: what `info` points into, or NULL; closed by the caller.
enum vkd_status shapes_open(const struct config *config, struct dataset **file, struct dataset_info *info,
                            struct vkd_error *err);

#endif
