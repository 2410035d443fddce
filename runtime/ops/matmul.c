// out = op(a) op(b) + bias + add.
// in: a, b (fp32, or both of one 16-bit dtype), bias (optional), add (optional).  p.matmul: ta, tb.
#include "push_matmul.h"
#include "support.h"

struct dims {
  int64_t m, n, k;
};

static uint64_t operand_bytes(const struct vkd_graph *g, vkd_tensor x) {
  return (uint64_t)vkd__numel(g, x) * vkd_dtype_bytes(vkd_tensor_dtype(g, x));
}

// Leading dimensions are flattened into rows.
static struct dims dims_of(const struct vkd_graph *g, const struct vkd_node *node) {
  vkd_tensor a = node->in[0], b = node->in[1];
  return (struct dims){.m = node->p.matmul.ta ? vkd__last(g, a) : vkd__rows(g, a),
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
  struct dims d = dims_of(g, node);
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
  if (tb) node->scratch = operand_bytes(g, b); // b transposed, on drivers that want it
}

double matmul_flops(const struct vkd_graph *g, const struct vkd_node *node) {
  struct dims d = dims_of(g, node);
  return 2.0 * (double)d.m * (double)d.n * (double)d.k;
}

double matmul_bytes(const struct vkd_graph *g, const struct vkd_node *node) { return vkd__io_bytes(g, node); }

// Each gradient is a product with other flags; it may lack the leading dimensions of its tensor.
void matmul_backward(struct vkd_graph *g, const struct vkd_node *node, const vkd_tensor *dout, vkd_tensor *din) {
  vkd_tensor a = node->in[0], b = node->in[1], none = {0};
  bool ta = node->p.matmul.ta, tb = node->p.matmul.tb, wants_a = vkd__wants_grad(g, a), wants_b = vkd__wants_grad(g, b);
  vkd_tensor dy = wants_a || wants_b ? vkd_cast(g, dout[0], vkd_tensor_dtype(g, a)) : none;
  if (wants_a) {
    b = vkd__cast_again(g, b);
    vkd_tensor da = ta ? vkd_matmul(g, b, dy, tb, true, none, none) : vkd_matmul(g, dy, b, false, !tb, none, none);
    din[0] = vkd__like(g, da, node->in[0]);
  }
  if (wants_b) {
    a = vkd__cast_again(g, a);
    vkd_tensor db = tb ? vkd_matmul(g, dy, a, true, ta, none, none) : vkd_matmul(g, a, dy, !ta, false, none, none);
    din[1] = vkd__like(g, db, node->in[1]);
  }
  if (vkd__wants_grad(g, node->in[2])) din[2] = vkd_sum_rows(g, dout[0], none, 1);
  if (vkd__wants_grad(g, node->in[3])) din[3] = dout[0];
}

static void lower_uniform(struct vkd_lower *l, const struct vkd_node *node, struct matmul_push *push) {
  enum { ROWS = 8, COLS = 16, LANES = 8 }; // as in matmul_uniform.comp
  const struct vkd_graph *g = vkd__lower_graph(l);
  enum vkd_dtype dtype = vkd_tensor_dtype(g, node->in[0]);
  if (node->p.matmul.tb) {
    uint64_t bytes = operand_bytes(g, node->in[1]);
    struct transpose_push t = {vkd__read(l, node->in[1]), vkd__scratch(l, 0, bytes, true), push->n, push->k};
    uint32_t lanes = vkd__wg_items(l);
    vkd__dispatch(l, &(struct vkd_dispatch){.kernel = vkd_dtype_16bit(dtype) ? VKD_K_transpose_16 : VKD_K_transpose,
                                            .push = &t,
                                            .push_size = sizeof t,
                                            .spec = {lanes},
                                            .spec_count = 1,
                                            .groups = {vkd__groups(t.cols, lanes), vkd__groups(t.rows, 8)}});
    push->b = vkd__scratch(l, 0, bytes, false);
  } else {
    push->b = vkd__read(l, node->in[1]);
  }
  push->a = vkd__read(l, node->in[0]);
  push->bias = vkd__read(l, node->in[2]);
  push->add = vkd__read(l, node->in[3]);
  push->c = vkd__write(l, node->out[0]);
  // rows of both operands begin at whole vectors of four
  bool narrow = push->n < COLS, aligned = (push->a | push->b) % (4 * vkd_dtype_bytes(dtype)) == 0;
  bool whole = !narrow && aligned && push->n % 4 == 0 && (node->p.matmul.ta ? push->m % ROWS : push->k % 4) == 0;
  vkd__dispatch(l, &(struct vkd_dispatch){.kernel = node->p.matmul.ta ? KERNEL_OF(dtype, matmul_uniform_ta)
                                                                      : KERNEL_OF(dtype, matmul_uniform),
                                          .push = push,
                                          .push_size = sizeof *push,
                                          .spec = {LANES, narrow, whole},
                                          .spec_count = 3,
                                          .groups = {vkd__groups(push->m, ROWS) * vkd__groups(push->n, COLS)}});
}

// matmul_cm.comp: one subgroup to each of 2 x 2 blocks of `rows` x `cols` matrices.
static void lower_coopmat(struct vkd_lower *l, const struct vkd_node *node, struct matmul_push *push,
                          const struct vkd_coopmat *shape, enum vkd_kernel_id kernel) {
  // most sums that a lane holds; fewest workgroups that large blocks are used for: estimates, measured on no GPU
  enum { SUMS = 128, GROUPS = 128 };
  const struct vkd_device_caps *caps = vkd__lower_caps(l);
  bool ta = node->p.matmul.ta, tb = node->p.matmul.tb;
  push->a = vkd__read(l, node->in[0]);
  push->b = vkd__read(l, node->in[1]);
  push->bias = vkd__read(l, node->in[2]);
  push->add = vkd__read(l, node->in[3]);
  push->c = vkd__write(l, node->out[0]);
  uint32_t rows = 4, cols = 4;
  while (rows > 1 &&
         (vkd__coopmat_shared(shape, rows, cols) > caps->max_shared_bytes ||
          rows * cols * shape->m * shape->n > SUMS * caps->subgroup_size ||
          (rows > 2 && vkd__groups(push->m, 2 * rows * shape->m) * vkd__groups(push->n, 2 * cols * shape->n) < GROUPS)))
    rows = cols = rows / 2;
  bool vec_a = push->a % 16 == 0 && (ta ? push->m : push->k) % 8 == 0;
  bool vec_b = push->b % 16 == 0 && (tb ? push->k : push->n) % 8 == 0;
  vkd__dispatch(l,
                &(struct vkd_dispatch){
                    .kernel = kernel,
                    .push = push,
                    .push_size = sizeof *push,
                    .spec = {4 * caps->subgroup_size, ta, tb, shape->m, shape->n, shape->k, rows, cols, vec_a, vec_b},
                    .spec_count = 10,
                    .groups = {vkd__groups(push->m, 2 * rows * shape->m) * vkd__groups(push->n, 2 * cols * shape->n)}});
}

void matmul_lower(struct vkd_lower *l, const struct vkd_node *node) {
  enum { TILE = 64, LANES = 64 }; // as in matmul.comp
  struct dims d = dims_of(vkd__lower_graph(l), node);
  struct matmul_push push = {.m = (uint32_t)d.m, .n = (uint32_t)d.n, .k = (uint32_t)d.k};
  if (vkd_some(node->in[2])) push.has |= MATMUL_HAS_BIAS;
  if (vkd_some(node->in[3])) push.has |= MATMUL_HAS_ADD;
  const struct vkd_device_caps *caps = vkd__lower_caps(l);
  enum vkd_dtype dtype = vkd_tensor_dtype(vkd__lower_graph(l), node->in[0]);
  const struct vkd_coopmat *shape = caps->coopmat_matmul ? vkd__coopmat_for(caps, dtype) : NULL;
  enum vkd_kernel_id cm = dtype == VKD_F16 ? VKD_K_matmul_cm_f16 : VKD_K_matmul_cm_bf16;
  if (shape && vkd_kernel_blobs[cm].code) {
    lower_coopmat(l, node, &push, shape, cm);
    return;
  }
  if (caps->cpu_lanes) {
    lower_uniform(l, node, &push);
    return;
  }
  push.a = vkd__read(l, node->in[0]);
  push.b = vkd__read(l, node->in[1]);
  push.bias = vkd__read(l, node->in[2]);
  push.add = vkd__read(l, node->in[3]);
  push.c = vkd__write(l, node->out[0]);
  vkd__dispatch(l, &(struct vkd_dispatch){.kernel = KERNEL_OF(dtype, matmul),
                                          .push = &push,
                                          .push_size = sizeof push,
                                          .spec = {LANES, node->p.matmul.ta, node->p.matmul.tb},
                                          .spec_count = 3,
                                          .groups = {vkd__groups(push.m, TILE) * vkd__groups(push.n, TILE)}});
}

void matmul_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  struct dims d = dims_of(g, node);
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
