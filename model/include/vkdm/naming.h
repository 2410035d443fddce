// The tensors of a model's weight file in a public naming, and which part of the model's parameters each one holds.
#ifndef VKDM_NAMING_H
#define VKDM_NAMING_H

#include "vkdm/dit.h"

struct naming_tensor {
  char name[96];          // without a prefix
  int param;              // row of dit_params()
  int64_t first, rows;    // of the parameter's leading dimension: [first, first + rows)
  struct vkd_shape shape; // in the file: the parameter's, with `rows` in front
  bool copy;              // the same bits as an earlier tensor of the list
  bool optional;          // dit_param_init() gives the values where a file has none
};

// In the order of dit_params().  Family cross_dit: one to one in both namings.  Family dit: one to one in Meta's names;
// in diffusers' the query, key and value rows lie apart, the timestep's MLP and the class table stand in every block,
// and the position table is left out where it is the fixed one.  *tensors is freed with free().
// Errors: VKD_ERR_USAGE where the family has no such naming.
enum vkd_status naming_tensors(const struct dit_config *config, enum dit_naming naming, struct naming_tensor **tensors,
                               int *count, struct vkd_error *err);

bool naming_has(enum dit_family family, enum dit_naming naming);

// What may stand before every name of a file: "", and ComfyUI's "model.diffusion_model.".
enum { NAMING_PREFIXES = 2 };
#define NAMING_COMFYUI "model.diffusion_model."
extern const char *const naming_prefixes[NAMING_PREFIXES];

#endif
