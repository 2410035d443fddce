// Elementwise ops: add, activations and their derivatives, gates, linear combinations.
#include "push_elementwise.h"
#include "support.h"

#include <math.h>

static void like_first(struct vkd_graph *g, struct vkd_node *node, int which, struct vkd_shape *shape) {
  shape[0] = vkd__shape(g, node->in[which]);
}

// y = f(a) or f(a, b), b the empty tensor for one input
static void lower_map(struct vkd_lower *l, const struct vkd_node *node, enum vkd_kernel_id kernel,
                      enum vkd_kernel_id eight) {
  struct map_push push = {.a = vkd__read(l, node->in[0]),
                          .b = node->nin > 1 ? vkd__read(l, node->in[1]) : 0,
                          .y = vkd__write(l, node->out[0]),
                          .n = (uint32_t)vkd__numel(vkd__lower_graph(l), node->out[0])};
  push.n4 = VEC4_COUNT(push.n, push.a, push.b, push.y);
  vkd__dispatch_map(l, kernel, eight, &push, sizeof push, push.n, push.n4, MAP_SPAN);
}

static void unary_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape) {
  if (vkd__check_f32(g, node)) like_first(g, node, 0, shape);
}
static void binary_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape) {
  if (vkd__check_f32(g, node) && vkd__check_same(g, node, 0, 1)) like_first(g, node, 0, shape);
}

// A row of ops that map one or two tensors of one shape to a third.
#define ROW_MAP(op, arity_shape, flops_per, expression)                                                                \
  void op##_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {        \
    (void)dtype;                                                                                                       \
    arity_shape(g, node, shape);                                                                                       \
  }                                                                                                                    \
  ROW_FLOPS(op, 0, flops_per)                                                                                          \
  ROW_IO_BYTES(op)                                                                                                     \
  void op##_lower(struct vkd_lower *l, const struct vkd_node *node) {                                                  \
    lower_map(l, node, VKD_K_##op, VKD_K_##op##_8);                                                                    \
  }                                                                                                                    \
  void op##_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {       \
    for (int64_t i = 0, n = vkd__numel(g, node->out[0]); i < n; i++) out[0][i] = expression;                           \
  }

static vkd_tensor binary(struct vkd_graph *g, enum vkd_op op, vkd_tensor a, vkd_tensor b) {
  return vkd__graph_add(g, &(struct vkd_node){.op = op, .nin = 2, .in = {a, b}}, NULL);
}

// ---- add -----------------------------------------------------------------------------------------------------------
vkd_tensor vkd_add(struct vkd_graph *g, vkd_tensor a, vkd_tensor b) { return binary(g, VKD_OP_add, a, b); }
ROW_MAP(add, binary_shape, 1, in[0][i] + in[1][i])
void add_backward(struct vkd_graph *g, const struct vkd_node *node, const vkd_tensor *dout, vkd_tensor *din) {
  (void)g, (void)node;
  din[0] = din[1] = dout[0];
}

// ---- gelu; gelu_dx: in x, dout -------------------------------------------------------------------------------------
static double gelu_inner(double x) { return sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x); }
static double gelu_at(double x) { return 0.5 * x * (1 + tanh(gelu_inner(x))); }
static double gelu_slope(double x) {
  double t = tanh(gelu_inner(x)), inner_slope = sqrt(2 / 3.14159265358979323846) * (1 + 3 * 0.044715 * x * x);
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner_slope;
}
vkd_tensor vkd_gelu(struct vkd_graph *g, vkd_tensor x) {
  return vkd__graph_add(g, &(struct vkd_node){.op = VKD_OP_gelu, .nin = 1, .in = {x}}, NULL);
}
ROW_MAP(gelu, unary_shape, 10, gelu_at(in[0][i]))
void gelu_backward(struct vkd_graph *g, const struct vkd_node *node, const vkd_tensor *dout, vkd_tensor *din) {
  din[0] = binary(g, VKD_OP_gelu_dx, node->in[0], dout[0]);
}
ROW_MAP(gelu_dx, binary_shape, 20, gelu_slope(in[0][i]) * in[1][i])
ROW_NO_BACKWARD(gelu_dx)

// ---- silu; silu_dx: in x, dout -------------------------------------------------------------------------------------
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
vkd_tensor vkd_silu(struct vkd_graph *g, vkd_tensor x) {
  return vkd__graph_add(g, &(struct vkd_node){.op = VKD_OP_silu, .nin = 1, .in = {x}}, NULL);
}
ROW_MAP(silu, unary_shape, 4, in[0][i] * sigmoid(in[0][i]))
void silu_backward(struct vkd_graph *g, const struct vkd_node *node, const vkd_tensor *dout, vkd_tensor *din) {
  din[0] = binary(g, VKD_OP_silu_dx, node->in[0], dout[0]);
}
ROW_MAP(silu_dx, binary_shape, 8, in[1][i] * sigmoid(in[0][i]) * (1 + in[0][i] * (1 - sigmoid(in[0][i]))))
ROW_NO_BACKWARD(silu_dx)

