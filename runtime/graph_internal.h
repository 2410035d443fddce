// The graph's data.  Internal to runtime/.
#ifndef VKD_GRAPH_INTERNAL_H
#define VKD_GRAPH_INTERNAL_H

#include "arena.h"
#include "op.h"

enum vkd_tensor_kind { VKD_TENSOR_TEMP, VKD_TENSOR_INPUT, VKD_TENSOR_CONSTANT, VKD_TENSOR_BOUND };

struct vkd_tensor_info {
  const char *name; // leaves only
  enum vkd_tensor_kind kind;
  enum vkd_dtype dtype;
  struct vkd_shape shape;
  uint32_t node; // producer
  uint32_t uses;
  vkd_tensor cast;           // the last cast made of it
  bool output;               // read by the host
  vkd_tensor place;          // bound tensor whose storage this one uses
  const void *data;          // constant
  struct vkd_buffer *buffer; // bound
  uint64_t offset;           // bound
};

enum { VKD_LABEL_DEPTH = 8 };

struct vkd_graph {
  struct vkd_arena arena;
  struct vkd_node *nodes;
  uint32_t node_count, node_cap;
  struct vkd_tensor_info *tensors; // [0] is the empty tensor
  uint32_t tensor_count, tensor_cap;
  const char *labels[VKD_LABEL_DEPTH]; // each the whole path
  int label_depth;
  uint32_t region, region_count; // the region to recompute that is open, 0: none; how many there are
  const uint8_t *wants;          // during the backward walk: tensor ids below wants_count that want a gradient
  uint32_t wants_count;
  bool unrounded; // casts keep all digits in the float64 reference: central differences want a smooth function
  struct vkd_error error;
};

static inline const struct vkd_tensor_info *vkd__info(const struct vkd_graph *g, vkd_tensor x) {
  return &g->tensors[x.id];
}
uint64_t vkd__tensor_bytes(const struct vkd_graph *g, vkd_tensor x);

// needed[i] = 1 for the nodes that an output, a placed tensor or a write to a bound tensor depends on.  needed:
// node_count bytes.
void vkd__graph_needed(const struct vkd_graph *g, uint8_t *needed);

// The tensor whose storage a chain of views ends in, and the byte offset there.
vkd_tensor vkd__view_root(const struct vkd_graph *g, vkd_tensor x, uint64_t *offset);

// Whether storage that x shares with a bound tensor is written by a node from `first` on.
bool vkd__written_since(const struct vkd_graph *g, uint32_t first, vkd_tensor x);

// keep[t] = 1 for what a region to recompute hands on: read by the host, by nodes outside of it, or placed.  keep:
// tensor_count bytes.
void vkd__recompute_keep(const struct vkd_graph *g, uint8_t *keep);

// A region that the reverse walk is through with.
struct vkd_recompute {
  uint32_t region;
  const uint8_t *keep; // per tensor
  uint8_t *need;       // per node: zeros
  vkd_tensor *copy;    // per tensor: room
};
// Nodes from `from` on are the region's backward: they, and they alone, come to read copies of the region's nodes
// [begin, end), which are put before them.
void vkd__recompute(struct vkd_graph *g, const struct vkd_recompute *r, uint32_t begin, uint32_t end, uint32_t from);

// Gradients of sum_i <dy[i], y[i]> with respect to wrt.  taker: NULL, or who is handed each once it is complete.
struct vkd__taker {
  void (*take)(void *user, int i, vkd_tensor grad);
  void *user;
};
void vkd__vjp(struct vkd_graph *g, const vkd_tensor *y, const vkd_tensor *dy, int ny, const vkd_tensor *wrt, int n,
              vkd_tensor *grads, const struct vkd__taker *taker);

#endif
