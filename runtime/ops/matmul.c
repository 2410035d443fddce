// out = op(a) op(b) + bias + add.
// in: a, b (fp32, or both of one 16-bit dtype), bias (optional), add (optional).  p.matmul: ta, tb.
#include "graph_internal.h"
#include "matmul.h"

#include <stdio.h>

// Leading dimensions are flattened into rows.
struct matmul_dims vkd__matmul_dims(const struct vkd_graph *g, const struct vkd_node *node) {
  vkd_tensor a = node->in[0], b = node->in[1];
  return (struct matmul_dims){.m = node->p.matmul.ta ? vkd__last(g, a) : vkd__rows(g, a),
                              .n = node->p.matmul.tb ? vkd__rows(g, b) : vkd__last(g, b),
                              .k = node->p.matmul.ta ? vkd__rows(g, a) : vkd__last(g, a)};
}

vkd_tensor vkd_matmul(struct vkd_graph *g, vkd_tensor a, vkd_tensor b, bool ta, bool tb, vkd_tensor bias,
                      vkd_tensor add) {
  struct vkd_node node = {.op = VKD_OP_matmul, .in = {a, b, bias, add}, .p.matmul = {ta, tb}};
  node.nin = vkd_some(add) ? 4 : vkd_some(bias) ? 3 : 2;
  return vkd__graph_add(g, &node, NULL);
}

vkd_tensor vkd_linear(struct vkd_graph *g, vkd_tensor x, vkd_tensor w, vkd_tensor b) {
  return vkd_matmul(g, x, w, false, true, b, (vkd_tensor){0});
}

// Some matrices of a batch, or the one that all products share.
static vkd_tensor some(struct vkd_graph *g, vkd_tensor x, int64_t first, int64_t count) {
  return vkd__shape(g, x).rank == 3 ? vkd_slice(g, x, first, count) : x;
}
static vkd_tensor only(struct vkd_graph *g, vkd_tensor x) {
  struct vkd_shape s = vkd__shape(g, x);
  return s.rank == 3 ? vkd_reshape(g, x, VKD_SHAPE(s.dim[1], s.dim[2])) : x;
}

// In parts of parts, since a tensor has few slices and a concat few parts.
static vkd_tensor products(struct vkd_graph *g, vkd_tensor a, vkd_tensor b, bool ta, bool tb, int64_t batch) {
  vkd_tensor none = {0}, parts[VKD_MAX_IN];
  if (batch == 1) {
    vkd_tensor c = vkd_matmul(g, only(g, a), only(g, b), ta, tb, none, none);
    struct vkd_shape s = vkd__shape(g, c);
    return vkd_reshape(g, c, VKD_SHAPE(1, s.dim[0], s.dim[1]));
  }
  int n = 0;
  int64_t each = (batch + VKD_MAX_IN - 1) / VKD_MAX_IN;
  for (int64_t i = 0; i < batch; i += each) {
    int64_t count = batch - i < each ? batch - i : each;
    parts[n++] = products(g, some(g, a, i, count), some(g, b, i, count), ta, tb, count);
  }
  return vkd_concat(g, parts, n);
}

vkd_tensor vkd_matmul_batch(struct vkd_graph *g, vkd_tensor a, vkd_tensor b, bool ta, bool tb) {
  struct vkd_shape sa = vkd__shape(g, a), sb = vkd__shape(g, b);
  int64_t batch = sa.rank == 3 ? sa.dim[0] : sb.dim[0];
  if (sa.rank + sb.rank < 5 || sa.rank < 2 || sb.rank < 2 || sa.rank > 3 || sb.rank > 3 ||
      (sa.rank == sb.rank && sb.dim[0] != batch)) {
    vkd__graph_fail(
        g, VKD_ERR_SHAPE,
        "matmul_batch of ranks %d and %d, %lld and %lld first: wanted are 3 and 3 with one batch, or 2 and 3", sa.rank,
        sb.rank, (long long)sa.dim[0], (long long)sb.dim[0]);
    return (vkd_tensor){0};
  }
  return products(g, a, b, ta, tb, batch);
}

