// Layer norm with modulation, and the modulation itself.
#include "push_norm.h"
#include "support.h"

#include <math.h>

// ---- modulation: in e, table; modulation_de: in dout; p.modulation.chunks -------------------------------------------
vkd_tensor vkd_modulation(struct vkd_graph *g, vkd_tensor e, vkd_tensor table) {
  struct vkd_node node = {.op = VKD_OP_modulation, .nin = 2, .in = {e, table}};
  int64_t d = vkd__last(g, table);
  node.p.modulation.chunks = d ? vkd__last(g, e) / d : 0;
  return vkd__graph_add(g, &node, NULL);
}
void modulation_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)dtype;
  struct vkd_shape e = vkd__shape(g, node->in[0]), table = vkd__shape(g, node->in[1]);
  int64_t chunks = node->p.modulation.chunks;
  if (!vkd__check_f32(g, node)) return;
  if (e.rank != 2 || table.rank != 2 || chunks < 1 || e.dim[1] != chunks * table.dim[1] || table.dim[0] % chunks) {
    vkd__graph_fail(g, VKD_ERR_SHAPE, "modulation: e %s must be [B, ke d] for a table %s of [k, d], ke a divisor of k",
                    vkd__shape_text(g, node->in[0]).s, vkd__shape_text(g, node->in[1]).s);
    return;
  }
  shape[0] = VKD_SHAPE(table.dim[0], e.dim[0], table.dim[1]);
}
double modulation_flops(const struct vkd_graph *g, const struct vkd_node *node) {
  return (double)vkd__numel(g, node->out[0]);
}
ROW_IO_BYTES(modulation)
void modulation_backward(struct vkd_graph *g, const struct vkd_node *node, const vkd_tensor *dout, vkd_tensor *din) {
  struct vkd_node de = {.op = VKD_OP_modulation_de, .nin = 1, .in = {dout[0]}, .p = node->p};
  vkd_tensor table = node->in[1];
  if (vkd__wants_grad(g, node->in[0])) din[0] = vkd__graph_add(g, &de, NULL);
  if (vkd__wants_grad(g, table))
    din[1] = vkd__like(g, vkd_sum_rows(g, dout[0], (vkd_tensor){0}, vkd__rows(g, table)), table);
}
void modulation_lower(struct vkd_lower *l, const struct vkd_node *node) {
  struct vkd_shape out = vkd__shape(vkd__lower_graph(l), node->out[0]);
  struct modulation_push push = {.e = vkd__read(l, node->in[0]),
                                 .table = vkd__read(l, node->in[1]),
                                 .y = vkd__write(l, node->out[0]),
                                 .k = (uint32_t)out.dim[0],
                                 .batch = (uint32_t)out.dim[1],
                                 .d = (uint32_t)out.dim[2],
                                 .chunks = (uint32_t)node->p.modulation.chunks};
  vkd__dispatch_rows(l, VKD_K_modulation, &push, sizeof push, (uint64_t)(out.dim[0] * out.dim[1]), out.dim[2]);
}
void modulation_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  struct vkd_shape s = vkd__shape(g, node->out[0]);
  int64_t batch = s.dim[1], d = s.dim[2], chunks = node->p.modulation.chunks;
  for (int64_t j = 0; j < s.dim[0]; j++)
    for (int64_t b = 0; b < batch; b++)
      for (int64_t c = 0; c < d; c++)
        out[0][(j * batch + b) * d + c] = in[0][b * chunks * d + j % chunks * d + c] + in[1][j * d + c];
}

void modulation_de_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)dtype;
  struct vkd_shape s = vkd__shape(g, node->in[0]);
  if (!vkd__check_f32(g, node)) return;
  if (s.rank != 3 || node->p.modulation.chunks < 1 || s.dim[0] % node->p.modulation.chunks) {
    vkd__graph_fail(g, VKD_ERR_SHAPE, "modulation_de: %s is not [k, B, d]", vkd__shape_text(g, node->in[0]).s);
    return;
  }
  shape[0] = VKD_SHAPE(s.dim[1], node->p.modulation.chunks * s.dim[2]);
}
ROW_FLOPS(modulation_de, 0, 1)
ROW_IO_BYTES(modulation_de)
ROW_NO_BACKWARD(modulation_de)
void modulation_de_lower(struct vkd_lower *l, const struct vkd_node *node) {
  struct vkd_shape s = vkd__shape(vkd__lower_graph(l), node->in[0]);
  int64_t chunks = node->p.modulation.chunks;
  struct modulation_push push = {.e = vkd__read(l, node->in[0]),
                                 .y = vkd__write(l, node->out[0]),
                                 .k = (uint32_t)s.dim[0],
                                 .batch = (uint32_t)s.dim[1],
                                 .d = (uint32_t)s.dim[2],
                                 .chunks = (uint32_t)chunks};
  vkd__dispatch_rows(l, VKD_K_modulation_de, &push, sizeof push, (uint64_t)(s.dim[1] * chunks), s.dim[2]);
}
void modulation_de_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  struct vkd_shape s = vkd__shape(g, node->in[0]);
  int64_t batch = s.dim[1], d = s.dim[2], chunks = node->p.modulation.chunks;
  for (int64_t b = 0; b < batch; b++)
    for (int64_t i = 0; i < chunks; i++)
      for (int64_t c = 0; c < d; c++) {
        double sum = 0;
        for (int64_t j = i; j < s.dim[0]; j += chunks) sum += in[0][(j * batch + b) * d + c];
        out[0][(b * chunks + i) * d + c] = sum;
      }
}

