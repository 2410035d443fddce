// config.json beside weights.  Internal to model/.
#ifndef VKDM_DERIVE_JSON_H
#define VKDM_DERIVE_JSON_H

#include "vkdm/derive.h"

// Fills what d->config has at 0 (heads, text_len, eps; the latent where it is not known) and compares the rest.  No
// file, or one of another kind of model, tells nothing.  Errors: VKD_ERR_INPUT naming the file, the key and both
// values.
enum vkd_status derive_read_json(const struct weights *weights, struct derived *d, struct vkd_error *err);

#endif