void matmul_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  vkd_tensor a = node->in[0], b = node->in[1], bias = node->in[2], add = node->in[3];
  bool ta = node->p.matmul.ta, tb = node->p.matmul.tb;
  dtype[0] = VKD_F32;
  if (vkd__shape(g, a).rank < 2 || vkd__shape(g, b).rank < 2) {
    vkd__graph_fail(g, VKD_ERR_SHAPE, "matmul of tensors of rank %d and %d: at least 2 wanted", vkd__shape(g, a).rank,
                    vkd__shape(g, b).rank);
    return;
  }
  if (!vkd__check_operands(g, node, 2)) return;
  struct matmul_dims d = vkd__matmul_dims(g, node);
  int64_t kb = tb ? vkd__last(g, b) : vkd__rows(g, b);
  if (d.k != kb)
    vkd__graph_fail(g, VKD_ERR_SHAPE, "matmul of %lld x %lld and %lld x %lld", (long long)d.m, (long long)d.k,
                    (long long)kb, (long long)d.n);
  shape[0] = ta ? VKD_SHAPE(d.m, d.n) : vkd__shape(g, a);
  shape[0].dim[shape[0].rank - 1] = d.n;
  if (vkd__numel(g, a) > UINT32_MAX || vkd__numel(g, b) > UINT32_MAX || vkd_shape_numel(&shape[0]) > UINT32_MAX)
    vkd__graph_fail(g, VKD_ERR_SHAPE, "matmul %lld x %lld x %lld: kernels index with 32 bits", (long long)d.m,
                    (long long)d.n, (long long)d.k);
  if (vkd_some(bias) && (vkd__shape(g, bias).rank != 1 || vkd__numel(g, bias) != d.n))
    vkd__graph_fail(g, VKD_ERR_SHAPE, "matmul: a bias of %lld elements for %lld columns",
                    (long long)vkd__numel(g, bias), (long long)d.n);
  struct vkd_shape s = vkd__shape(g, add);
  if (vkd_some(add) && !vkd_shape_equal(&s, &shape[0]))
    vkd__graph_fail(g, VKD_ERR_SHAPE, "matmul: the added tensor has not the shape of the product");
}

double matmul_flops(const struct vkd_graph *g, const struct vkd_node *node) {
  struct matmul_dims d = vkd__matmul_dims(g, node);
  return 2.0 * (double)d.m * (double)d.n * (double)d.k;
}

double matmul_bytes(const struct vkd_graph *g, const struct vkd_node *node) { return vkd__io_bytes(g, node); }

// Each gradient is a product with other flags; it may lack the leading dimensions of its tensor.
void matmul_backward(struct vkd_graph *g, const struct vkd_node *node, const vkd_tensor *dout, vkd_tensor *din) {
  vkd_tensor a = node->in[0], b = node->in[1], none = {0};
  bool ta = node->p.matmul.ta, tb = node->p.matmul.tb, wants_a = vkd__wants_grad(g, a), wants_b = vkd__wants_grad(g, b);
  vkd_tensor dy = wants_a || wants_b ? vkd_cast(g, dout[0], vkd_tensor_dtype(g, a)) : none;
  if (wants_b) {
    a = vkd__cast_again(g, a);
    vkd_tensor db = tb ? vkd_matmul(g, dy, a, true, ta, none, none) : vkd_matmul(g, a, dy, !ta, false, none, none);
    din[1] = vkd__like(g, db, node->in[1]);
  }
  if (vkd__wants_grad(g, node->in[2])) din[2] = vkd_sum_rows(g, dout[0], none, 1);
  if (vkd__wants_grad(g, node->in[3])) din[3] = dout[0];
  if (!wants_a) return;
  // last, so that what takes it element by element comes next and its kernel can do both (fuse.c)
  vkd_tensor w = vkd__cast_again(g, node->in[1]);
  vkd_tensor da = ta ? vkd_matmul(g, w, dy, tb, true, none, none) : vkd_matmul(g, dy, w, false, !tb, none, none);
  din[0] = vkd__like(g, da, node->in[0]);
}

static uint32_t formula_of(enum vkd_op op) {
  switch (op) {
  case VKD_OP_gelu:
    return MATMUL_GELU;
  case VKD_OP_gelu_dx:
    return MATMUL_GELU_DX;
  case VKD_OP_gate_add:
    return MATMUL_GATE_ADD;
  default:
    return MATMUL_ADD;
  }
}

