// Ops that write bound tensors: zero, assign, accumulate, AdamW.
#include "push_elementwise.h"
#include "support.h"

#include <math.h>

#include "vkd/half.h"

// ---- zero: in dst --------------------------------------------------------------------------------------------------
void vkd_zero(struct vkd_graph *g, vkd_tensor dst) {
  vkd__graph_add(g, &(struct vkd_node){.op = VKD_OP_zero, .nin = 1, .in = {dst}}, NULL);
}
void zero_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)shape, (void)dtype;
  vkd__check_f32(g, node);
}
ROW_NO_FLOPS(zero)
double zero_bytes(const struct vkd_graph *g, const struct vkd_node *node) {
  return 4.0 * (double)vkd__numel(g, node->in[0]);
}
ROW_NO_BACKWARD(zero)
void zero_lower(struct vkd_lower *l, const struct vkd_node *node) {
  int64_t n = vkd__numel(vkd__lower_graph(l), node->in[0]);
  struct map_push push = {.y = vkd__write(l, node->in[0]), .n = (uint32_t)n};
  push.n4 = VEC4_COUNT(n, push.y);
  vkd__dispatch_map(l, VKD_K_zero, VKD_K_zero_8, &push, sizeof push, push.n, push.n4, MAP_SPAN);
}
void zero_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  (void)out;
  for (int64_t i = 0, n = vkd__numel(g, node->in[0]); i < n; i++) in[0][i] = 0;
}

// ---- assign, accumulate: in dst, src -------------------------------------------------------------------------------
static void two_shape(struct vkd_graph *g, const struct vkd_node *node) {
  if (vkd__check_f32(g, node)) vkd__check_numel(g, node, 1, vkd__numel(g, node->in[0]), "as many as the destination");
}

void vkd_assign(struct vkd_graph *g, vkd_tensor dst, vkd_tensor src) {
  vkd__graph_add(g, &(struct vkd_node){.op = VKD_OP_assign, .nin = 2, .in = {dst, src}}, NULL);
}
void assign_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)shape, (void)dtype;
  two_shape(g, node);
}
ROW_NO_FLOPS(assign)
double assign_bytes(const struct vkd_graph *g, const struct vkd_node *node) {
  return 8.0 * (double)vkd__numel(g, node->in[0]);
}
ROW_NO_BACKWARD(assign)
void assign_lower(struct vkd_lower *l, const struct vkd_node *node) {
  int64_t n = vkd__numel(vkd__lower_graph(l), node->in[0]);
  vkd__dispatch_copy(l, vkd__write(l, node->in[0]), vkd__read(l, node->in[1]), n);
}
void assign_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  (void)out;
  for (int64_t i = 0, n = vkd__numel(g, node->in[0]); i < n; i++) in[0][i] = in[1][i];
}

void vkd_accumulate(struct vkd_graph *g, vkd_tensor dst, vkd_tensor src) {
  vkd__graph_add(g, &(struct vkd_node){.op = VKD_OP_accumulate, .nin = 2, .in = {dst, src}}, NULL);
}
void accumulate_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)shape, (void)dtype;
  two_shape(g, node);
}
ROW_FLOPS(accumulate, 0, 1)
ROW_IO_BYTES(accumulate)
ROW_NO_BACKWARD(accumulate)
void accumulate_lower(struct vkd_lower *l, const struct vkd_node *node) {
  int64_t n = vkd__numel(vkd__lower_graph(l), node->in[0]);
  uint64_t dst = vkd__write(l, node->in[0]);
  struct map_push push = {.a = dst, .b = vkd__read(l, node->in[1]), .y = dst, .n = (uint32_t)n};
  push.n4 = VEC4_COUNT(n, push.a, push.b);
  vkd__dispatch_map(l, VKD_K_add, VKD_K_add_8, &push, sizeof push, push.n, push.n4, MAP_SPAN);
}
void accumulate_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  (void)out;
  for (int64_t i = 0, n = vkd__numel(g, node->in[0]); i < n; i++) in[0][i] += in[1][i];
}

