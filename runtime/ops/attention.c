// softmax(scale q kᵀ) v per head, in the memory-linear form, and its backward.
// q, o, dout, dq [B, n, d]; k, v, dk, dv [B, m, d]; lse, delta [B, heads, n]; p.attention: heads, scale.
// q, k and v are fp32 or of one 16-bit dtype, all else is fp32.
//   attention        q, k, v                       -> o, lse = log sum exp(scale q kᵀ)
//   attention_delta  dout, o                       -> delta = sum of dout * o over the head
//   attention_dq     q, k, v, lse, dout, delta     -> dq
//   attention_dkv    q, k, v, lse, dout, delta     -> dk, dv
//
// FLOPs are those that run: with x = 2 B n m d, forward 2x, dq 3x and dkv 4x (both compute the scores and dout vᵀ
// again). Model FLOPs, as counted by C_token, take the backward of attention as twice its forward: 4x of these 7x.
#include "attention.h"

#include <math.h>
#include <stdio.h>

enum { MAX_HEAD = 128 };

// q and k are inputs of all but delta, which has no m.
struct attention_dims vkd__attention_dims(const struct vkd_graph *g, const struct vkd_node *node) {
  struct vkd_shape q = vkd__shape(g, node->in[0]), k = vkd__shape(g, node->in[1]);
  int heads = node->p.attention.heads;
  return (struct attention_dims){q.dim[0], heads, q.dim[1], k.dim[1], q.dim[2] / heads};
}

static struct vkd_shape lse_shape(const struct attention_dims *d) { return VKD_SHAPE(d->batch, d->heads, d->n); }

static double pair_flops(const struct vkd_graph *g, const struct vkd_node *node) {
  struct attention_dims d = vkd__attention_dims(g, node);
  return 2.0 * (double)d.batch * (double)d.heads * (double)d.n * (double)d.m * (double)d.hd;
}

static bool check_qkv(struct vkd_graph *g, const struct vkd_node *node) {
  if (!vkd__check_operands(g, node, 3)) return false;
  struct vkd_shape q = vkd__shape(g, node->in[0]), k = vkd__shape(g, node->in[1]), v = vkd__shape(g, node->in[2]);
  int heads = node->p.attention.heads;
  if (q.rank != 3 || k.rank != 3 || q.dim[0] != k.dim[0] || q.dim[2] != k.dim[2] || !vkd_shape_equal(&k, &v)) {
    vkd__graph_fail(g, VKD_ERR_SHAPE, "attention of q %s, k %s, v %s: [B, n, d] and twice [B, m, d] wanted",
                    vkd__shape_text(g, node->in[0]).s, vkd__shape_text(g, node->in[1]).s,
                    vkd__shape_text(g, node->in[2]).s);
    return false;
  }
  int64_t hd = heads > 0 && q.dim[2] % heads == 0 ? q.dim[2] / heads : 0;
  if (hd < 2 || hd % 2 != 0 || hd > MAX_HEAD) {
    vkd__graph_fail(g, VKD_ERR_SHAPE, "attention: width %lld over %d heads: even heads of 2 to %d wanted",
                    (long long)q.dim[2], heads, MAX_HEAD);
    return false;
  }
  if (vkd_shape_numel(&q) > UINT32_MAX || vkd_shape_numel(&k) > UINT32_MAX) {
    vkd__graph_fail(g, VKD_ERR_SHAPE, "attention of q %s, k %s: kernels index with 32 bits",
                    vkd__shape_text(g, node->in[0]).s, vkd__shape_text(g, node->in[1]).s);
    return false;
  }
  return true;
}

static struct attention_push push_of(const struct vkd_node *node, const struct attention_dims *d) {
  return (struct attention_push){.batch = (uint32_t)d->batch,
                                 .heads = (uint32_t)d->heads,
                                 .n = (uint32_t)d->n,
                                 .m = (uint32_t)d->m,
                                 .hd = (uint32_t)d->hd,
                                 .scale = node->p.attention.scale};
}