// ---- gate_add: in z, y, gate; row_scale: in x, s -------------------------------------------------------------------
// Rows of x that share one row of s, or 0 after a failure: x [B, ..., d], s [B, d].
static int64_t rows_per_group(const struct vkd_graph *g, vkd_tensor x, vkd_tensor s) {
  struct vkd_shape xs = vkd__shape(g, x), ss = vkd__shape(g, s);
  bool fits = xs.rank >= 2 && ss.rank == 2 && ss.dim[0] == xs.dim[0] && ss.dim[1] == xs.dim[xs.rank - 1];
  return fits ? vkd__rows(g, x) / xs.dim[0] : 0;
}

static bool check_broadcast(struct vkd_graph *g, const struct vkd_node *node, int x, int s) {
  if (rows_per_group(g, node->in[x], node->in[s])) return true;
  vkd__graph_fail(g, VKD_ERR_SHAPE, "%s: input %d %s must be [B, d] for input %d %s of [B, ..., d]",
                  vkd__ops[node->op].name, s, vkd__shape_text(g, node->in[s]).s, x, vkd__shape_text(g, node->in[x]).s);
  return false;
}

// eight: the kernel for a CPU, or VKD_K_COUNT
static void lower_broadcast(struct vkd_lower *l, const struct vkd_node *node, enum vkd_kernel_id kernel,
                            enum vkd_kernel_id eight, vkd_tensor z, vkd_tensor x, vkd_tensor s) {
  const struct vkd_graph *g = vkd__lower_graph(l);
  int64_t d = vkd__last(g, x), rows = vkd__rows(g, x);
  struct row_broadcast_push push = {.z = vkd__read(l, z),
                                    .x = vkd__read(l, x),
                                    .s = vkd__read(l, s),
                                    .y = vkd__write(l, node->out[0]),
                                    .y16 = vkd__write_rounded(l),
                                    .rows = (uint32_t)rows,
                                    .d = (uint32_t)d,
                                    .rows_per_group = (uint32_t)rows_per_group(g, x, s)};
  if (eight != VKD_K_COUNT && vkd__lower_caps(l)->cpu_lanes && d % 8 == 0) {
    uint32_t span = MAP_SPAN;
    while (d / 8 % span != 0) span /= 2;
    vkd__dispatch(l, &(struct vkd_dispatch){.kernel = eight,
                                            .push = &push,
                                            .push_size = sizeof push,
                                            .spec = {8, span},
                                            .spec_count = 2,
                                            .groups = {(uint64_t)(rows * (d / 8 / span))}});
    return;
  }
  if (d % 4 == 0) push.d4 = VEC4_COUNT(d, push.z, push.x, push.s, push.y);
  vkd__dispatch(l, &(struct vkd_dispatch){.kernel = kernel,
                                          .push = &push,
                                          .push_size = sizeof push,
                                          .spec = {vkd__wg_row(l, push.d4 ? push.d4 : d), vkd__round_to(l)},
                                          .spec_count = 2,
                                          .groups = {(uint64_t)rows}});
}

vkd_tensor vkd_gate_add(struct vkd_graph *g, vkd_tensor z, vkd_tensor y, vkd_tensor gate) {
  return vkd__graph_add(g, &(struct vkd_node){.op = VKD_OP_gate_add, .nin = 3, .in = {z, y, gate}}, NULL);
}
void gate_add_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)dtype;
  if (vkd__check_f32(g, node) && vkd__check_same(g, node, 0, 1) && check_broadcast(g, node, 1, 2))
    like_first(g, node, 0, shape);
}
ROW_FLOPS(gate_add, 0, 2)
ROW_IO_BYTES(gate_add)
void gate_add_backward(struct vkd_graph *g, const struct vkd_node *node, const vkd_tensor *dout, vkd_tensor *din) {
  vkd_tensor y = node->in[1], gate = node->in[2];
  din[0] = dout[0];
  if (vkd__wants_grad(g, y)) din[1] = vkd_row_scale(g, dout[0], gate);
  if (vkd__wants_grad(g, gate)) din[2] = vkd__like(g, vkd_sum_rows(g, dout[0], y, vkd__rows(g, gate)), gate);
}
void gate_add_lower(struct vkd_lower *l, const struct vkd_node *node) {
  lower_broadcast(l, node, VKD_K_gate_add, VKD_K_gate_add_8, node->in[0], node->in[1], node->in[2]);
}
void gate_add_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  int64_t d = vkd__last(g, node->in[0]), rows = vkd__rows(g, node->in[0]);
  int64_t per = rows_per_group(g, node->in[1], node->in[2]);
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < d; c++) out[0][r * d + c] = in[0][r * d + c] + in[1][r * d + c] * in[2][r / per * d + c];
}

