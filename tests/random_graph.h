// Seeded random graphs of real ops, for property tests of planning, recording, differentiation and programs.
#ifndef VKD_TEST_RANDOM_GRAPH_H
#define VKD_TEST_RANDOM_GRAPH_H

#include "graph_internal.h"
#include "vkd/device.h"
#include "vkd/ops.h"

#include <stdlib.h>
#include <string.h>

enum { RG_POOL = 64, RG_LEAVES = 160, RG_STATES = 4 };

struct random_graph {
  struct vkd_graph *g;
  uint64_t draws;
  int64_t max_rows;
  vkd_tensor pool[RG_POOL]; // what ops take: fp32 [rows, cols]
  int pool_count;
  vkd_tensor leaves[RG_LEAVES]; // the inputs
  int leaf_count;
  vkd_tensor states[RG_STATES]; // bound tensors of `buffer`, one behind another; none without a buffer
  int state_count;
};

static bool rg_half = true; // some products take 16-bit operands
static bool rg_regions;     // some steps of differentiable graphs are in regions to recompute; the graph is the same

static inline uint64_t rg_bits(struct random_graph *r) { // splitmix64
  uint64_t z = r->draws += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}
static inline int64_t rg_below(struct random_graph *r, int64_t n) { return (int64_t)(rg_bits(r) % (uint64_t)n); }
static inline double rg_uniform(struct random_graph *r) { return (double)(rg_bits(r) >> 11) * 0x1p-52 - 1; } // [-1, 1)

static inline int64_t rg_rows(const struct random_graph *r, vkd_tensor x) { return vkd_tensor_shape(r->g, x).dim[0]; }
static inline int64_t rg_cols(const struct random_graph *r, vkd_tensor x) { return vkd_tensor_shape(r->g, x).dim[1]; }

static inline vkd_tensor rg_flat(struct random_graph *r, vkd_tensor x) { // as [rows, cols]
  struct vkd_shape s = vkd_tensor_shape(r->g, x);
  if (!x.id || s.rank == 2) return x;
  int64_t cols = s.dim[s.rank - 1];
  return vkd_reshape(r->g, x, VKD_SHAPE(vkd_shape_numel(&s) / cols, cols));
}

static inline void rg_keep(struct random_graph *r, vkd_tensor x) {
  if (x.id) r->pool[r->pool_count < RG_POOL ? r->pool_count++ : rg_below(r, RG_POOL)] = rg_flat(r, x);
}

// A new leaf.
static inline vkd_tensor rg_leaf(struct random_graph *r, int64_t rows, int64_t cols) {
  if (r->leaf_count < RG_LEAVES)
    return r->leaves[r->leaf_count++] = vkd_input(r->g, "x", VKD_F32, VKD_SHAPE(rows, cols));
  vkd__graph_fail(r->g, VKD_ERR_INTERNAL, "a random graph of more than %d leaves", RG_LEAVES);
  return (vkd_tensor){0};
}

// One of the pool, of this shape where there is one after some tries; else a leaf.
static inline vkd_tensor rg_pick(struct random_graph *r, int64_t rows, int64_t cols) {
  for (int i = 0; i < 24; i++) {
    vkd_tensor x = r->pool[rg_below(r, r->pool_count)];
    if ((!rows || rg_rows(r, x) == rows) && (!cols || rg_cols(r, x) == cols)) return x;
  }
  return rg_leaf(r, rows ? rows : 1 + rg_below(r, r->max_rows), cols ? cols : 4);
}
static inline vkd_tensor rg_vector(struct random_graph *r, int64_t n) {
  return vkd_reshape(r->g, rg_leaf(r, 1, n), VKD_SHAPE(n));
}

static inline vkd_tensor rg_matmul(struct random_graph *r, vkd_tensor x) {
  int64_t rows = rg_rows(r, x), cols = rg_cols(r, x), n = (int64_t[]){1, 3, 4, 8, 16}[rg_below(r, 5)];
  vkd_tensor none = {0};
  bool ta = rows <= 24 && rg_below(r, 4) == 0, tb = rg_below(r, 2);
  int64_t k = ta ? rows : cols, m = ta ? cols : rows;
  vkd_tensor w = tb ? rg_pick(r, n, k) : rg_pick(r, k, n);
  vkd_tensor bias = rg_below(r, 3) ? none : rg_vector(r, n), add = rg_below(r, 3) ? none : rg_pick(r, m, n);
  bool half = rg_half && rg_below(r, 3) == 0;
  enum vkd_dtype dtype = half && rg_below(r, 2) ? VKD_F16 : VKD_BF16;
  if (half) {
    x = vkd_cast(r->g, x, dtype);
    w = vkd_cast(r->g, w, dtype);
    if (rg_below(r, 2)) rg_keep(r, vkd_cast(r->g, vkd_slice(r->g, x, 0, 1 + rg_below(r, rows)), VKD_F32));
  }
  vkd_tensor y = vkd_matmul(r->g, x, w, ta, tb, bias, add);
  if (half && rg_below(r, 2)) {
    vkd_tensor end = rg_below(r, 2) ? vkd_gelu(r->g, y) : y;
    rg_keep(r, vkd_cast(r->g, vkd_cast(r->g, end, dtype), VKD_F32));
  }
  return y;
}

