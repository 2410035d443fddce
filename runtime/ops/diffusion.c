// Noise, and the noisy samples and targets that a model is trained on.
#include "push_elementwise.h"
#include "support.h"
#include "vkd/random.h"

// ---- randn: in key, sample; p.randn.shape --------------------------------------------------------------------------
vkd_tensor vkd_randn(struct vkd_graph *g, vkd_tensor key, vkd_tensor sample, struct vkd_shape shape) {
  struct vkd_node node = {.op = VKD_OP_randn, .nin = 2, .in = {key, sample}};
  node.p.randn.shape = shape;
  return vkd__graph_add(g, &node, NULL);
}
void randn_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)dtype;
  if (vkd_tensor_dtype(g, node->in[0]) != VKD_I32 || vkd_tensor_dtype(g, node->in[1]) != VKD_I32) {
    vkd__graph_fail(g, VKD_ERR_DTYPE, "randn: key and sample must be int32");
    return;
  }
  shape[0] = node->p.randn.shape;
  if (vkd__check_numel(g, node, 0, 4, "seed low, seed high, step, stream"))
    vkd__check_numel(g, node, 1, shape[0].rank ? shape[0].dim[0] : 0, "one index per sample");
}
ROW_NO_FLOPS(randn)
ROW_IO_BYTES(randn)
ROW_NO_BACKWARD(randn)
void randn_lower(struct vkd_lower *l, const struct vkd_node *node) {
  const struct vkd_graph *g = vkd__lower_graph(l);
  int64_t samples = vkd__numel(g, node->in[1]), inner = vkd__numel(g, node->out[0]) / samples;
  struct randn_push push = {.y = vkd__write(l, node->out[0]),
                            .key = vkd__read(l, node->in[0]),
                            .sample_index = vkd__read(l, node->in[1]),
                            .samples = (uint32_t)samples,
                            .inner = (uint32_t)inner};
  push.aligned = inner % 4 == 0 && VEC4_COUNT(4, push.y) > 0;
  vkd__dispatch_items(l, VKD_K_randn, &push, sizeof push, (uint64_t)(samples * ((inner + 3) / 4)));
}
// An int32 kept as a double, back to its 32 bits.
static uint32_t bits_of(double x) { return (uint32_t)(int32_t)x; }
void randn_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  int64_t samples = vkd__numel(g, node->in[1]), inner = vkd__numel(g, node->out[0]) / samples;
  uint64_t seed = (uint64_t)bits_of(in[0][1]) << 32 | bits_of(in[0][0]);
  for (int64_t b = 0; b < samples; b++)
    for (int64_t i = 0; i < inner; i += 4) {
      double z[4];
      vkd_normal4(seed, bits_of(in[0][2]), bits_of(in[0][3]), bits_of(in[1][b]), (uint32_t)(i / 4), z);
      for (int64_t k = i; k < i + 4 && k < inner; k++) out[0][b * inner + k] = z[k - i];
    }
}

// ---- diffuse: in x0, noise, coef; out xt, target -------------------------------------------------------------------
enum { COEFS = 4 }; // per sample
void vkd_diffuse(struct vkd_graph *g, vkd_tensor x0, vkd_tensor noise, vkd_tensor coef, vkd_tensor *xt,
                 vkd_tensor *target) {
  *xt = vkd__graph_add(g, &(struct vkd_node){.op = VKD_OP_diffuse, .nin = 3, .in = {x0, noise, coef}}, target);
}
void diffuse_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)dtype;
  if (vkd__check_f32(g, node) && vkd__check_same(g, node, 0, 1) &&
      vkd__check_numel(g, node, 2, COEFS * vkd__shape(g, node->in[0]).dim[0], "four coefficients per sample"))
    shape[0] = shape[1] = vkd__shape(g, node->in[0]);
}
ROW_FLOPS(diffuse, 0, 6)
ROW_IO_BYTES(diffuse)
ROW_NO_BACKWARD(diffuse)
void diffuse_lower(struct vkd_lower *l, const struct vkd_node *node) {
  const struct vkd_graph *g = vkd__lower_graph(l);
  int64_t n = vkd__numel(g, node->in[0]), inner = n / vkd__shape(g, node->in[0]).dim[0];
  struct diffuse_push push = {.x0 = vkd__read(l, node->in[0]),
                              .noise = vkd__read(l, node->in[1]),
                              .coef = vkd__read(l, node->in[2]),
                              .xt = vkd__write(l, node->out[0]),
                              .target = vkd__write(l, node->out[1]),
                              .n = (uint32_t)n,
                              .inner = (uint32_t)inner};
  if (inner % 4 == 0) push.inner4 = VEC4_COUNT(inner, push.x0, push.noise, push.xt, push.target);
  vkd__dispatch_items(l, VKD_K_diffuse, &push, sizeof push, (uint64_t)(push.inner4 ? n / 4 : n));
}
void diffuse_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  int64_t n = vkd__numel(g, node->in[0]), inner = n / vkd__shape(g, node->in[0]).dim[0];
  for (int64_t i = 0; i < n; i++) {
    const double *c = in[2] + COEFS * (i / inner);
    out[0][i] = c[0] * in[0][i] + c[1] * in[1][i];
    out[1][i] = c[2] * in[0][i] + c[3] * in[1][i];
  }
}