struct attention_push vkd__attention_push(struct vkd_lower *l, const struct vkd_node *node) {
  struct attention_dims d = vkd__attention_dims(vkd__lower_graph(l), node);
  struct attention_push push = push_of(node, &d);
  push.q = vkd__read(l, node->in[0]);
  push.k = vkd__read(l, node->in[1]);
  push.v = vkd__read(l, node->in[2]);
  if (node->op == VKD_OP_attention) {
    push.o = vkd__write(l, node->out[0]);
    push.lse = vkd__write(l, node->out[1]);
    return push;
  }
  push.lse = vkd__read(l, node->in[3]);
  push.dout = vkd__read(l, node->in[4]);
  push.delta = vkd__read(l, node->in[5]);
  if (node->op == VKD_OP_attention_dq) {
    push.dq = vkd__write(l, node->out[0]);
  } else {
    push.dk = vkd__write(l, node->out[0]);
    push.dv = vkd__write(l, node->out[1]);
  }
  return push;
}

// ---- attention -----------------------------------------------------------------------------------------------------
vkd_tensor vkd_attention(struct vkd_graph *g, vkd_tensor q, vkd_tensor k, vkd_tensor v, int heads, float scale) {
  struct vkd_node node = {.op = VKD_OP_attention, .nin = 3, .in = {q, k, v}, .p.attention = {heads, scale}};
  return vkd__graph_add(g, &node, NULL);
}

void attention_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  dtype[0] = dtype[1] = VKD_F32;
  if (!check_qkv(g, node)) return;
  struct attention_dims d = vkd__attention_dims(g, node);
  shape[0] = vkd__shape(g, node->in[0]);
  shape[1] = lse_shape(&d);
}

double attention_flops(const struct vkd_graph *g, const struct vkd_node *node) { return 2 * pair_flops(g, node); }
ROW_IO_BYTES(attention)

void attention_backward(struct vkd_graph *g, const struct vkd_node *node, const vkd_tensor *dout, vkd_tensor *din) {
  vkd_tensor lse = node->out[1], dy = dout[0];
  enum vkd_dtype operands = vkd_tensor_dtype(g, node->in[0]);
  if (!vkd_some(dy)) return;
  // Gradients of scores sum to 0 over the keys only where delta and the products that it is taken from see one dy.
  if (vkd_dtype_16bit(operands)) dy = vkd_cast(g, vkd_cast(g, dy, operands), VKD_F32);
  struct vkd_node delta = {
      .op = VKD_OP_attention_delta, .nin = 2, .in = {dy, node->out[0]}, .p.attention = node->p.attention};
  struct vkd_node grad = {.nin = 6,
                          .in = {node->in[0], node->in[1], node->in[2], lse, dy, vkd__graph_add(g, &delta, NULL)},
                          .p.attention = node->p.attention};
  if (vkd__wants_grad(g, node->in[0])) {
    grad.op = VKD_OP_attention_dq;
    din[0] = vkd__graph_add(g, &grad, NULL);
  }
  if (vkd__wants_grad(g, node->in[1]) || vkd__wants_grad(g, node->in[2])) {
    grad.op = VKD_OP_attention_dkv;
    din[1] = vkd__graph_add(g, &grad, &din[2]);
  }
}

void attention_lower(struct vkd_lower *l, const struct vkd_node *node) { vkd__lower_form(l, node); }

// Of all three ops: dtype, heads in all, queries, keys, head size.
void attention_bucket(const struct vkd_graph *g, const struct vkd_node *node, char *text, size_t size) {
  struct attention_dims d = vkd__attention_dims(g, node);
  snprintf(text, size, "%s/b%d/n%d/m%d/k%d", vkd_dtype_name(vkd_tensor_dtype(g, node->in[0])),
           vkd__log2(d.batch * d.heads), vkd__log2(d.n), vkd__log2(d.m), (int)d.hd);
}

void attention_halve(const struct vkd_graph *g, const struct vkd_node *node, struct vkd_shape in[VKD_MAX_IN]) {
  struct attention_dims d = vkd__attention_dims(g, node);
  int64_t *longest = d.n >= d.m ? &d.n : &d.m;
  if (d.batch > *longest) longest = &d.batch;
  *longest = (*longest + 1) / 2;
  in[0] = in[4] = VKD_SHAPE(d.batch, d.n, d.heads * d.hd);
  in[1] = in[2] = VKD_SHAPE(d.batch, d.m, d.heads * d.hd);
  in[3] = in[5] = lse_shape(&d);
}

