// Row numbers of the DiT's parameter table.
#ifndef VKDM_DIT_INTERNAL_H
#define VKDM_DIT_INTERNAL_H

#include "vkdm/dit.h"

enum dit_outer_row {
#define OUTER(id, ...) DIT_##id,
#define BLOCK(id, ...)
#include "dit_params.def"
#undef OUTER
#undef BLOCK
  DIT_OUTER_ROWS
};

enum dit_block_row {
#define OUTER(id, ...)
#define BLOCK(id, ...) DIT_##id,
#include "dit_params.def"
#undef OUTER
#undef BLOCK
  DIT_BLOCK_ROWS
};

static inline int dit_block_param(int block, enum dit_block_row row) {
  return DIT_OUTER_ROWS + block * DIT_BLOCK_ROWS + (int)row;
}
// The class table, the last row where there are classes.
static inline int dit_class_param(const struct dit_config *c) { return DIT_OUTER_ROWS + c->depth * DIT_BLOCK_ROWS; }

#endif