vkd_tensor vkd_row_scale(struct vkd_graph *g, vkd_tensor x, vkd_tensor s) {
  return vkd__graph_add(g, &(struct vkd_node){.op = VKD_OP_row_scale, .nin = 2, .in = {x, s}}, NULL);
}
void row_scale_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)dtype;
  if (vkd__check_f32(g, node) && check_broadcast(g, node, 0, 1)) like_first(g, node, 0, shape);
}
ROW_FLOPS(row_scale, 0, 1)
ROW_IO_BYTES(row_scale)
void row_scale_backward(struct vkd_graph *g, const struct vkd_node *node, const vkd_tensor *dout, vkd_tensor *din) {
  vkd_tensor x = node->in[0], s = node->in[1];
  if (vkd__wants_grad(g, x)) din[0] = vkd_row_scale(g, dout[0], s);
  if (vkd__wants_grad(g, s)) din[1] = vkd__like(g, vkd_sum_rows(g, dout[0], x, vkd__rows(g, s)), s);
}
void row_scale_lower(struct vkd_lower *l, const struct vkd_node *node) {
  bool half = vkd__round_to(l) != 0;
  lower_broadcast(l, node, ROUNDED(l, row_scale), half ? VKD_K_COUNT : VKD_K_row_scale_8, (vkd_tensor){0}, node->in[0],
                  node->in[1]);
}
void row_scale_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  int64_t d = vkd__last(g, node->in[0]), rows = vkd__rows(g, node->in[0]);
  int64_t per = rows_per_group(g, node->in[0], node->in[1]);
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < d; c++) out[0][r * d + c] = in[0][r * d + c] * in[1][r / per * d + c];
}

// ---- lincomb: in coef, x... ----------------------------------------------------------------------------------------
vkd_tensor vkd_lincomb(struct vkd_graph *g, vkd_tensor coef, const vkd_tensor *x, int n) {
  struct vkd_node node = {.op = VKD_OP_lincomb, .nin = n + 1, .in = {coef}};
  if (n < 1 || n > VKD_MAX_IN - 1) {
    vkd__graph_fail(g, VKD_ERR_SHAPE, "lincomb: %d terms, not 1 to %d", n, VKD_MAX_IN - 1);
    return (vkd_tensor){0};
  }
  for (int i = 0; i < n; i++) node.in[i + 1] = x[i];
  return vkd__graph_add(g, &node, NULL);
}
void lincomb_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)dtype;
  if (!vkd__check_f32(g, node) || !vkd__check_numel(g, node, 0, node->nin - 1, "one coefficient per term")) return;
  for (int i = 2; i < node->nin; i++)
    if (!vkd__check_same(g, node, 1, i)) return;
  like_first(g, node, 1, shape);
}
double lincomb_flops(const struct vkd_graph *g, const struct vkd_node *node) {
  return 2.0 * (node->nin - 1) * (double)vkd__numel(g, node->out[0]);
}
ROW_IO_BYTES(lincomb)
ROW_NO_BACKWARD(lincomb)
void lincomb_lower(struct vkd_lower *l, const struct vkd_node *node) {
  struct lincomb_push push = {.coef = vkd__read(l, node->in[0]),
                              .y = vkd__write(l, node->out[0]),
                              .count = (uint32_t)node->nin - 1,
                              .n = (uint32_t)vkd__numel(vkd__lower_graph(l), node->out[0])};
  for (uint32_t i = 0; i < push.count; i++) push.x[i] = vkd__read(l, node->in[i + 1]);
  push.n4 = vkd__vec4(push.n, push.x, 7);
  if (push.y % 16) push.n4 = 0;
  vkd__dispatch_items(l, VKD_K_lincomb, &push, sizeof push, push.n - 3 * (uint64_t)push.n4);
}
void lincomb_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  for (int64_t i = 0, n = vkd__numel(g, node->out[0]); i < n; i++) {
    double s = 0;
    for (int j = 1; j < node->nin; j++) s += in[0][j - 1] * in[j][i];
    out[0][i] = s;
  }
}
