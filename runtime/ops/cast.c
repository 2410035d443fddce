// Between fp32 and the 16-bit dtypes.
#include "graph_internal.h"
#include "push_elementwise.h"
#include "support.h"
#include "vkd/half.h"

// ---- cast: in x; p.cast.dtype ---------------------------------------------------------------------------------------
// Whether x's storage may be written after x was computed.
static bool may_change(const struct vkd_graph *g, vkd_tensor x) {
  uint64_t offset;
  const struct vkd_tensor_info *root = vkd__info(g, vkd__view_root(g, x, &offset));
  return root->kind == VKD_TENSOR_BOUND || root->place.id;
}

// The cast that vkd_bound_cast() made known for x, or the view of it that x is of the tensor it was made known for.
static vkd_tensor kept_cast(struct vkd_graph *g, vkd_tensor x) {
  struct vkd_node n = g->nodes[vkd__info(g, x)->node];
  vkd_tensor made = vkd__info(g, x)->cast;
  if (made.id && g->nodes[vkd__info(g, made)->node].op == VKD_OP_bound_cast) return made;
  if (n.op != VKD_OP_reshape && n.op != VKD_OP_slice) return (vkd_tensor){0};
  n.in[0] = kept_cast(g, n.in[0]);
  return n.in[0].id ? vkd__graph_add(g, &n, NULL) : n.in[0];
}

vkd_tensor vkd_cast(struct vkd_graph *g, vkd_tensor x, enum vkd_dtype dtype) {
  bool known = g->error.status == VKD_OK && x.id && x.id < g->tensor_count;
  vkd_tensor made = known ? vkd__info(g, x)->cast : (vkd_tensor){0};
  if (known && vkd_tensor_dtype(g, x) == dtype) return x;
  vkd_tensor kept = known ? kept_cast(g, x) : made;
  if (kept.id && vkd_tensor_dtype(g, kept) == dtype) return kept;
  if (made.id && vkd_tensor_dtype(g, made) == dtype && !may_change(g, x)) return made;
  made = vkd__graph_add(g, &(struct vkd_node){.op = VKD_OP_cast, .nin = 1, .in = {x}, .p.cast.dtype = dtype}, NULL);
  if (made.id) g->tensors[x.id].cast = made;
  return made;
}

vkd_tensor vkd__cast_again(struct vkd_graph *g, vkd_tensor x) {
  const struct vkd_node *n = &g->nodes[vkd__info(g, x)->node];
  return n->op == VKD_OP_cast && may_change(g, n->in[0]) ? vkd_cast(g, n->in[0], n->p.cast.dtype) : x;
}

void cast_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  enum vkd_dtype from = vkd_tensor_dtype(g, node->in[0]), to = node->p.cast.dtype;
  if (!(from == VKD_F32 && vkd_dtype_16bit(to)) && !(vkd_dtype_16bit(from) && to == VKD_F32))
    vkd__graph_fail(g, VKD_ERR_DTYPE, "cast of %s to %s", vkd_dtype_name(from), vkd_dtype_name(to));
  shape[0] = vkd__shape(g, node->in[0]);
  dtype[0] = to;
}
ROW_NO_FLOPS(cast)
ROW_IO_BYTES(cast)

// Gradients are fp32 on either side.
void cast_backward(struct vkd_graph *g, const struct vkd_node *node, const vkd_tensor *dout, vkd_tensor *din) {
  (void)g, (void)node;
  din[0] = dout[0];
}

void cast_lower(struct vkd_lower *l, const struct vkd_node *node) {
  const struct vkd_graph *g = vkd__lower_graph(l);
  enum vkd_dtype from = vkd_tensor_dtype(g, node->in[0]);
  enum vkd_kernel_id kernel = from == VKD_F16                 ? VKD_K_widen_f16
                              : from == VKD_BF16              ? VKD_K_widen_bf16
                              : node->p.cast.dtype == VKD_F16 ? VKD_K_round_f16
                                                              : VKD_K_round_bf16;
  struct map_push push = {
      .a = vkd__read(l, node->in[0]), .y = vkd__write(l, node->out[0]), .n = (uint32_t)vkd__numel(g, node->out[0])};
  push.n4 = VEC4_COUNT(push.n, push.a, push.y);
  vkd__dispatch_items(l, kernel, &push, sizeof push, push.n - 3 * (uint64_t)push.n4);
}

void cast_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  bool exact = g->unrounded || node->p.cast.dtype == VKD_F32;
  for (int64_t i = 0, n = vkd__numel(g, node->out[0]); i < n; i++)
    out[0][i] = exact ? in[0][i] : vkd_half_round(node->p.cast.dtype, in[0][i]);
}

// ---- bound_cast: in copy, x; out: the copy, whose gradient is x's ---------------------------------------------------
void vkd_bound_cast(struct vkd_graph *g, vkd_tensor x, vkd_tensor copy) {
  vkd_tensor made = vkd__graph_add(g, &(struct vkd_node){.op = VKD_OP_bound_cast, .nin = 2, .in = {copy, x}}, NULL);
  if (made.id) g->tensors[x.id].cast = made;
}
void bound_cast_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  shape[0] = vkd__shape(g, node->in[0]);
  dtype[0] = vkd_tensor_dtype(g, node->in[0]);
  if (vkd__check_same(g, node, 0, 1) && (!vkd_dtype_16bit(dtype[0]) || vkd_tensor_dtype(g, node->in[1]) != VKD_F32))
    vkd__graph_fail(g, VKD_ERR_DTYPE, "bound_cast of %s to %s", vkd_dtype_name(vkd_tensor_dtype(g, node->in[1])),
                    vkd_dtype_name(dtype[0]));
}
ROW_NO_FLOPS(bound_cast)
double bound_cast_bytes(const struct vkd_graph *g, const struct vkd_node *node) {
  (void)g, (void)node;
  return 0;
}
void bound_cast_backward(struct vkd_graph *g, const struct vkd_node *node, const vkd_tensor *dout, vkd_tensor *din) {
  (void)g, (void)node;
  din[1] = dout[0];
}
void bound_cast_lower(struct vkd_lower *l, const struct vkd_node *node) { (void)l, (void)node; }
void bound_cast_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  (void)g, (void)node, (void)in, (void)out; // the interpreter gives views their input's storage
}
