// What sampling takes beside linear combinations: parts of the channels, guidance, noise of a learned variance.
#include "push_sampling.h"
#include "support.h"

#include <math.h>
#include <string.h>

// Elements per channel of x [B, C, ...].
static int64_t channel_numel(const struct vkd_graph *g, vkd_tensor x) {
  struct vkd_shape s = vkd__shape(g, x);
  return vkd__numel(g, x) / (s.dim[0] * s.dim[1]);
}

// ---- channels: in x; p.channels ------------------------------------------------------------------------------------
vkd_tensor vkd_channels(struct vkd_graph *g, vkd_tensor x, int64_t first, int64_t count) {
  struct vkd_node node = {.op = VKD_OP_channels, .nin = 1, .in = {x}, .p.channels = {first, count}};
  return vkd__graph_add(g, &node, NULL);
}
void channels_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)dtype;
  if (!vkd__check_f32(g, node)) return;
  shape[0] = vkd__shape(g, node->in[0]);
  int64_t first = node->p.channels.begin, count = node->p.channels.count;
  if (shape[0].rank < 2 || first < 0 || count < 1 || first > shape[0].dim[1] - count) {
    vkd__graph_fail(g, VKD_ERR_SHAPE, "channels %lld..%lld of %s", (long long)first, (long long)(first + count),
                    vkd__shape_text(g, node->in[0]).s);
    return;
  }
  shape[0].dim[1] = count;
}
ROW_NO_FLOPS(channels)
double channels_bytes(const struct vkd_graph *g, const struct vkd_node *node) {
  return 8.0 * (double)vkd__numel(g, node->out[0]);
}
ROW_NO_BACKWARD(channels)
void channels_lower(struct vkd_lower *l, const struct vkd_node *node) {
  const struct vkd_graph *g = vkd__lower_graph(l);
  int64_t inner = channel_numel(g, node->in[0]), n = vkd__numel(g, node->out[0]);
  struct channels_push push = {.x = vkd__read(l, node->in[0]), .y = vkd__write(l, node->out[0])};
  int64_t per = inner % 4 == 0 && VEC4_COUNT(4, push.x, push.y) ? 4 : 1;
  push.quads = per == 4;
  push.n = (uint32_t)(n / per);
  push.run = (uint32_t)(node->p.channels.count * inner / per);
  push.stride = (uint32_t)(vkd__shape(g, node->in[0]).dim[1] * inner / per);
  push.first = (uint32_t)(node->p.channels.begin * inner / per);
  vkd__dispatch_items(l, VKD_K_channels, &push, sizeof push, push.n);
}
void channels_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  struct vkd_shape s = vkd__shape(g, node->in[0]);
  int64_t inner = channel_numel(g, node->in[0]), run = node->p.channels.count * inner;
  for (int64_t b = 0; b < s.dim[0]; b++)
    memcpy(out[0] + b * run, in[0] + (b * s.dim[1] + node->p.channels.begin) * inner, (size_t)run * sizeof(double));
}

// ---- guide: in null, cond, scale -----------------------------------------------------------------------------------
vkd_tensor vkd_guide(struct vkd_graph *g, vkd_tensor null, vkd_tensor cond, vkd_tensor scale) {
  return vkd__graph_add(g, &(struct vkd_node){.op = VKD_OP_guide, .nin = 3, .in = {null, cond, scale}}, NULL);
}
void guide_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)dtype;
  if (!vkd__check_f32(g, node) || !vkd__check_same(g, node, 0, 1)) return;
  shape[0] = vkd__shape(g, node->in[0]);
  if (shape[0].rank < 2)
    vkd__graph_fail(g, VKD_ERR_SHAPE, "guide: %s has no channels", vkd__shape_text(g, node->in[0]).s);
  else
    vkd__check_numel(g, node, 2, shape[0].dim[1], "one scale per channel");
}
ROW_FLOPS(guide, 0, 3)
ROW_IO_BYTES(guide)
ROW_NO_BACKWARD(guide)
void guide_lower(struct vkd_lower *l, const struct vkd_node *node) {
  const struct vkd_graph *g = vkd__lower_graph(l);
  int64_t inner = channel_numel(g, node->in[0]), n = vkd__numel(g, node->in[0]);
  struct guide_push push = {.a = vkd__read(l, node->in[0]),
                            .b = vkd__read(l, node->in[1]),
                            .scale = vkd__read(l, node->in[2]),
                            .y = vkd__write(l, node->out[0]),
                            .channels = (uint32_t)vkd__numel(g, node->in[2])};
  int64_t per = inner % 4 == 0 && VEC4_COUNT(4, push.a, push.b, push.y) ? 4 : 1;
  push.quads = per == 4;
  push.n = (uint32_t)(n / per);
  push.inner = (uint32_t)(inner / per);
  vkd__dispatch_items(l, VKD_K_guide, &push, sizeof push, push.n);
}
void guide_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  int64_t inner = channel_numel(g, node->in[0]), channels = vkd__numel(g, node->in[2]);
  for (int64_t i = 0, n = vkd__numel(g, node->in[0]); i < n; i++) {
    double s = in[2][i / inner % channels];
    out[0][i] = s == 1 ? in[1][i] : in[0][i] + s * (in[1][i] - in[0][i]);
  }
}

// ---- variance_noise: in v, z, range --------------------------------------------------------------------------------
vkd_tensor vkd_variance_noise(struct vkd_graph *g, vkd_tensor v, vkd_tensor z, vkd_tensor range) {
  return vkd__graph_add(g, &(struct vkd_node){.op = VKD_OP_variance_noise, .nin = 3, .in = {v, z, range}}, NULL);
}
void variance_noise_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)dtype;
  if (vkd__check_f32(g, node) && vkd__check_same(g, node, 0, 1) &&
      vkd__check_numel(g, node, 2, 2, "log variances at v = -1 and 1"))
    shape[0] = vkd__shape(g, node->in[0]);
}
ROW_FLOPS(variance_noise, 0, 6)
ROW_IO_BYTES(variance_noise)
ROW_NO_BACKWARD(variance_noise)
void variance_noise_lower(struct vkd_lower *l, const struct vkd_node *node) {
  struct variance_noise_push push = {.v = vkd__read(l, node->in[0]),
                                     .z = vkd__read(l, node->in[1]),
                                     .range = vkd__read(l, node->in[2]),
                                     .y = vkd__write(l, node->out[0]),
                                     .n = (uint32_t)vkd__numel(vkd__lower_graph(l), node->out[0])};
  vkd__dispatch_items(l, VKD_K_variance_noise, &push, sizeof push, push.n);
}
void variance_noise_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  for (int64_t i = 0, n = vkd__numel(g, node->out[0]); i < n; i++) {
    double f = (in[0][i] + 1) / 2, log_variance = (1 - f) * in[2][0] + f * in[2][1];
    out[0][i] = in[1][i] * exp(log_variance / 2);
  }
}
