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
};

enum vkd_form_id {
#define FORM(op, name) VKD_F_##op##_##name,
#include "forms.def"
#undef FORM
  VKD_FORM_COUNT
};
extern const struct vkd_form vkd__forms[VKD_FORM_COUNT];

// What decides between forms, in this order.
struct vkd_form_choice {
  const struct vkd_device_caps *caps;
  const struct vkd_form *forced; // for the nodes of its op that it can run; NULL: $VKD_FORM
  const struct vkd_tune *tune;   // what was measured on the device; NULL: nothing
};

// NULL: the op has one way alone.
const struct vkd_form *vkd__form_choose(const struct vkd_form_choice *choice, const struct vkd_graph *g,
                                        const struct vkd_node *node);

#endif