// ---- layernorm: in x, scale, shift; out y, stats [rows, 2] = (mean, 1 / std); p.layernorm ---------------------------
vkd_tensor vkd_layernorm(struct vkd_graph *g, vkd_tensor x, vkd_tensor scale, vkd_tensor shift, float eps,
                         bool one_plus) {
  struct vkd_node node = {.op = VKD_OP_layernorm, .nin = 3, .in = {x, scale, shift}};
  node.p.layernorm.eps = eps;
  node.p.layernorm.one_plus = one_plus;
  return vkd__graph_add(g, &node, NULL);
}

// scale [d] or [G, d], G a divisor of x's rows
static bool check_scale(struct vkd_graph *g, const struct vkd_node *node) {
  vkd_tensor x = node->in[0], scale = node->in[1];
  if (vkd__shape(g, scale).rank <= 2 && vkd__last(g, scale) == vkd__last(g, x) &&
      vkd__rows(g, x) % vkd__rows(g, scale) == 0)
    return true;
  vkd__graph_fail(g, VKD_ERR_SHAPE, "%s: scale %s must be [d] or [G, d] for x %s of [..., d]", vkd__ops[node->op].name,
                  vkd__shape_text(g, scale).s, vkd__shape_text(g, x).s);
  return false;
}

void layernorm_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)dtype;
  if (!vkd__check_f32(g, node) || !check_scale(g, node) || !vkd__check_same(g, node, 1, 2)) return;
  shape[0] = vkd__shape(g, node->in[0]);
  shape[1] = VKD_SHAPE(vkd__rows(g, node->in[0]), 2);
}
ROW_FLOPS(layernorm, 0, 8)
ROW_IO_BYTES(layernorm)
void layernorm_backward(struct vkd_graph *g, const struct vkd_node *node, const vkd_tensor *dout, vkd_tensor *din) {
  vkd_tensor x = node->in[0], scale = node->in[1], shift = node->in[2], dparam[2];
  struct vkd_node back = {.op = VKD_OP_layernorm_back, .nin = 4, .in = {x, scale, dout[0], node->out[1]}, .p = node->p};
  back.p.layernorm.param = vkd__wants_grad(g, scale) || vkd__wants_grad(g, shift);
  din[0] = vkd__graph_add(g, &back, dparam);
  if (!back.p.layernorm.param) return;
  din[1] = vkd__like(g, dparam[0], scale);
  din[2] = vkd__like(g, dparam[1], shift);
}
void layernorm_lower(struct vkd_lower *l, const struct vkd_node *node) {
  const struct vkd_graph *g = vkd__lower_graph(l);
  int64_t d = vkd__last(g, node->in[0]), rows = vkd__rows(g, node->in[0]);
  struct layernorm_push push = {.x = vkd__read(l, node->in[0]),
                                .scale = vkd__read(l, node->in[1]),
                                .shift = vkd__read(l, node->in[2]),
                                .y = vkd__write(l, node->out[0]),
                                .y16 = vkd__write_rounded(l),
                                .stats = vkd__write(l, node->out[1]),
                                .rows = (uint32_t)rows,
                                .d = (uint32_t)d,
                                .rows_per_group = (uint32_t)(rows / vkd__rows(g, node->in[1])),
                                .eps = node->p.layernorm.eps,
                                .base = node->p.layernorm.one_plus ? 1 : 0};
  int width = WIDTH(l, d, push.x, push.scale, push.shift, push.y);
  push.cols = (uint32_t)(d / width);
  vkd__dispatch_held_rows(l, ROUNDED_WIDTHS(l, layernorm), width, &push, sizeof push, (uint64_t)rows, push.cols, 0);
}
void layernorm_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  int64_t d = vkd__last(g, node->in[0]), rows = vkd__rows(g, node->in[0]), per = rows / vkd__rows(g, node->in[1]);
  double base = node->p.layernorm.one_plus ? 1 : 0;
  for (int64_t r = 0; r < rows; r++) {
    const double *x = in[0] + r * d, *scale = in[1] + r / per * d, *shift = in[2] + r / per * d;
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < d; i++) sum += x[i];
    double mean = sum / (double)d;
    for (int64_t i = 0; i < d; i++) squares += (x[i] - mean) * (x[i] - mean);
    double std = sqrt(squares / (double)d + node->p.layernorm.eps);
    for (int64_t i = 0; i < d; i++) out[0][r * d + i] = (x[i] - mean) / std * (base + scale[i]) + shift[i];
    out[1][2 * r] = mean;
    out[1][2 * r + 1] = 1 / std;
  }
}

