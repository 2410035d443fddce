// Push constants of the layout kernels.
#ifndef VKD_PUSH_LAYOUT_H
#define VKD_PUSH_LAYOUT_H
#include "ref.h"

// latent [B, C, f pt, h ph, w pw]; tokens [B, f h w, vector], `count` of them in all
struct patchify_push {
  Addr latent, tokens;
  uint count, f, h, w;
};
#endif
