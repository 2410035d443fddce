// A static graph of tensors and ops: built once, differentiated, planned, recorded, replayed.
//
// Builders are sticky: the first mistake is kept in the graph, later calls do nothing and return the empty tensor, and
// vkd_graph_status() tells.  A graph is used by one thread at a time.
#ifndef VKD_GRAPH_H
#define VKD_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vkd/status.h"

enum { VKD_MAX_DIMS = 5, VKD_MAX_IN = 8, VKD_MAX_OUT = 3 };

// 16-bit floats are operands of vkd_matmul() and vkd_attention(), made by vkd_cast() or bound.
enum vkd_dtype { VKD_F32, VKD_I32, VKD_F16, VKD_BF16 };
uint64_t vkd_dtype_bytes(enum vkd_dtype dtype);
const char *vkd_dtype_name(enum vkd_dtype dtype); // "fp32", "int32", "fp16", "bf16"
static inline bool vkd_dtype_16bit(enum vkd_dtype dtype) { return dtype == VKD_F16 || dtype == VKD_BF16; }

typedef struct {
  uint32_t id; // 0: no tensor
} vkd_tensor;

// Row-major; dim[rank-1] is contiguous.
struct vkd_shape {
  int rank;
  int64_t dim[VKD_MAX_DIMS];
};
#define VKD_SHAPE(...) ((struct vkd_shape){(int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), {__VA_ARGS__}})

int64_t vkd_shape_numel(const struct vkd_shape *shape);
bool vkd_shape_equal(const struct vkd_shape *a, const struct vkd_shape *b);

struct vkd_graph;
struct vkd_buffer;

enum vkd_status vkd_graph_create(struct vkd_graph **out, struct vkd_error *err);
void vkd_graph_destroy(struct vkd_graph **g);

// The first mistake made by a builder, with the label it was made under; VKD_OK if none.
enum vkd_status vkd_graph_status(const struct vkd_graph *g, struct vkd_error *err);

// Nodes built between push and pop carry the label ("block3/attn"); labels nest with '/'.
void vkd_graph_label_push(struct vkd_graph *g, const char *fmt, ...) VKD_PRINTF(2, 3);
void vkd_graph_label_pop(struct vkd_graph *g);

// Nodes built between begin and end are a region that the gradient computes again: after the forward pass only what
// other nodes or the host read of it is kept, and the reverse walk first copies the region's nodes that it needs, under
// the label "recompute/...", which read what the region read.  Gradients are the same, bit for bit.  Regions do not
// nest, hold no node that writes a bound tensor, and read no bound tensor that is written before the gradient.  Without
// a gradient a region changes nothing.
void vkd_graph_recompute_begin(struct vkd_graph *g);
void vkd_graph_recompute_end(struct vkd_graph *g);

// Leaves.  An input is written by the host before every run; a constant is copied into the graph here; a bound tensor
// lives at `offset` bytes (a multiple of 64) of a buffer that the caller owns and that outlives every program made of
// the graph; tensors that share bytes of a buffer have one dtype.
vkd_tensor vkd_input(struct vkd_graph *g, const char *name, enum vkd_dtype dtype, struct vkd_shape shape);
vkd_tensor vkd_constant(struct vkd_graph *g, const char *name, enum vkd_dtype dtype, struct vkd_shape shape,
                        const void *data);
vkd_tensor vkd_bound(struct vkd_graph *g, const char *name, enum vkd_dtype dtype, struct vkd_shape shape,
                     struct vkd_buffer *buffer, uint64_t offset);

// The host reads `x` after a run.
void vkd_output(struct vkd_graph *g, vkd_tensor x);

// `x` is computed into the bound tensor `dst` (same element count): in place of its own storage where nothing since x
// has used dst, with a copy where not.  In place, x is dst from then on: what writes dst later changes x.
void vkd_place(struct vkd_graph *g, vkd_tensor x, vkd_tensor dst);

struct vkd_shape vkd_tensor_shape(const struct vkd_graph *g, vkd_tensor x);
enum vkd_dtype vkd_tensor_dtype(const struct vkd_graph *g, vkd_tensor x);

// d loss / d wrt[i] into grads[i]; loss has one element.  A wrt tensor that the loss does not depend on is an error.
// Gradients are fp32 whatever their tensors are: a cast passes them on as they are.
void vkd_grad(struct vkd_graph *g, vkd_tensor loss, const vkd_tensor *wrt, int n, vkd_tensor *grads);
// The same times scale [1], which the walk starts from: what of it is rounded to 16 bits is scaled before.
void vkd_grad_scaled(struct vkd_graph *g, vkd_tensor loss, vkd_tensor scale, const vkd_tensor *wrt, int n,
                     vkd_tensor *grads);
// The same, handed out one by one as they are complete: what `take` builds of gradient i comes before the rest of the
// walk.
void vkd_grad_take(struct vkd_graph *g, vkd_tensor loss, vkd_tensor scale, const vkd_tensor *wrt, int n,
                   void (*take)(void *user, int i, vkd_tensor grad), void *user);

// Float64 reference of the whole graph on the host.  values[id] (id < vkd_graph_tensor_count) points to numel doubles:
// the caller fills the leaves' (int32 leaves as doubles; constants are filled here), every other one is computed here;
// casts to 16 bits round as the device does.
// vkd_graph_ref_alloc() allocates all of them in one block to be freed with free(values); bound tensors hold their own
// values.
uint32_t vkd_graph_tensor_count(const struct vkd_graph *g);
enum vkd_status vkd_graph_ref_alloc(const struct vkd_graph *g, double ***values, struct vkd_error *err);
enum vkd_status vkd_graph_ref_run(const struct vkd_graph *g, double **values, struct vkd_error *err);

#endif
