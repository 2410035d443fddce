// What the runtime knows of an op: one row of ops.def.  Internal to runtime/.
#ifndef VKD_OP_H
#define VKD_OP_H

#include "vkd/graph.h"
#include "vkd/ops.h"

enum vkd_op {
#define OP(name, min_in, max_in, outs, writes, flags) VKD_OP_##name,
#include "ops.def"
#undef OP
  VKD_OP_COUNT
};

enum {
  VKD_OP_LEAF = 1,    // input, constant, bound: no work
  VKD_OP_VIEW = 2,    // out[0] is a part of in[0]'s storage: no work
  VKD_OP_NO_GRAD = 4, // backward is not defined (a gradient that asks for it is an error)
  VKD_OP_ROUNDS = 8   // its kernel can do a cast of out[0] to 16 bits too (fuse.c)
};

// Parameters of all ops; each op documents the ones it reads in its family's file.
union vkd_op_params {
  struct {
    struct vkd_shape shape;
  } reshape, randn;
  struct {
    int64_t begin, count;
  } slice, channels;
  struct {
    int patch[3];
    bool channel_last, inverse;
    struct vkd_shape latent;
  } patchify; // latent: the [B,C,T,H,W] side
  struct {
    enum vkd_dtype dtype;
  } cast;
  struct {
    bool ta, tb;
  } matmul;
  struct {
    int64_t groups;
  } sum_rows;
  struct {
    int64_t chunks;
  } modulation; // ke
  struct {
    float eps;
    bool one_plus;
    bool param; // layernorm_back: the gradients of scale and shift are wanted
  } layernorm;
  struct {
    int heads;
    float eps;
    bool param; // rmsnorm_rope_back: the gradient of weight is wanted
  } rms;
  struct {
    int64_t rows;
  } embed; // K
  struct {
    int heads;
    float scale;
  } attention;
  struct {
    float lr_scale, decay;
  } adamw;
};

struct vkd_node {
  enum vkd_op op;
  int nin, nout;
  vkd_tensor in[VKD_MAX_IN]; // an optional input that is not given has id 0
  vkd_tensor out[VKD_MAX_OUT];
  union vkd_op_params p;
  uint64_t scratch; // bytes wanted while the node runs, set by shape()
  const char *label;
  uint32_t region; // to recompute; 0: none
};

struct vkd_lower;

struct vkd_op_info {
  const char *name;
  int min_in, max_in, outs;
  uint32_t writes; // bit i: in[i] is a bound tensor that the op writes
  uint32_t flags;
  // Checks inputs and gives out_shape[], out_dtype[] and node->scratch.  On a mistake calls vkd__graph_fail().
  void (*shape)(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *out_shape, enum vkd_dtype *out_dtype);
  double (*flops)(const struct vkd_graph *g, const struct vkd_node *node);
  double (*bytes)(const struct vkd_graph *g, const struct vkd_node *node);
  // dout[i] may be empty (that output has no gradient); sets din[i] for the inputs for which vkd__wants_grad() holds.
  void (*backward)(struct vkd_graph *g, const struct vkd_node *node, const vkd_tensor *dout, vkd_tensor *din);
  void (*lower)(struct vkd_lower *l, const struct vkd_node *node);
  // in[i] is NULL where the input is not given; ops that write inputs write through in[].
  void (*ref)(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out);
};

extern const struct vkd_op_info vkd__ops[VKD_OP_COUNT];

// Builds a node; `node` has op, nin, in[] and p set.  Returns out[0], or the empty tensor; `more` (may be NULL) takes
// the other outputs.
vkd_tensor vkd__graph_add(struct vkd_graph *g, const struct vkd_node *node, vkd_tensor *more);
void vkd__graph_fail(struct vkd_graph *g, enum vkd_status status, const char *fmt, ...) VKD_PRINTF(3, 4);
vkd_tensor vkd__zeros(struct vkd_graph *g, const struct vkd_shape *shape); // a constant
// Whether the backward walk now under way needs a gradient of x.
bool vkd__wants_grad(const struct vkd_graph *g, vkd_tensor x);

static inline bool vkd_some(vkd_tensor x) { return x.id != 0; }
struct vkd_shape vkd__shape(const struct vkd_graph *g, vkd_tensor x); // rank 0 for the empty tensor
int64_t vkd__numel(const struct vkd_graph *g, vkd_tensor x);          // 0 for the empty tensor
int64_t vkd__last(const struct vkd_graph *g, vkd_tensor x);           // size of the last dimension
int64_t vkd__rows(const struct vkd_graph *g, vkd_tensor x);           // numel / last

// Shared pieces of rows
double vkd__no_flops(const struct vkd_graph *g, const struct vkd_node *node);
double vkd__io_bytes(const struct vkd_graph *g, const struct vkd_node *node); // every input and output once

#endif
