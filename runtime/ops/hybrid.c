// The hybrid loss of a noise prediction with a learned variance.
#include <math.h>

#include "push_elementwise.h"
#include "push_reduce.h"
#include "support.h"

enum { BLOCK = 2048, BLOCKS = 256 }; // elements of a workgroup at least, workgroups of a sample at most

// ---- hybrid: in noise, x0, coef, y (may be missing); out loss, parts
// -------------------------------------------------
// ---- hybrid_dy: in noise, x0, coef, y, dloss, dparts (either may be missing)
// -----------------------------------------
vkd_tensor vkd_hybrid(struct vkd_graph *g, vkd_tensor y, vkd_tensor noise, vkd_tensor x0, vkd_tensor coef,
                      vkd_tensor *parts) {
  struct vkd_node node = {.op = VKD_OP_hybrid, .nin = vkd_some(y) ? 4 : 3, .in = {noise, x0, coef, y}};
  return vkd__graph_add(g, &node, parts);
}

static int64_t samples_of(const struct vkd_graph *g, const struct vkd_node *node) {
  return vkd__shape(g, node->in[0]).dim[0];
}
static int64_t inner_of(const struct vkd_graph *g, const struct vkd_node *node) {
  return vkd__numel(g, node->in[0]) / samples_of(g, node);
}
static struct row_blocks blocks_of(int64_t inner) {
  int64_t per = (inner + BLOCKS - 1) / BLOCKS;
  if (per < BLOCK) per = BLOCK;
  return (struct row_blocks){per, (inner + per - 1) / per};
}
// Places per sum: the sums' kernel wants a multiple of 4.
static int64_t stride_of(int64_t inner) { return (blocks_of(inner).count + 3) / 4 * 4; }

static bool check(struct vkd_graph *g, const struct vkd_node *node) {
  if (!vkd__check_f32(g, node) || !vkd__check_same(g, node, 0, 1)) return false;
  struct vkd_shape shape = vkd__shape(g, node->in[0]);
  if (!vkd__check_numel(g, node, 2, VKD_HYBRID_COUNT * shape.dim[0], "three coefficients per sample")) return false;
  if (!vkd_some(node->in[3])) return true;
  if (shape.rank > 1) shape.dim[1] *= 2;
  struct vkd_shape y = vkd__shape(g, node->in[3]);
  if (shape.rank > 1 && vkd_shape_equal(&shape, &y)) return true;
  vkd__graph_fail(g, VKD_ERR_SHAPE, "hybrid: a prediction %s of noise %s must have twice the channels: eps and v",
                  vkd__shape_text(g, node->in[3]).s, vkd__shape_text(g, node->in[0]).s);
  return false;
}

void hybrid_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)dtype;
  if (!check(g, node)) return;
  int64_t samples = samples_of(g, node);
  shape[0] = VKD_SHAPE(1);
  shape[1] = VKD_SHAPE(samples, 2);
  node->scratch = (uint64_t)(2 * samples * stride_of(inner_of(g, node))) * 4;
}
ROW_FLOPS(hybrid, 0, 40) // about; a divergence takes 30, a mass 60 or so
ROW_IO_BYTES(hybrid)
void hybrid_backward(struct vkd_graph *g, const struct vkd_node *node, const vkd_tensor *dout, vkd_tensor *din) {
  for (int i = 0; i < 3; i++)
    if (vkd__wants_grad(g, node->in[i])) {
      vkd__graph_fail(g, VKD_ERR_UNSUPPORTED, "hybrid has a gradient to the prediction alone");
      return;
    }
  struct vkd_node dy = {
      .op = VKD_OP_hybrid_dy, .nin = 6, .in = {node->in[0], node->in[1], node->in[2], node->in[3], dout[0], dout[1]}};
  din[3] = vkd__graph_add(g, &dy, NULL);
}

static struct hybrid_push push_of(struct vkd_lower *l, const struct vkd_node *node) {
  const struct vkd_graph *g = vkd__lower_graph(l);
  return (struct hybrid_push){.noise = vkd__read(l, node->in[0]),
                              .x0 = vkd__read(l, node->in[1]),
                              .coef = vkd__read(l, node->in[2]),
                              .y = vkd__read(l, node->in[3]),
                              .samples = (uint32_t)samples_of(g, node),
                              .inner = (uint32_t)inner_of(g, node)};
}

void hybrid_lower(struct vkd_lower *l, const struct vkd_node *node) {
  struct hybrid_push push = push_of(l, node);
  struct row_blocks blocks = blocks_of(push.inner);
  push.per = (uint32_t)blocks.per;
  push.stride = (uint32_t)stride_of(push.inner);
  uint64_t sums = 2 * (uint64_t)push.samples, bytes = sums * push.stride * 4;
  push.result = vkd__scratch(l, 0, bytes, true);
  vkd__dispatch_rows(l, VKD_K_hybrid, &push, sizeof push, (uint64_t)push.samples * push.stride,
                     blocks.count > 1 ? blocks.per : push.inner);
  struct sum_push sum = {.a = vkd__scratch(l, 0, bytes, false),
                         .y = vkd__write(l, node->out[1]),
                         .n = (uint32_t)sums * push.stride,
                         .per = push.stride,
                         .k = 1 / (float)push.inner};
  sum.n4 = VEC4_COUNT(sum.n, sum.a);
  vkd__dispatch_rows(l, VKD_K_sum, &sum, sizeof sum, sums, push.stride);
  sum = (struct sum_push){.a = vkd__read(l, node->out[1]),
                          .y = vkd__write(l, node->out[0]),
                          .n = (uint32_t)sums,
                          .per = (uint32_t)(sums + 3) / 4 * 4,
                          .k = 1 / (float)push.samples};
  sum.n4 = VEC4_COUNT(sum.n, sum.a);
  vkd__dispatch_rows(l, VKD_K_sum, &sum, sizeof sum, 1, (int64_t)sums);
}

