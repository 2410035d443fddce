// RMS norm over the whole width with rotary embedding per head.  In all rows: p.rms; position of row r: r mod n.
#include "push_norm.h"
#include "support.h"

#include <math.h>

// ---- rmsnorm_rope: in x, weight, rope (may be empty); out y, stats [rows] = 1 / rms ---------------------------------
vkd_tensor vkd_rmsnorm_rope(struct vkd_graph *g, vkd_tensor x, vkd_tensor weight, vkd_tensor rope, int heads,
                            float eps) {
  struct vkd_node node = {.op = VKD_OP_rmsnorm_rope, .nin = 3, .in = {x, weight, rope}};
  node.p.rms.heads = heads;
  node.p.rms.eps = eps;
  return vkd__graph_add(g, &node, NULL);
}

static int64_t head_of(const struct vkd_graph *g, const struct vkd_node *node) {
  return vkd__last(g, node->in[0]) / node->p.rms.heads;
}
// Rows of the rotary table, 1 without one.
static int64_t positions_of(const struct vkd_graph *g, vkd_tensor rope) {
  return vkd_some(rope) ? vkd__shape(g, rope).dim[0] : 1;
}

static bool check_rms(struct vkd_graph *g, const struct vkd_node *node, vkd_tensor rope) {
  struct vkd_shape x = vkd__shape(g, node->in[0]), t = vkd__shape(g, rope);
  int heads = node->p.rms.heads;
  if (!vkd__check_f32(g, node)) return false;
  if (x.rank != 3 || heads < 1 || x.dim[2] % heads) {
    vkd__graph_fail(g, VKD_ERR_SHAPE, "rmsnorm_rope: x %s must be [B, n, d] with d of %d heads",
                    vkd__shape_text(g, node->in[0]).s, heads);
    return false;
  }
  int64_t head = x.dim[2] / heads;
  if (vkd_some(rope) && (t.rank != 3 || t.dim[0] != x.dim[1] || head % 2 || t.dim[1] != head / 2 || t.dim[2] != 2)) {
    vkd__graph_fail(g, VKD_ERR_SHAPE, "rmsnorm_rope: rope %s must be [n, d / heads / 2, 2] for x %s and %d heads",
                    vkd__shape_text(g, rope).s, vkd__shape_text(g, node->in[0]).s, heads);
    return false;
  }
  return true;
}

void rmsnorm_rope_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)dtype;
  if (!check_rms(g, node, node->in[2]) || !vkd__check_numel(g, node, 1, vkd__last(g, node->in[0]), "weight [d]"))
    return;
  shape[0] = vkd__shape(g, node->in[0]);
  shape[1] = VKD_SHAPE(vkd__rows(g, node->in[0]));
}
ROW_FLOPS(rmsnorm_rope, 0, 7)
ROW_IO_BYTES(rmsnorm_rope)
void rmsnorm_rope_backward(struct vkd_graph *g, const struct vkd_node *node, const vkd_tensor *dout, vkd_tensor *din) {
  vkd_tensor x = node->in[0], weight = node->in[1], rope = node->in[2], dweight;
  struct vkd_node back = {
      .op = VKD_OP_rmsnorm_rope_back, .nin = 5, .in = {x, weight, dout[0], node->out[1], rope}, .p = node->p};
  back.p.rms.param = vkd__wants_grad(g, weight);
  din[0] = vkd__graph_add(g, &back, &dweight);
  if (back.p.rms.param) din[1] = vkd__like(g, dweight, weight);
}

// The width of the items: none has elements of two heads.
static int width_of(const struct vkd_lower *l, int64_t d, int64_t head, bool rotate, const uint64_t *address,
                    int count) {
  int width = vkd__width(l, d, address, count);
  if (!rotate || head % width == 0) return width;
  return head % 4 == 0 && vkd__vec4(4, address, count) ? 4 : 1;
}

void rmsnorm_rope_lower(struct vkd_lower *l, const struct vkd_node *node) {
  const struct vkd_graph *g = vkd__lower_graph(l);
  int64_t d = vkd__last(g, node->in[0]), rows = vkd__rows(g, node->in[0]), head = head_of(g, node);
  bool rotate = vkd_some(node->in[2]);
  struct rms_push push = {.x = vkd__read(l, node->in[0]),
                          .weight = vkd__read(l, node->in[1]),
                          .rope = vkd__read(l, node->in[2]),
                          .y = vkd__write(l, node->out[0]),
                          .y16 = vkd__write_rounded(l),
                          .stats = vkd__write(l, node->out[1]),
                          .rows = (uint32_t)rows,
                          .d = (uint32_t)d,
                          .positions = (uint32_t)positions_of(g, node->in[2]),
                          .head = (uint32_t)head,
                          .eps = node->p.rms.eps};
  int width = width_of(l, d, head, rotate, (const uint64_t[]){push.x, push.weight, push.rope, push.y}, 4);
  push.cols = (uint32_t)(d / width);
  vkd__dispatch_held_rows(l, ROUNDED_WIDTHS(l, rmsnorm_rope), width, &push, sizeof push, (uint64_t)rows, push.cols,
                          rotate);
}

