// RMS norm over the whole width with rotary embedding per head.  In all rows: p.rms; position of row r: r mod n.
#include "push_norm.h"
#include "support.h"

#include <math.h>

// ---- rmsnorm_rope: in x, weight, rope (may be empty) ---------------------------------------------------------------
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
  if (check_rms(g, node, node->in[2]) && vkd__check_numel(g, node, 1, vkd__last(g, node->in[0]), "weight [d]"))
    shape[0] = vkd__shape(g, node->in[0]);
}
ROW_FLOPS(rmsnorm_rope, 0, 7)
ROW_IO_BYTES(rmsnorm_rope)
void rmsnorm_rope_backward(struct vkd_graph *g, const struct vkd_node *node, const vkd_tensor *dout, vkd_tensor *din) {
  vkd_tensor x = node->in[0], weight = node->in[1], rope = node->in[2];
  struct vkd_node dx = {.op = VKD_OP_rmsnorm_rope_dx, .nin = 4, .in = {x, weight, dout[0], rope}, .p = node->p};
  struct vkd_node dw = {.op = VKD_OP_rmsnorm_rope_dw, .nin = 3, .in = {x, dout[0], rope}, .p = node->p};
  if (vkd__wants_grad(g, x)) din[0] = vkd__graph_add(g, &dx, NULL);
  if (vkd__wants_grad(g, weight)) din[1] = vkd__like(g, vkd__graph_add(g, &dw, NULL), weight);
}

static void lower_rms(struct vkd_lower *l, const struct vkd_node *node, vkd_tensor rope, vkd_tensor dout,
                      enum vkd_kernel_id scalar, enum vkd_kernel_id vec4) {
  const struct vkd_graph *g = vkd__lower_graph(l);
  int64_t d = vkd__last(g, node->in[0]), rows = vkd__rows(g, node->in[0]), head = head_of(g, node);
  struct rms_push push = {.x = vkd__read(l, node->in[0]),
                          .weight = vkd__read(l, node->in[1]),
                          .rope = vkd__read(l, rope),
                          .dout = vkd__read(l, dout),
                          .y = vkd__write(l, node->out[0]),
                          .rows = (uint32_t)rows,
                          .d = (uint32_t)d,
                          .positions = (uint32_t)positions_of(g, rope),
                          .head = (uint32_t)head,
                          .rotate = vkd_some(rope),
                          .eps = node->p.rms.eps};
  bool four = d % 4 == 0 && (!push.rotate || head % 4 == 0) &&
              VEC4_COUNT(4, push.x, push.weight, push.rope, push.dout, push.y) > 0;
  push.cols = (uint32_t)(four ? d / 4 : d);
  vkd__dispatch_rows(l, four ? vec4 : scalar, &push, sizeof push, (uint64_t)rows, push.cols);
}
void rmsnorm_rope_lower(struct vkd_lower *l, const struct vkd_node *node) {
  lower_rms(l, node, node->in[2], (vkd_tensor){0}, VKD_K_rmsnorm_rope, VKD_K_rmsnorm_rope_4);
}

static double rms(const double *x, int64_t d, double eps) {
  double s = 0;
  for (int64_t i = 0; i < d; i++) s += x[i] * x[i];
  return sqrt(s / (double)d + eps);
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
    double norm = rms(in[0] + r * d, d, node->p.rms.eps);
    for (int64_t i = 0; i < d; i++) out[0][r * d + i] = in[0][r * d + i] / norm * in[1][i];
    turn_row(out[0] + r * d, in[2], r % n, d, head_of(g, node), 1);
  }
}