// The distribution function, (1 + tanh u) / 2 = 1 / (1 + e^-2u), and its derivative.
static const double root_8_pi = 1.5957691216057307; // 2 sqrt(2 / pi)
static double phi(double x) { return 1 / (1 + exp(-root_8_pi * (x + 0.044715 * x * x * x))); }
static double phi_dx(double x) { return phi(x) * phi(-x) * root_8_pi * (1 + 3 * 0.044715 * x * x); }
// vb of an element in bits; where dv is given, its derivative to v.
static double vb_bits(const double *coef, double e, double v, double x0, double *dv) {
  double ratio = coef[VKD_HYBRID_LOG_RATIO], z = coef[VKD_HYBRID_SCALE] * e, bin = coef[VKD_HYBRID_BIN];
  double d = ratio * (v + 1) / 2, s = exp(-d / 2), nats, slope;
  if (bin > 0) {
    double up = (z + bin) * s, low = (z - bin) * s, mass, mass_dd;
    // From above 0 the complement is the smaller: phi(x) - phi(y) = phi(-y) - phi(-x)
    mass = x0 < -0.999 ? phi(up) : x0 > 0.999 ? phi(-low) : z > 0 ? phi(-low) - phi(-up) : phi(up) - phi(low);
    mass_dd = (x0 > 0.999 ? 0 : phi_dx(up) * -up / 2) - (x0 < -0.999 ? 0 : phi_dx(low) * -low / 2);
    nats = -log(fmax(mass, 1e-12));
    slope = mass >= 1e-12 ? -mass_dd / mass : 0;
  } else {
    nats = (d + expm1(-d) + z * z * s * s) / 2;
    slope = -(expm1(-d) + z * z * s * s) / 2;
  }
  if (dv) *dv = slope * ratio / 2 / log(2);
  return nats / log(2);
}
void hybrid_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  int64_t inner = inner_of(g, node), samples = samples_of(g, node);
  out[0][0] = 0;
  for (int64_t b = 0; b < samples; b++) {
    double mse = 0, vb = 0;
    for (int64_t i = b * inner; i < (b + 1) * inner; i++) {
      double e = (in[3] ? in[3][i + b * inner] : 0) - in[0][i], v = in[3] ? in[3][i + (b + 1) * inner] : 0;
      mse += e * e;
      vb += vb_bits(in[2] + b * VKD_HYBRID_COUNT, e, v, in[1][i], NULL);
    }
    out[1][2 * b] = mse / (double)inner;
    out[1][2 * b + 1] = vb / (double)inner;
    out[0][0] += (mse + vb) / (double)inner / (double)samples;
  }
}

void hybrid_dy_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)dtype;
  if (!check(g, node) || (vkd_some(node->in[4]) && !vkd__check_numel(g, node, 4, 1, "d loss"))) return;
  if (!vkd_some(node->in[5]) || vkd__check_numel(g, node, 5, 2 * samples_of(g, node), "d parts"))
    shape[0] = vkd__shape(g, node->in[3]);
}
ROW_FLOPS(hybrid_dy, 0, 40)
ROW_IO_BYTES(hybrid_dy)
ROW_NO_BACKWARD(hybrid_dy)
void hybrid_dy_lower(struct vkd_lower *l, const struct vkd_node *node) {
  struct hybrid_push push = push_of(l, node);
  bool loss = vkd_some(node->in[4]), parts = vkd_some(node->in[5]);
  push.has = (loss ? HYBRID_HAS_DLOSS : 0) | (parts ? HYBRID_HAS_DPARTS : 0);
  push.dloss = loss ? vkd__read(l, node->in[4]) : push.y;
  push.dparts = parts ? vkd__read(l, node->in[5]) : push.y;
  push.result = vkd__write(l, node->out[0]);
  vkd__dispatch_items(l, VKD_K_hybrid_dy, &push, sizeof push, (uint64_t)push.samples * push.inner);
}
void hybrid_dy_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  int64_t inner = inner_of(g, node), samples = samples_of(g, node);
  for (int64_t b = 0; b < samples; b++) {
    double dloss = in[4] ? in[4][0] / (double)samples : 0;
    double dmse = dloss + (in[5] ? in[5][2 * b] : 0), dvb = dloss + (in[5] ? in[5][2 * b + 1] : 0);
    for (int64_t i = b * inner; i < (b + 1) * inner; i++) {
      int64_t eps = i + b * inner;
      double e = in[3][eps] - in[0][i], dv;
      vb_bits(in[2] + b * VKD_HYBRID_COUNT, e, in[3][eps + inner], in[1][i], &dv);
      out[0][eps] = 2 * e / (double)inner * dmse;
      out[0][eps + inner] = dv / (double)inner * dvb;
    }
  }
}