// Turns the pairs of one row in place by the angles of its position, times sign; table NULL: leaves it.
static void turn_row(double *row, const double *table, int64_t position, int64_t d, int64_t head, double sign) {
  if (!table) return;
  for (int64_t i = 0; i < d; i += 2) {
    double c = table[position * head + i % head], s = sign * table[position * head + i % head + 1];
    double x0 = row[i], x1 = row[i + 1];
    row[i] = x0 * c - x1 * s;
    row[i + 1] = x0 * s + x1 * c;
  }
}

void rmsnorm_rope_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  int64_t d = vkd__last(g, node->in[0]), rows = vkd__rows(g, node->in[0]), n = positions_of(g, node->in[2]);
  for (int64_t r = 0; r < rows; r++) {
    const double *x = in[0] + r * d;
    double squares = 0;
    for (int64_t i = 0; i < d; i++) squares += x[i] * x[i];
    out[1][r] = 1 / sqrt(squares / (double)d + node->p.rms.eps);
    for (int64_t i = 0; i < d; i++) out[0][r * d + i] = x[i] * out[1][r] * in[1][i];
    turn_row(out[0] + r * d, in[2], r % n, d, head_of(g, node), 1);
  }
}

// ---- rmsnorm_rope_back: in x, weight, dout, stats, rope; out dx, dweight [d] (nothing without p.rms.param) ----------
// Scratch: sums over blocks of rows, then that of the sums over the blocks.

void rmsnorm_rope_back_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape,
                             enum vkd_dtype *dtype) {
  (void)dtype;
  int64_t rows = vkd__rows(g, node->in[0]), d = vkd__last(g, node->in[0]);
  if (!check_rms(g, node, node->in[4]) || !vkd__check_numel(g, node, 1, d, "weight [d]") ||
      !vkd__check_same(g, node, 0, 2) || !vkd__check_numel(g, node, 3, rows, "statistics of every row"))
    return;
  shape[0] = vkd__shape(g, node->in[0]);
  shape[1] = VKD_SHAPE(d);
  if (node->p.rms.param)
    node->scratch = vkd__back_bytes(1, rows, d) + vkd__col_sum_scratch(1, vkd__back_blocks(rows), d);
}
double rmsnorm_rope_back_flops(const struct vkd_graph *g, const struct vkd_node *node) {
  return (node->p.rms.param ? 14 : 11) * (double)vkd__numel(g, node->in[0]);
}
ROW_IO_BYTES(rmsnorm_rope_back)
ROW_NO_BACKWARD(rmsnorm_rope_back)
void rmsnorm_rope_back_lower(struct vkd_lower *l, const struct vkd_node *node) {
  const struct vkd_graph *g = vkd__lower_graph(l);
  int64_t d = vkd__last(g, node->in[0]), rows = vkd__rows(g, node->in[0]), head = head_of(g, node);
  bool rotate = vkd_some(node->in[4]), param = node->p.rms.param;
  uint64_t part = vkd__back_bytes(1, rows, d);
  struct rms_back_push push = {.x = vkd__read(l, node->in[0]),
                               .weight = vkd__read(l, node->in[1]),
                               .rope = vkd__read(l, node->in[4]),
                               .dout = vkd__read(l, node->in[2]),
                               .stats = vkd__read(l, node->in[3]),
                               .dx = vkd__write(l, node->out[0]),
                               .dx16 = vkd__write_rounded(l),
                               .dweight = param ? vkd__scratch(l, 0, part, true) : 0,
                               .rows = (uint32_t)rows,
                               .d = (uint32_t)d,
                               .positions = (uint32_t)positions_of(g, node->in[4]),
                               .head = (uint32_t)head};
  int width = width_of(l, d, head, rotate,
                       (const uint64_t[]){push.x, push.weight, push.rope, push.dout, push.dx, push.dweight}, 6);
  push.cols = (uint32_t)(d / width);
  vkd__dispatch_columns(l, ROUNDED_WIDTHS(l, rmsnorm_rope_back), width, &push, sizeof push,
                        (uint64_t)vkd__back_blocks(rows), push.cols, 3 * NORM_BACK_ROWS, param, rotate);
  if (param)
    vkd__col_sum(l, &(struct col_sum){.a = vkd__scratch(l, 0, part, false),
                                      .scratch = part,
                                      .y = node->out[1],
                                      .groups = 1,
                                      .rows = vkd__back_blocks(rows),
                                      .cols = d});
}
void rmsnorm_rope_back_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in,
                           double *const *out) {
  int64_t d = vkd__last(g, node->in[0]), rows = vkd__rows(g, node->in[0]), n = positions_of(g, node->in[4]);
  for (int64_t i = 0; i < d; i++) out[1][i] = 0;
  for (int64_t r = 0; r < rows; r++) {
    const double *x = in[0] + r * d;
    double *h = out[0] + r * d, scale = in[3][r], mean = 0;
    for (int64_t i = 0; i < d; i++) h[i] = in[2][r * d + i];
    turn_row(h, in[4], r % n, d, head_of(g, node), -1);
    for (int64_t i = 0; i < d; i++) out[1][i] += h[i] * x[i] * scale;
    for (int64_t i = 0; i < d; i++) h[i] *= in[1][i];
    for (int64_t i = 0; i < d; i++) mean += x[i] * h[i] / (double)d;
    for (int64_t i = 0; i < d; i++) h[i] = h[i] * scale - x[i] * mean * scale * scale * scale;
  }
}