uint32_t vkd__matmul_ending(const struct vkd_lower *l) {
  struct vkd_fused fused = vkd__lower_fused(l);
  uint32_t formula = fused.node ? formula_of(vkd__lower_graph(l)->nodes[fused.node].op) : MATMUL_PLAIN;
  return formula | vkd__round_to(l) % ROUND_ALONE * MATMUL_ROUND;
}

// Operands of what the kernel computes beside the product.
static void push_ending(struct vkd_lower *l, const struct vkd_fused *fused, struct matmul_push *push) {
  const struct vkd_graph *g = vkd__lower_graph(l);
  const struct vkd_node *end = &g->nodes[fused->node];
  push->y = vkd__write(l, end->out[0]);
  if (push->y) push->has |= MATMUL_HAS_Y;
  if (end->nin > 1) push->e = vkd__read(l, end->in[fused->operand ? 0 : 1]);
  if (end->op != VKD_OP_gate_add) return;
  push->gate = vkd__read(l, end->in[2]);
  push->rows_per_gate = push->m / (uint32_t)vkd__rows(g, end->in[2]);
}

// Addresses are noted for one dispatch: the call comes right before it.
struct matmul_push vkd__matmul_push(struct vkd_lower *l, const struct vkd_node *node) {
  struct matmul_dims d = vkd__matmul_dims(vkd__lower_graph(l), node);
  struct vkd_fused fused = vkd__lower_fused(l);
  struct matmul_push push = {.bias = vkd__read(l, node->in[2]),
                             .add = vkd__read(l, node->in[3]),
                             .c = vkd__write(l, node->out[0]),
                             .y16 = vkd__write_rounded(l),
                             .m = (uint32_t)d.m,
                             .n = (uint32_t)d.n,
                             .k = (uint32_t)d.k};
  if (push.bias) push.has |= MATMUL_HAS_BIAS;
  if (push.add) push.has |= MATMUL_HAS_ADD;
  if (push.c) push.has |= MATMUL_HAS_C;
  if (fused.node) push_ending(l, &fused, &push);
  return push;
}

void matmul_bucket(const struct vkd_graph *g, const struct vkd_node *node, char *text, size_t size) {
  struct matmul_dims d = vkd__matmul_dims(g, node);
  snprintf(text, size, "%c%c/%s/m%d/n%d/k%d", node->p.matmul.ta ? 't' : 'n', node->p.matmul.tb ? 't' : 'n',
           vkd_dtype_name(vkd__matmul_dtype(g, node)), vkd__log2(d.m), vkd__log2(d.n), vkd__log2(d.k));
}

void matmul_halve(const struct vkd_graph *g, const struct vkd_node *node, struct vkd_shape in[VKD_MAX_IN]) {
  struct matmul_dims d = vkd__matmul_dims(g, node);
  int64_t *longest = d.m >= d.n && d.m >= d.k ? &d.m : d.n >= d.k ? &d.n : &d.k;
  *longest = (*longest + 1) / 2;
  in[0] = node->p.matmul.ta ? VKD_SHAPE(d.k, d.m) : VKD_SHAPE(d.m, d.k);
  in[1] = node->p.matmul.tb ? VKD_SHAPE(d.n, d.k) : VKD_SHAPE(d.k, d.n);
  in[2] = VKD_SHAPE(d.n);
  in[3] = VKD_SHAPE(d.m, d.n);
}

void matmul_lower(struct vkd_lower *l, const struct vkd_node *node) { vkd__lower_form(l, node); }

void matmul_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  struct matmul_dims d = vkd__matmul_dims(g, node);
  int64_t a_row = node->p.matmul.ta ? 1 : d.k, a_k = node->p.matmul.ta ? d.m : 1;
  int64_t b_col = node->p.matmul.tb ? d.k : 1, b_k = node->p.matmul.tb ? 1 : d.n;
  for (int64_t i = 0; i < d.m; i++)
    for (int64_t j = 0; j < d.n; j++) {
      double x = 0;
      for (int64_t k = 0; k < d.k; k++) x += in[0][i * a_row + k * a_k] * in[1][k * b_k + j * b_col];
      if (in[2]) x += in[2][j];
      if (in[3]) x += in[3][i * d.n + j];
      out[0][i * d.n + j] = x;
    }
}
