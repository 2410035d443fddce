// Reductions: sums over rows, of squares, mean squared error.
#include "push_elementwise.h"
#include "push_reduce.h"
#include "support.h"

// ---- sum_rows: in x, y (may be empty); p.sum_rows.groups -----------------------------------------------------------
vkd_tensor vkd_sum_rows(struct vkd_graph *g, vkd_tensor x, vkd_tensor y, int64_t groups) {
  struct vkd_node node = {.op = VKD_OP_sum_rows, .nin = vkd_some(y) ? 2 : 1, .in = {x, y}, .p.sum_rows.groups = groups};
  return vkd__graph_add(g, &node, NULL);
}
void sum_rows_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)dtype;
  int64_t groups = node->p.sum_rows.groups, rows = vkd__rows(g, node->in[0]), c = vkd__last(g, node->in[0]);
  if (!vkd__check_f32(g, node) || (node->nin > 1 && !vkd__check_same(g, node, 0, 1))) return;
  if (groups < 1 || rows % groups) {
    vkd__graph_fail(g, VKD_ERR_SHAPE, "sum_rows: %lld rows do not divide into %lld groups", (long long)rows,
                    (long long)groups);
    return;
  }
  shape[0] = groups == 1 ? VKD_SHAPE(c) : VKD_SHAPE(groups, c);
  node->scratch = vkd__col_sum_scratch(groups, rows / groups, c);
}
double sum_rows_flops(const struct vkd_graph *g, const struct vkd_node *node) {
  return node->nin * (double)vkd__numel(g, node->in[0]);
}
ROW_IO_BYTES(sum_rows)
ROW_NO_BACKWARD(sum_rows)
void sum_rows_lower(struct vkd_lower *l, const struct vkd_node *node) {
  const struct vkd_graph *g = vkd__lower_graph(l);
  vkd__col_sum(l, &(struct col_sum){.a = vkd__read(l, node->in[0]),
                                    .b = vkd__read(l, node->in[1]),
                                    .y = node->out[0],
                                    .groups = node->p.sum_rows.groups,
                                    .rows = vkd__rows(g, node->in[0]) / node->p.sum_rows.groups,
                                    .cols = vkd__last(g, node->in[0])});
}
void sum_rows_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  int64_t c = vkd__last(g, node->in[0]), per = vkd__rows(g, node->in[0]) / node->p.sum_rows.groups;
  for (int64_t group = 0; group < node->p.sum_rows.groups; group++)
    for (int64_t i = 0; i < c; i++) {
      double s = 0;
      for (int64_t r = group * per; r < (group + 1) * per; r++)
        s += in[0][r * c + i] * (node->nin > 1 ? in[1][r * c + i] : 1);
      out[0][group * c + i] = s;
    }
}

// ---- sums of all elements ------------------------------------------------------------------------------------------
enum { SUM_SPAN = 4096, SUM_GROUPS = 1024 }; // elements of a workgroup at least, workgroups at most

static struct row_blocks sum_blocks(int64_t n) {
  int64_t per = (n + SUM_GROUPS - 1) / SUM_GROUPS;
  per = per < SUM_SPAN ? SUM_SPAN : (per + 3) / 4 * 4;
  return (struct row_blocks){per, (n + per - 1) / per};
}
static uint64_t sum_scratch(int64_t n) {
  int64_t count = sum_blocks(n).count;
  return count > 1 ? (uint64_t)count * 4 : 0;
}

// y[0] = k * sum over FN of `kernel`
static void lower_sum(struct vkd_lower *l, enum vkd_kernel_id kernel, vkd_tensor a, vkd_tensor b, vkd_tensor y,
                      double k) {
  int64_t n = vkd__numel(vkd__lower_graph(l), a);
  struct row_blocks blocks = sum_blocks(n);
  uint64_t part = sum_scratch(n);
  struct sum_push push = {.a = vkd__read(l, a),
                          .b = vkd__read(l, b),
                          .y = part ? vkd__scratch(l, 0, part, true) : vkd__write(l, y),
                          .n = (uint32_t)n,
                          .per = (uint32_t)blocks.per,
                          .k = part ? 1 : (float)k};
  push.n4 = VEC4_COUNT(n, push.a, push.b);
  vkd__dispatch_rows(l, kernel, &push, sizeof push, (uint64_t)blocks.count, n < blocks.per ? n : blocks.per);
  if (!part) return;
  struct sum_push last = {.a = vkd__scratch(l, 0, part, false),
                          .y = vkd__write(l, y),
                          .n = (uint32_t)blocks.count,
                          .per = (uint32_t)(blocks.count + 3) / 4 * 4,
                          .k = (float)k};
  last.n4 = VEC4_COUNT(last.n, last.a);
  vkd__dispatch_rows(l, VKD_K_sum, &last, sizeof last, 1, blocks.count);
}

