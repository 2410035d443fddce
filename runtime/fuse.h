// Which nodes a product's kernel computes on its way out.  Internal to runtime/.
#ifndef VKD_FUSE_H
#define VKD_FUSE_H

#include "graph_internal.h"

struct vkd_fused {
  uint32_t node; // computed by the product's kernel; 0: none
  int operand;   // the input of it that the product is
  bool hidden;   // nothing else reads the product: it is not stored
  uint32_t cast; // rounds the result, which is that of `node` if there is one, in the same kernel; 0: none
  bool narrow;   // nothing else reads the result: it is stored in 16 bits alone
};

// What node i can compute beside itself: the node that comes next, where that takes the product element by element, and
// the first cast of what comes out, wherever it stands.  needed: as vkd__graph_needed() gives.
struct vkd_fused vkd__fuse(const struct vkd_graph *g, const uint8_t *needed, uint32_t i);

#endif