// ---- layernorm_back: in x, scale, dout, stats; out dx, dscale, dshift [G, d] (nothing without p.layernorm.param)
// ----- Scratch: sums over blocks of rows for dscale, then those for dshift, then that of the sums over the blocks.
void layernorm_back_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)dtype;
  if (!vkd__check_f32(g, node) || !check_scale(g, node) || !vkd__check_same(g, node, 0, 2)) return;
  int64_t groups = vkd__rows(g, node->in[1]), all = vkd__rows(g, node->in[0]), d = vkd__last(g, node->in[0]);
  if (!vkd__check_numel(g, node, 3, 2 * all, "statistics of every row")) return;
  shape[0] = vkd__shape(g, node->in[0]);
  shape[1] = shape[2] = VKD_SHAPE(groups, d);
  if (node->p.layernorm.param)
    node->scratch =
        2 * vkd__back_bytes(groups, all / groups, d) + vkd__col_sum_scratch(groups, vkd__back_blocks(all / groups), d);
}
double layernorm_back_flops(const struct vkd_graph *g, const struct vkd_node *node) {
  return (node->p.layernorm.param ? 14 : 11) * (double)vkd__numel(g, node->in[0]);
}
ROW_IO_BYTES(layernorm_back)
ROW_NO_BACKWARD(layernorm_back)
void layernorm_back_lower(struct vkd_lower *l, const struct vkd_node *node) {
  const struct vkd_graph *g = vkd__lower_graph(l);
  int64_t d = vkd__last(g, node->in[0]), groups = vkd__rows(g, node->in[1]), rows = vkd__rows(g, node->in[0]) / groups;
  bool param = node->p.layernorm.param;
  uint64_t part = vkd__back_bytes(groups, rows, d);
  struct layernorm_back_push push = {.x = vkd__read(l, node->in[0]),
                                     .scale = vkd__read(l, node->in[1]),
                                     .dout = vkd__read(l, node->in[2]),
                                     .stats = vkd__read(l, node->in[3]),
                                     .dx = vkd__write(l, node->out[0]),
                                     .dscale = param ? vkd__scratch(l, 0, part, true) : 0,
                                     .dshift = param ? vkd__scratch(l, part, part, true) : 0,
                                     .groups = (uint32_t)groups,
                                     .blocks = (uint32_t)vkd__back_blocks(rows),
                                     .rows = (uint32_t)rows,
                                     .d = (uint32_t)d,
                                     .base = node->p.layernorm.one_plus ? 1 : 0};
  int width = WIDTH(l, d, push.x, push.scale, push.dout, push.dx, push.dscale, push.dshift);
  push.cols = (uint32_t)(d / width);
  vkd__dispatch_columns(l, WIDTHS(layernorm_back), width, &push, sizeof push, (uint64_t)(groups * push.blocks),
                        push.cols, 4 * NORM_BACK_ROWS, param, 0);
  for (int i = 0; i < 2 && param; i++)
    vkd__col_sum(l, &(struct col_sum){.a = vkd__scratch(l, i * part, part, false),
                                      .scratch = 2 * part,
                                      .y = node->out[1 + i],
                                      .groups = groups,
                                      .rows = push.blocks,
                                      .cols = d});
}
void layernorm_back_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  int64_t d = vkd__last(g, node->in[0]), rows = vkd__rows(g, node->in[0]), groups = vkd__rows(g, node->in[1]);
  double base = node->p.layernorm.one_plus ? 1 : 0;
  for (int64_t i = 0; i < groups * d; i++) out[1][i] = out[2][i] = 0;
  for (int64_t r = 0; r < rows; r++) {
    int64_t group = r / (rows / groups);
    const double *x = in[0] + r * d, *scale = in[1] + group * d, *dout = in[2] + r * d;
    double mean = in[3][2 * r], rstd = in[3][2 * r + 1], mean_h = 0, mean_hx = 0;
    for (int64_t i = 0; i < d; i++) {
      double xhat = (x[i] - mean) * rstd;
      mean_h += dout[i] * (base + scale[i]) / (double)d;
      mean_hx += dout[i] * (base + scale[i]) * xhat / (double)d;
      out[1][group * d + i] += dout[i] * xhat;
      out[2][group * d + i] += dout[i];
    }
    for (int64_t i = 0; i < d; i++)
      out[0][r * d + i] = (dout[i] * (base + scale[i]) - mean_h - (x[i] - mean) * rstd * mean_hx) * rstd;
  }
}
