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

// The values of a layer.
struct lora_pair {
  float *a, *b; // [rank, in], this part's [out, rank]; one block, freed with free(a)
};
enum vkd_status lora__read_pair(const struct lora_layer *layer, struct lora_pair *pair, struct vkd_error *err);

// w [count] += scale * elements [first, first + count) of B A; sum: [in] for the work
void lora__add_product(const struct lora_layer *layer, const struct lora_pair *pair, double scale, int64_t first,
                       int64_t count, double *sum, float *w);

// Whether one rank and alpha serve every layer, so that values on the fly are the file's, bit for bit; if not, B takes
// the scale, by this factor.
bool lora__is_uniform(const struct lora *lora);
double lora__b_factor(const struct lora *lora, const struct lora_layer *layer, double strength);

#endif
