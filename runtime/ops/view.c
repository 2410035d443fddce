// Leaves and views: no work on the device.
#include <string.h>

#include "graph_internal.h"
#include "lower.h"

static double no_bytes(void) { return 0; }

// ---- leaf: p.reshape.shape; the dtype is set by the builder of the leaf -------------------------------------------
void leaf_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)g, (void)dtype;
  shape[0] = node->p.reshape.shape;
}
double leaf_flops(const struct vkd_graph *g, const struct vkd_node *node) { return vkd__no_flops(g, node); }
double leaf_bytes(const struct vkd_graph *g, const struct vkd_node *node) {
  (void)g, (void)node;
  return no_bytes();
}
void leaf_backward(struct vkd_graph *g, const struct vkd_node *node, const vkd_tensor *dout, vkd_tensor *din) {
  (void)g, (void)node, (void)dout, (void)din;
}
void leaf_lower(struct vkd_lower *l, const struct vkd_node *node) { (void)l, (void)node; }
void leaf_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  (void)g, (void)node, (void)in, (void)out;
}

// ---- reshape: p.reshape.shape --------------------------------------------------------------------------------------
vkd_tensor vkd_reshape(struct vkd_graph *g, vkd_tensor x, struct vkd_shape shape) {
  return vkd__graph_add(g, &(struct vkd_node){.op = VKD_OP_reshape, .nin = 1, .in = {x}, .p.reshape.shape = shape},
                        NULL);
}
void reshape_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  shape[0] = node->p.reshape.shape;
  dtype[0] = vkd_tensor_dtype(g, node->in[0]);
  if (vkd_shape_numel(&shape[0]) != vkd__numel(g, node->in[0]))
    vkd__graph_fail(g, VKD_ERR_SHAPE, "reshape of %lld elements to %lld", (long long)vkd__numel(g, node->in[0]),
                    (long long)vkd_shape_numel(&shape[0]));
}
double reshape_flops(const struct vkd_graph *g, const struct vkd_node *node) { return vkd__no_flops(g, node); }
double reshape_bytes(const struct vkd_graph *g, const struct vkd_node *node) {
  (void)g, (void)node;
  return no_bytes();
}
void reshape_backward(struct vkd_graph *g, const struct vkd_node *node, const vkd_tensor *dout, vkd_tensor *din) {
  din[0] = vkd_reshape(g, dout[0], vkd__shape(g, node->in[0]));
}
void reshape_lower(struct vkd_lower *l, const struct vkd_node *node) { (void)l, (void)node; }
void reshape_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  (void)g, (void)node, (void)in, (void)out; // the interpreter gives views their input's storage
}

// ---- slice: p.slice ------------------------------------------------------------------------------------------------
vkd_tensor vkd_slice(struct vkd_graph *g, vkd_tensor x, int64_t begin, int64_t count) {
  struct vkd_node node = {.op = VKD_OP_slice, .nin = 1, .in = {x}, .p.slice = {begin, count}};
  return vkd__graph_add(g, &node, NULL);
}
void slice_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  shape[0] = vkd__shape(g, node->in[0]);
  dtype[0] = vkd_tensor_dtype(g, node->in[0]);
  int64_t begin = node->p.slice.begin, count = node->p.slice.count;
  if (begin < 0 || count < 1 || begin > shape[0].dim[0] - count)
    vkd__graph_fail(g, VKD_ERR_SHAPE, "slice of rows %lld..%lld of %lld", (long long)begin, (long long)(begin + count),
                    (long long)shape[0].dim[0]);
  shape[0].dim[0] = count;
}
double slice_flops(const struct vkd_graph *g, const struct vkd_node *node) { return vkd__no_flops(g, node); }
double slice_bytes(const struct vkd_graph *g, const struct vkd_node *node) {
  (void)g, (void)node;
  return no_bytes();
}
// autodiff.c joins the gradients of all slices of a tensor into one concat, with zeros in the gaps.
void slice_backward(struct vkd_graph *g, const struct vkd_node *node, const vkd_tensor *dout, vkd_tensor *din) {
  (void)g, (void)node, (void)dout, (void)din;
}
void slice_lower(struct vkd_lower *l, const struct vkd_node *node) { (void)l, (void)node; }
void slice_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  (void)g, (void)node, (void)in, (void)out;
}