// Offset of the row of (b, token, head) in [B, tokens, heads, hd]
static int64_t row(const struct attention_dims *d, int64_t b, int64_t token, int64_t tokens, int64_t head) {
  return ((b * tokens + token) * d->heads + head) * d->hd;
}

static double dot(const double *a, const double *b, int64_t n) {
  double x = 0;
  for (int64_t i = 0; i < n; i++) x += a[i] * b[i];
  return x;
}

void attention_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  struct attention_dims d = vkd__attention_dims(g, node);
  double scale = node->p.attention.scale;
  for (int64_t b = 0; b < d.batch; b++)
    for (int64_t h = 0; h < d.heads; h++)
      for (int64_t i = 0; i < d.n; i++) {
        const double *q = in[0] + row(&d, b, i, d.n, h);
        double *o = out[0] + row(&d, b, i, d.n, h), top = -INFINITY, total = 0;
        for (int64_t x = 0; x < d.hd; x++) o[x] = 0;
        for (int64_t j = 0; j < d.m; j++) top = fmax(top, scale * dot(q, in[1] + row(&d, b, j, d.m, h), d.hd));
        for (int64_t j = 0; j < d.m; j++) {
          double p = exp(scale * dot(q, in[1] + row(&d, b, j, d.m, h), d.hd) - top);
          const double *v = in[2] + row(&d, b, j, d.m, h);
          total += p;
          for (int64_t x = 0; x < d.hd; x++) o[x] += p * v[x];
        }
        for (int64_t x = 0; x < d.hd; x++) o[x] /= total;
        out[1][(b * d.heads + h) * d.n + i] = top + log(total);
      }
}

// ---- attention_delta -----------------------------------------------------------------------------------------------
void attention_delta_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  dtype[0] = VKD_F32;
  if (!vkd__check_f32(g, node) || !vkd__check_same(g, node, 0, 1)) return;
  struct attention_dims d = vkd__attention_dims(g, node);
  shape[0] = lse_shape(&d);
}
ROW_FLOPS(attention_delta, 0, 2)
ROW_IO_BYTES(attention_delta)
ROW_NO_BACKWARD(attention_delta)

void attention_delta_lower(struct vkd_lower *l, const struct vkd_node *node) {
  struct attention_dims d = vkd__attention_dims(vkd__lower_graph(l), node);
  struct attention_push push = push_of(node, &d);
  push.dout = vkd__read(l, node->in[0]);
  push.o = vkd__read(l, node->in[1]);
  push.delta = vkd__write(l, node->out[0]);
  bool eight = WIDTH(l, d.hd, push.dout, push.o) == 8;
  uint32_t lanes = eight ? 8 : vkd__wg_items(l);
  vkd__dispatch(l, &(struct vkd_dispatch){
                       .kernel = eight ? VKD_K_attention_delta_8 : VKD_K_attention_delta,
                       .push = &push,
                       .push_size = sizeof push,
                       .spec = {lanes},
                       .spec_count = 1,
                       .groups = {vkd__groups((uint64_t)(d.batch * d.n * d.heads), lanes)},
                   });
}

void attention_delta_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in,
                         double *const *out) {
  struct attention_dims d = vkd__attention_dims(g, node);
  for (int64_t b = 0; b < d.batch; b++)
    for (int64_t h = 0; h < d.heads; h++)
      for (int64_t i = 0; i < d.n; i++) {
        int64_t at = row(&d, b, i, d.n, h);
        out[0][(b * d.heads + h) * d.n + i] = dot(in[0] + at, in[1] + at, d.hd);
      }
}