static inline vkd_tensor rg_concat(struct random_graph *r, vkd_tensor x) {
  vkd_tensor parts[4] = {x};
  int n = 1 + (int)rg_below(r, 4);
  int64_t cols = rg_cols(r, x), rows = rg_rows(r, x);
  for (int i = 1; i < n; i++) {
    parts[i] = rg_below(r, 5) == 0 ? x : rg_pick(r, 0, cols);
    if ((rows += rg_rows(r, parts[i])) > 4 * r->max_rows) return x;
  }
  for (int i = n - 1; i > 0; i--) {
    int k = (int)rg_below(r, i + 1);
    vkd_tensor t = parts[i];
    parts[i] = parts[k];
    parts[k] = t;
  }
  return vkd_concat(r->g, parts, n);
}

// A slice of its own, or two that leave a gap between and around them; views of views come from the pool.
static inline vkd_tensor rg_slice(struct random_graph *r, vkd_tensor x) {
  int64_t rows = rg_rows(r, x), begin = rg_below(r, rows), count = 1 + rg_below(r, rows - begin);
  vkd_tensor y = vkd_slice(r->g, x, begin, count);
  int64_t left = rows - begin - count;
  if (left > 0) {
    int64_t skip = rg_below(r, left);
    rg_keep(r, vkd_slice(r->g, x, begin + count + skip, 1 + rg_below(r, left - skip)));
  }
  return y;
}

static inline vkd_tensor rg_row_op(struct random_graph *r, vkd_tensor x) {
  int64_t rows = rg_rows(r, x), d = rg_cols(r, x), half = rows % 2 ? 1 : 2;
  vkd_tensor none = {0}, x3 = vkd_reshape(r->g, x, VKD_SHAPE(half, rows / half, d));
  switch (rg_below(r, 6)) {
  case 0:
    return vkd_layernorm(r->g, x, rg_vector(r, d), rg_vector(r, d), 1e-2f, true);
  case 1:
    return vkd_layernorm(r->g, x3, rg_pick(r, half, d), rg_pick(r, half, d), 1e-2f, false);
  case 2:
    return vkd_row_scale(r->g, x3, rg_pick(r, half, d));
  case 3:
    return vkd_gate_add(r->g, x3, vkd_reshape(r->g, rg_pick(r, rows, d), vkd_tensor_shape(r->g, x3)),
                        rg_pick(r, half, d));
  case 4:
    return vkd_rmsnorm_rope(r->g, x3, rg_vector(r, d), none, 1, 1e-2f);
  default:
    break;
  }
  if (d % 4 || rows > 64) return x;
  int64_t m = 1 + rg_below(r, 9);
  vkd_tensor k = vkd_reshape(r->g, rg_pick(r, half * m, d), VKD_SHAPE(half, m, d));
  vkd_tensor v = vkd_reshape(r->g, rg_pick(r, half * m, d), VKD_SHAPE(half, m, d));
  return vkd_attention(r->g, x3, k, v, 2, 0.7f);
}

// What has no gradient: sums, combinations, and writes into bound tensors.
static inline vkd_tensor rg_other(struct random_graph *r, vkd_tensor x) {
  int64_t rows = rg_rows(r, x), d = rg_cols(r, x);
  if (r->state_count && rg_below(r, 2)) {
    vkd_tensor s = r->states[rg_below(r, r->state_count)];
    vkd_tensor fits = rg_pick(r, rg_rows(r, s), rg_cols(r, s));
    switch (rg_below(r, 5)) {
    case 0:
      vkd_zero(r->g, s);
      break;
    case 1:
      vkd_assign(r->g, s, fits);
      break;
    case 2:
      vkd_accumulate(r->g, s, fits);
      break;
    case 3:
      return vkd_add(r->g, s, fits);
    default:
      vkd_place(r->g, rg_below(r, 2) ? fits : vkd_gelu(r->g, fits), s);
      break;
    }
    return x;
  }
  switch (rg_below(r, 3)) {
  case 0:
    return vkd_sum_rows(r->g, x, rg_below(r, 2) ? rg_pick(r, rows, d) : (vkd_tensor){0}, 1);
  case 1:
    return vkd_sum_squares(r->g, x);
  default:
    return vkd_lincomb(r->g, rg_vector(r, 2), (vkd_tensor[]){x, rg_pick(r, rows, d)}, 2);
  }
}