// ---- adamw: in p, g, m, v, ema, hyper, norm2, copy; p.adamw
// --------------------------------------------------------------
void vkd_adamw(struct vkd_graph *g, struct vkd_adamw_tensors t, vkd_tensor hyper, vkd_tensor norm2, float lr_scale,
               float decay) {
  struct vkd_node node = {.op = VKD_OP_adamw, .nin = 7, .in = {t.p, t.g, t.m, t.v, t.ema, hyper, norm2, t.copy}};
  if (vkd_some(t.copy)) node.nin = 8;
  node.p.adamw.lr_scale = lr_scale;
  node.p.adamw.decay = decay;
  vkd__graph_add(g, &node, NULL);
}
void adamw_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)shape, (void)dtype;
  struct vkd_node whole = *node;
  whole.nin = 7;
  if (!vkd__check_f32(g, &whole)) return;
  if (node->nin == 8) {
    if (!vkd__check_numel(g, node, 7, vkd__numel(g, node->in[0]), "as many as parameters")) return;
    if (!vkd_dtype_16bit(vkd_tensor_dtype(g, node->in[7])))
      vkd__graph_fail(g, VKD_ERR_DTYPE, "adamw: a copy in %s", vkd_dtype_name(vkd_tensor_dtype(g, node->in[7])));
  }
  for (int i = 1; i < 5; i++)
    if (!vkd__check_numel(g, node, i, vkd__numel(g, node->in[0]), "as many as parameters")) return;
  if (vkd__check_numel(g, node, 5, VKD_HYPER_COUNT, "enum vkd_hyper"))
    vkd__check_numel(g, node, 6, 1, "a sum of squares");
}
ROW_FLOPS(adamw, 0, 18)
ROW_IO_BYTES(adamw)
ROW_NO_BACKWARD(adamw)
void adamw_lower(struct vkd_lower *l, const struct vkd_node *node) {
  const struct vkd_graph *g = vkd__lower_graph(l);
  int64_t n = vkd__numel(g, node->in[0]);
  vkd_tensor copy = node->nin == 8 ? node->in[7] : (vkd_tensor){0};
  struct adamw_push push = {.p = vkd__write(l, node->in[0]),
                            .g = vkd__read(l, node->in[1]),
                            .m = vkd__write(l, node->in[2]),
                            .v = vkd__write(l, node->in[3]),
                            .ema = vkd__write(l, node->in[4]),
                            .hyper = vkd__read(l, node->in[5]),
                            .norm2 = vkd__read(l, node->in[6]),
                            .copy = vkd__write(l, copy),
                            .copy_to = vkd_tensor_dtype(g, copy) == VKD_F16 ? ROUND_F16 : ROUND_BF16,
                            .n = (uint32_t)n,
                            .lr_scale = node->p.adamw.lr_scale,
                            .decay = node->p.adamw.decay};
  push.n4 = VEC4_COUNT(n, push.p, push.g, push.m, push.v, push.ema, push.copy);
  enum vkd_kernel_id kernel = push.copy ? VKD_K_adamw_half : VKD_K_adamw;
  vkd__dispatch_map(l, kernel, push.copy ? VKD_K_adamw_half_8 : VKD_K_adamw_8, &push, sizeof push, push.n, push.n4, 4);
}
void adamw_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  (void)out;
  if (!isfinite((float)in[6][0])) return; // as the device sees it
  double *p = in[0], *m = in[2], *v = in[3], *ema = in[4], *copy = node->nin == 8 ? in[7] : NULL;
  const double *h = in[5];
  double lr = h[VKD_HYPER_LR] * node->p.adamw.lr_scale, decay = h[VKD_HYPER_WEIGHT_DECAY] * node->p.adamw.decay;
  double norm = sqrt(in[6][0]) * h[VKD_HYPER_GRAD_SCALE], scale = h[VKD_HYPER_GRAD_SCALE];
  if (h[VKD_HYPER_CLIP] != 0) {
    double ratio = h[VKD_HYPER_CLIP] / (norm + 1e-6);
    if (!(ratio > 1)) scale *= ratio;
  }
  for (int64_t i = 0, n = vkd__numel(g, node->in[0]); i < n; i++) {
    double grad = in[1][i] * scale;
    p[i] *= 1 - lr * decay;
    m[i] = h[VKD_HYPER_BETA1] * m[i] + h[VKD_HYPER_ONE_MINUS_BETA1] * grad;
    v[i] = h[VKD_HYPER_BETA2] * v[i] + h[VKD_HYPER_ONE_MINUS_BETA2] * grad * grad;
    p[i] -= lr * (m[i] * h[VKD_HYPER_BIAS1]) / (sqrt(v[i] * h[VKD_HYPER_BIAS2]) + h[VKD_HYPER_EPS]);
    ema[i] = h[VKD_HYPER_EMA] * ema[i] + (1 - h[VKD_HYPER_EMA]) * p[i];
    if (copy) copy[i] = vkd_half_round(vkd_tensor_dtype(g, node->in[7]), p[i]);
  }
}
