// What lora.c (the file) and lora_params.c (its use) share.
#ifndef VKDM_LORA_INTERNAL_H
#define VKDM_LORA_INTERNAL_H

#include "vkdm/lora.h"

// One adapter as the file has it.
struct lora_layer {
  struct dit_adapter at;
  const struct st_tensor *a, *b; // [rank, in], [out, rank]; b may hold the other parts' rows too
  int64_t b_first;               // row of b where this part's begin
  int rank;
  double alpha; // so that the scale is alpha / rank
};

struct lora {
  struct st_file *file;
  struct lora_layer *layers;
  int count;
};

#endif