static inline void rg_step(struct random_graph *r, bool differentiable) {
  vkd_tensor x = rg_pick(r, 0, 0);
  int64_t rows = rg_rows(r, x), cols = rg_cols(r, x);
  switch (rg_below(r, differentiable ? 10 : 12)) {
  case 0:
    rg_keep(r, vkd_add(r->g, x, rg_below(r, 6) ? rg_pick(r, rows, cols) : x));
    break;
  case 1:
    rg_keep(r, rg_below(r, 2) ? vkd_gelu(r->g, x) : vkd_silu(r->g, x));
    break;
  case 2:
  case 3:
  case 4:
    rg_keep(r, rg_matmul(r, x));
    break;
  case 5:
    rg_keep(r, rg_concat(r, x));
    break;
  case 6:
    rg_keep(r, rg_slice(r, x));
    break;
  case 7:
    if (cols % 2 == 0 && rows * 2 <= 4 * r->max_rows)
      x = vkd_reshape(r->g, x, VKD_SHAPE(rows * 2, cols / 2));
    else if (rows % 2 == 0 && cols <= 16)
      x = vkd_reshape(r->g, x, VKD_SHAPE(rows / 2, cols * 2));
    rg_keep(r, x);
    break;
  case 8:
  case 9:
    rg_keep(r, rg_row_op(r, x));
    break;
  default:
    rg_keep(r, rg_other(r, x));
    break;
  }
}

// `steps` ops over a few leaves.  Whether nodes are needed is left to the caller: nothing is an output yet.  buffer may
// be NULL.
static inline enum vkd_status rg_build(struct random_graph *r, uint64_t seed, int steps, int64_t max_rows,
                                       bool differentiable, struct vkd_buffer *buffer, struct vkd_error *err) {
  *r = (struct random_graph){.draws = seed * 0x2545f4914f6cdd1du, .max_rows = max_rows};
  enum vkd_status st = vkd_graph_create(&r->g, err);
  if (st != VKD_OK) return st;
  uint64_t at = 0;
  for (int i = 0; i < RG_STATES && buffer; i++) {
    int64_t rows = 1 + rg_below(r, max_rows), cols = (int64_t[]){3, 4, 8, 16}[i];
    if (at + (uint64_t)(rows * cols) * 4 > vkd_buffer_bytes(buffer)) break;
    r->states[r->state_count++] = vkd_bound(r->g, "state", VKD_F32, VKD_SHAPE(rows, cols), buffer, at);
    at = (at + (uint64_t)(rows * cols) * 4 + 63) / 64 * 64;
  }
  for (int i = 0; i < 5; i++) rg_keep(r, rg_leaf(r, 1 + rg_below(r, max_rows), (int64_t[]){3, 4, 8, 8, 16}[i]));
  for (int i = 0; i < r->state_count; i++) rg_keep(r, r->states[i]);
  struct random_graph marks = {.draws = ~seed};
  bool open = false;
  for (int i = 0; i < steps; i++) {
    if (open && rg_below(&marks, 4) == 0) vkd_graph_recompute_end(r->g), open = false;
    if (rg_regions && differentiable && !open && rg_below(&marks, 3)) vkd_graph_recompute_begin(r->g), open = true;
    rg_step(r, differentiable);
  }
  if (open) vkd_graph_recompute_end(r->g);
  return vkd_graph_status(r->g, err);
}

static inline vkd_tensor rg_mse(struct random_graph *r, vkd_tensor x) { // to random numbers
  int64_t n = vkd__numel(r->g, x);
  float *target = malloc((size_t)n * sizeof *target);
  for (int64_t i = 0; i < n; i++) target[i] = (float)rg_uniform(r);
  vkd_tensor loss = vkd_mse(r->g, x, vkd_constant(r->g, "target", VKD_F32, vkd_tensor_shape(r->g, x), target));
  free(target);
  return loss;
}

// A loss of the last of the pool and `more` others.
static inline vkd_tensor rg_loss(struct random_graph *r, int more) {
  vkd_tensor loss = rg_mse(r, r->pool[r->pool_count - 1]);
  for (int i = 0; i < more; i++) loss = vkd_add(r->g, loss, rg_mse(r, r->pool[rg_below(r, r->pool_count)]));
  return loss;
}

// Gradients with respect to the leaves that the loss depends on.  Loss, gradients and `other`, which may be empty, are
// outputs.  Returns how many gradients.
static inline int rg_gradients(struct random_graph *r, vkd_tensor loss, vkd_tensor other, vkd_tensor *wrt,
                               vkd_tensor *grads) {
  int n = 0;
  uint8_t *needed = calloc(r->g->node_count, 1);
  vkd_output(r->g, loss);
  if (r->g->error.status == VKD_OK) vkd__graph_needed(r->g, needed);
  for (int i = 0; i < r->leaf_count; i++)
    if (needed[vkd__info(r->g, r->leaves[i])->node]) wrt[n++] = r->leaves[i];
  free(needed);
  if (other.id) vkd_output(r->g, other);
  vkd_grad(r->g, loss, wrt, n, grads);
  for (int i = 0; i < n && r->g->error.status == VKD_OK; i++) vkd_output(r->g, grads[i]);
  return n;
}

// Such graphs have no gradient.
static inline bool rg_overlaps(const struct random_graph *r) { return strstr(r->g->error.what, "overlap") != NULL; }

#endif
