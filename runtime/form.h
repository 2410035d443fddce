// Forms: several ways to lower one op, of which every node takes one.  Internal to runtime/.
#ifndef VKD_FORM_H
#define VKD_FORM_H

#include "lower.h"

enum vkd_form_rank {
  VKD_FORM_NEVER, // the device cannot run it for this node
  VKD_FORM_SLOW,  // it can, and is known to have something faster
  VKD_FORM_FITS,
  VKD_FORM_BEST // made for this kind of device
};

struct vkd_form {
  enum vkd_op op;
  const char *name;
  enum vkd_form_rank (*rank)(const struct vkd_device_caps *caps, const struct vkd_graph *g,
                             const struct vkd_node *node);
  // Bytes wanted while the node runs.
  uint64_t (*scratch)(const struct vkd_device_caps *caps, const struct vkd_graph *g, const struct vkd_node *node);
  void (*lower)(struct vkd_lower *l, const struct vkd_node *node);
  int rounds; // forms.def
};

enum vkd_form_id {
#define FORM(op, name, rounds) VKD_F_##op##_##name,
#include "forms.def"
  VKD_FORM_COUNT
};
extern const struct vkd_form vkd__forms[VKD_FORM_COUNT];

// An op that has forms.
struct vkd_formed {
  enum vkd_op op;
  // Layout, dtype and sizes in powers of two, such as "nt/fp32/m10/n9/k9": [a-z0-9/]
  void (*bucket)(const struct vkd_graph *g, const struct vkd_node *node, char *text, size_t size);
  // Shapes of the inputs of such a node with its longest size halved
  void (*halve)(const struct vkd_graph *g, const struct vkd_node *node, struct vkd_shape in[VKD_MAX_IN]);
};
const struct vkd_formed *vkd__formed(enum vkd_op op); // NULL: the op has one way alone

// For buckets: the power of two at or below n >= 1.
static inline int vkd__log2(int64_t n) {
  int p = 0;
  while (n >>= 1) p++;
  return p;
}

// What decides between forms, in this order; where it says nothing, their ranks.
struct vkd_form_choice {
  const struct vkd_device_caps *caps;
  const char *forced;          // form of this name, for the nodes that it can run; NULL: $VKD_FORM
  const struct vkd_tune *tune; // what was measured on the device (tune.h); NULL: nothing
};

// NULL: the op has one way alone.
const struct vkd_form *vkd__form_choose(const struct vkd_form_choice *choice, const struct vkd_graph *g,
                                        const struct vkd_node *node);

// Relative error that the form adds by rounding on its way (forms.def).  form may be NULL.
double vkd__form_error(const struct vkd_form *form, const struct vkd_graph *g, const struct vkd_node *node);

#endif