// ---- attention_dq, attention_dkv -----------------------------------------------------------------------------------
static void grad_shape(struct vkd_graph *g, struct vkd_node *node, int like, struct vkd_shape *shape,
                       enum vkd_dtype *dtype) {
  dtype[0] = VKD_F32;
  if (!check_qkv(g, node) || !vkd__check_same(g, node, 0, 4) || !vkd__check_same(g, node, 3, 5)) return;
  shape[0] = vkd__shape(g, node->in[like]);
}

// The probability of a pair, and the gradient of its unscaled score.
struct pair {
  double p, ds;
};
static struct pair pair_of(const struct attention_dims *d, double scale, double *const *in, int64_t b, int64_t h,
                           int64_t i, int64_t j) {
  int64_t q = row(d, b, i, d->n, h), k = row(d, b, j, d->m, h), l = (b * d->heads + h) * d->n + i;
  double p = exp(scale * dot(in[0] + q, in[1] + k, d->hd) - in[3][l]);
  return (struct pair){p, scale * p * (dot(in[4] + q, in[2] + k, d->hd) - in[5][l])};
}

void attention_dq_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  grad_shape(g, node, 0, shape, dtype);
}
double attention_dq_flops(const struct vkd_graph *g, const struct vkd_node *node) { return 3 * pair_flops(g, node); }
ROW_IO_BYTES(attention_dq)
ROW_NO_BACKWARD(attention_dq)

void attention_dq_bucket(const struct vkd_graph *g, const struct vkd_node *node, char *text, size_t size) {
  attention_bucket(g, node, text, size);
}
void attention_dq_halve(const struct vkd_graph *g, const struct vkd_node *node, struct vkd_shape in[VKD_MAX_IN]) {
  attention_halve(g, node, in);
}
void attention_dq_lower(struct vkd_lower *l, const struct vkd_node *node) { vkd__lower_form(l, node); }

void attention_dq_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  struct attention_dims d = vkd__attention_dims(g, node);
  for (int64_t b = 0; b < d.batch; b++)
    for (int64_t h = 0; h < d.heads; h++)
      for (int64_t i = 0; i < d.n; i++) {
        double *dq = out[0] + row(&d, b, i, d.n, h);
        for (int64_t x = 0; x < d.hd; x++) dq[x] = 0;
        for (int64_t j = 0; j < d.m; j++) {
          const double *k = in[1] + row(&d, b, j, d.m, h);
          double ds = pair_of(&d, node->p.attention.scale, in, b, h, i, j).ds;
          for (int64_t x = 0; x < d.hd; x++) dq[x] += ds * k[x];
        }
      }
}

void attention_dkv_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  grad_shape(g, node, 1, shape, dtype);
  shape[1] = shape[0];
  dtype[1] = VKD_F32;
}
double attention_dkv_flops(const struct vkd_graph *g, const struct vkd_node *node) { return 4 * pair_flops(g, node); }
ROW_IO_BYTES(attention_dkv)
ROW_NO_BACKWARD(attention_dkv)

void attention_dkv_bucket(const struct vkd_graph *g, const struct vkd_node *node, char *text, size_t size) {
  attention_bucket(g, node, text, size);
}
void attention_dkv_halve(const struct vkd_graph *g, const struct vkd_node *node, struct vkd_shape in[VKD_MAX_IN]) {
  attention_halve(g, node, in);
}
void attention_dkv_lower(struct vkd_lower *l, const struct vkd_node *node) { vkd__lower_form(l, node); }

void attention_dkv_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  struct attention_dims d = vkd__attention_dims(g, node);
  for (int64_t b = 0; b < d.batch; b++)
    for (int64_t h = 0; h < d.heads; h++)
      for (int64_t j = 0; j < d.m; j++) {
        int64_t at = row(&d, b, j, d.m, h);
        for (int64_t x = 0; x < d.hd; x++) out[0][at + x] = out[1][at + x] = 0;
        for (int64_t i = 0; i < d.n; i++) {
          int64_t from = row(&d, b, i, d.n, h);
          struct pair w = pair_of(&d, node->p.attention.scale, in, b, h, i, j);
          for (int64_t x = 0; x < d.hd; x++) {
            out[0][at + x] += w.ds * in[0][from + x];
            out[1][at + x] += w.p * in[4][from + x];
          }
        }
      }
}