// ---- sum_squares ---------------------------------------------------------------------------------------------------
vkd_tensor vkd_sum_squares(struct vkd_graph *g, vkd_tensor x) {
  return vkd__graph_add(g, &(struct vkd_node){.op = VKD_OP_sum_squares, .nin = 1, .in = {x}}, NULL);
}
void sum_squares_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)dtype;
  if (!vkd__check_f32(g, node)) return;
  shape[0] = VKD_SHAPE(1);
  node->scratch = sum_scratch(vkd__numel(g, node->in[0]));
}
ROW_FLOPS(sum_squares, 0, 2)
ROW_IO_BYTES(sum_squares)
ROW_NO_BACKWARD(sum_squares)
void sum_squares_lower(struct vkd_lower *l, const struct vkd_node *node) {
  lower_sum(l, VKD_K_sum_squares, node->in[0], (vkd_tensor){0}, node->out[0], 1);
}
void sum_squares_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  out[0][0] = 0;
  for (int64_t i = 0, n = vkd__numel(g, node->in[0]); i < n; i++) out[0][0] += in[0][i] * in[0][i];
}

// ---- mse; mse_dx: in a, b, dout ------------------------------------------------------------------------------------
vkd_tensor vkd_mse(struct vkd_graph *g, vkd_tensor a, vkd_tensor b) {
  return vkd__graph_add(g, &(struct vkd_node){.op = VKD_OP_mse, .nin = 2, .in = {a, b}}, NULL);
}
void mse_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)dtype;
  if (!vkd__check_f32(g, node) || !vkd__check_same(g, node, 0, 1)) return;
  shape[0] = VKD_SHAPE(1);
  node->scratch = sum_scratch(vkd__numel(g, node->in[0]));
}
ROW_FLOPS(mse, 0, 3)
ROW_IO_BYTES(mse)
void mse_backward(struct vkd_graph *g, const struct vkd_node *node, const vkd_tensor *dout, vkd_tensor *din) {
  if (vkd__wants_grad(g, node->in[1])) {
    vkd__graph_fail(g, VKD_ERR_UNSUPPORTED, "mse has a gradient to its first input alone: swap the inputs");
    return;
  }
  struct vkd_node dx = {.op = VKD_OP_mse_dx, .nin = 3, .in = {node->in[0], node->in[1], dout[0]}};
  din[0] = vkd__graph_add(g, &dx, NULL);
}
void mse_lower(struct vkd_lower *l, const struct vkd_node *node) {
  int64_t n = vkd__numel(vkd__lower_graph(l), node->in[0]);
  lower_sum(l, VKD_K_sum_differences, node->in[0], node->in[1], node->out[0], 1 / (double)n);
}
void mse_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  int64_t n = vkd__numel(g, node->in[0]);
  double s = 0;
  for (int64_t i = 0; i < n; i++) s += (in[0][i] - in[1][i]) * (in[0][i] - in[1][i]);
  out[0][0] = s / (double)n;
}

void mse_dx_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)dtype;
  if (vkd__check_f32(g, node) && vkd__check_same(g, node, 0, 1) && vkd__check_numel(g, node, 2, 1, "d loss"))
    shape[0] = vkd__shape(g, node->in[0]);
}
ROW_FLOPS(mse_dx, 0, 2)
ROW_IO_BYTES(mse_dx)
ROW_NO_BACKWARD(mse_dx)
void mse_dx_lower(struct vkd_lower *l, const struct vkd_node *node) {
  int64_t n = vkd__numel(vkd__lower_graph(l), node->in[0]);
  struct mse_dx_push push = {.a = vkd__read(l, node->in[0]),
                             .b = vkd__read(l, node->in[1]),
                             .s = vkd__read(l, node->in[2]),
                             .y = vkd__write(l, node->out[0]),
                             .n = (uint32_t)n,
                             .k = (float)(2 / (double)n)};
  push.n4 = VEC4_COUNT(n, push.a, push.b, push.y);
  vkd__dispatch_map(l, VKD_K_mse_dx, VKD_K_mse_dx_8, &push, sizeof push, push.n, push.n4, MAP_SPAN);
}
void mse_dx_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  int64_t n = vkd__numel(g, node->in[0]);
  for (int64_t i = 0; i < n; i++) out[0][i] = 2 * (in[0][i] - in[1][i]) / (double)n * in[2][0];
}