// ---- rmsnorm_rope_dx: in x, weight, dout, rope ---------------------------------------------------------------------
void rmsnorm_rope_dx_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)dtype;
  if (check_rms(g, node, node->in[3]) && vkd__check_same(g, node, 0, 2) &&
      vkd__check_numel(g, node, 1, vkd__last(g, node->in[0]), "weight [d]"))
    shape[0] = vkd__shape(g, node->in[0]);
}
ROW_FLOPS(rmsnorm_rope_dx, 0, 16)
ROW_IO_BYTES(rmsnorm_rope_dx)
ROW_NO_BACKWARD(rmsnorm_rope_dx)
void rmsnorm_rope_dx_lower(struct vkd_lower *l, const struct vkd_node *node) {
  lower_rms(l, node, node->in[3], node->in[2], VKD_K_rmsnorm_rope_dx, VKD_K_rmsnorm_rope_dx_4);
}
void rmsnorm_rope_dx_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in,
                         double *const *out) {
  int64_t d = vkd__last(g, node->in[0]), rows = vkd__rows(g, node->in[0]), n = positions_of(g, node->in[3]);
  for (int64_t r = 0; r < rows; r++) {
    const double *x = in[0] + r * d;
    double *h = out[0] + r * d, norm = rms(x, d, node->p.rms.eps), mean = 0;
    for (int64_t i = 0; i < d; i++) h[i] = in[2][r * d + i];
    turn_row(h, in[3], r % n, d, head_of(g, node), -1);
    for (int64_t i = 0; i < d; i++) h[i] *= in[1][i];
    for (int64_t i = 0; i < d; i++) mean += x[i] * h[i] / (double)d;
    for (int64_t i = 0; i < d; i++) h[i] = h[i] / norm - x[i] * mean / (norm * norm * norm);
  }
}

// ---- rmsnorm_rope_dw: in x, dout, rope; out [d] --------------------------------------------------------------------
static uint64_t stats_bytes(int64_t rows) { return ((uint64_t)rows * 4 + 63) / 64 * 64; }

void rmsnorm_rope_dw_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)dtype;
  if (!check_rms(g, node, node->in[2]) || !vkd__check_same(g, node, 0, 1)) return;
  int64_t rows = vkd__rows(g, node->in[0]), d = vkd__last(g, node->in[0]);
  shape[0] = VKD_SHAPE(d);
  node->scratch = stats_bytes(rows) + vkd__col_sum_scratch(1, rows, d, 1);
}
ROW_FLOPS(rmsnorm_rope_dw, 0, 8)
ROW_IO_BYTES(rmsnorm_rope_dw)
ROW_NO_BACKWARD(rmsnorm_rope_dw)
void rmsnorm_rope_dw_lower(struct vkd_lower *l, const struct vkd_node *node) {
  const struct vkd_graph *g = vkd__lower_graph(l);
  int64_t d = vkd__last(g, node->in[0]), rows = vkd__rows(g, node->in[0]);
  uint64_t stats = stats_bytes(rows);
  vkd__row_stats(l, VKD_K_row_rms, VKD_K_row_rms_4, node->in[0], node->p.rms.eps, stats);
  vkd__col_sum(l, &(struct col_sum){.scalar = VKD_K_rmsnorm_rope_dw,
                                    .vec4 = VKD_K_rmsnorm_rope_dw_4,
                                    .a = node->in[0],
                                    .b = node->in[1],
                                    .rope = node->in[2],
                                    .stats = stats,
                                    .scratch = stats,
                                    .y = node->out[0],
                                    .groups = 1,
                                    .rows = rows,
                                    .cols = d,
                                    .positions = positions_of(g, node->in[2]),
                                    .head = vkd_some(node->in[2]) ? head_of(g, node) : 0});
}
void rmsnorm_rope_dw_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in,
                         double *const *out) {
  int64_t d = vkd__last(g, node->in[0]), rows = vkd__rows(g, node->in[0]), n = positions_of(g, node->in[2]);
  int64_t head = head_of(g, node);
  for (int64_t i = 0; i < d; i++) out[0][i] = 0;
  for (int64_t r = 0; r < rows; r++) {
    double norm = rms(in[0] + r * d, d, node->p.rms.eps);
    for (int64_t i = 0; i < d; i++) {
      double pair[2] = {in[1][r * d + i], 0};
      if (in[2]) {
        int64_t first = i - i % 2;
        pair[0] = in[1][r * d + first];
        pair[1] = in[1][r * d + first + 1];
        turn_row(pair, in[2] + first % head, r % n, 2, head, -1);
      }
      out[0][i] += pair[in[2] ? i % 2 : 0] * in[0][r * d + i] / norm;
    }
  }
}
