#include "support.h"

#include <math.h>
#include <stdio.h>

#include "push_norm.h"
#include "push_elementwise.h"
#include "push_reduce.h"

struct shape_text vkd__shape_text(const struct vkd_graph *g, vkd_tensor x) {
  struct shape_text text = {"["};
  struct vkd_shape s = vkd__shape(g, x);
  size_t at = 1;
  for (int i = 0; i < s.rank; i++)
    at += (size_t)snprintf(text.s + at, sizeof text.s - at, "%s%lld", i ? ", " : "", (long long)s.dim[i]);
  snprintf(text.s + at, sizeof text.s - at, "]");
  return text;
}

bool vkd__check_f32(struct vkd_graph *g, const struct vkd_node *node) {
  for (int i = 0; i < node->nin; i++)
    if (vkd_some(node->in[i]) && vkd_tensor_dtype(g, node->in[i]) != VKD_F32) {
      vkd__graph_fail(g, VKD_ERR_DTYPE, "%s: input %d is not fp32", vkd__ops[node->op].name, i);
      return false;
    }
  return true;
}

bool vkd__check_operands(struct vkd_graph *g, const struct vkd_node *node, int count) {
  enum vkd_dtype dtype = vkd_tensor_dtype(g, node->in[0]);
  if (!vkd_dtype_16bit(dtype)) dtype = VKD_F32;
  for (int i = 0; i < node->nin; i++) {
    enum vkd_dtype want = i < count ? dtype : VKD_F32;
    if (!vkd_some(node->in[i]) || vkd_tensor_dtype(g, node->in[i]) == want) continue;
    vkd__graph_fail(g, VKD_ERR_DTYPE, "%s: input %d is %s, not %s", vkd__ops[node->op].name, i,
                    vkd_dtype_name(vkd_tensor_dtype(g, node->in[i])), vkd_dtype_name(want));
    return false;
  }
  return true;
}

bool vkd__check_same(struct vkd_graph *g, const struct vkd_node *node, int a, int b) {
  struct vkd_shape sa = vkd__shape(g, node->in[a]), sb = vkd__shape(g, node->in[b]);
  if (vkd_shape_equal(&sa, &sb)) return true;
  vkd__graph_fail(g, VKD_ERR_SHAPE, "%s: inputs %d %s and %d %s must have one shape", vkd__ops[node->op].name, a,
                  vkd__shape_text(g, node->in[a]).s, b, vkd__shape_text(g, node->in[b]).s);
  return false;
}

bool vkd__check_numel(struct vkd_graph *g, const struct vkd_node *node, int i, int64_t numel, const char *what) {
  if (vkd__numel(g, node->in[i]) == numel) return true;
  vkd__graph_fail(g, VKD_ERR_SHAPE, "%s: input %d %s must have %lld elements: %s", vkd__ops[node->op].name, i,
                  vkd__shape_text(g, node->in[i]).s, (long long)numel, what);
  return false;
}

uint32_t vkd__vec4(int64_t n, const uint64_t *address, int count) {
  for (int i = 0; i < count; i++)
    if (address[i] % 16) return 0;
  return (uint32_t)(n / 4);
}

void vkd__dispatch_items(struct vkd_lower *l, enum vkd_kernel_id kernel, const void *push, size_t size,
                         uint64_t items) {
  uint32_t lanes = vkd__wg_items(l);
  vkd__dispatch(l, &(struct vkd_dispatch){.kernel = kernel,
                                          .push = push,
                                          .push_size = (uint32_t)size,
                                          .spec = {lanes},
                                          .spec_count = 1,
                                          .groups = {vkd__groups(items, lanes)}});
}

void vkd__dispatch_rows(struct vkd_lower *l, enum vkd_kernel_id kernel, const void *push, size_t size, uint64_t rows,
                        int64_t length) {
  vkd__dispatch(l, &(struct vkd_dispatch){.kernel = kernel,
                                          .push = push,
                                          .push_size = (uint32_t)size,
                                          .spec = {vkd__wg_row(l, length)},
                                          .spec_count = 1,
                                          .groups = {rows}});
}

void vkd__dispatch_copy(struct vkd_lower *l, uint64_t dst, uint64_t src, int64_t n) {
  struct map_push push = {.a = src, .y = dst, .n = (uint32_t)n, .n4 = VEC4_COUNT(n, src, dst)};
  vkd__dispatch_items(l, VKD_K_copy, &push, sizeof push, push.n - 3 * (uint64_t)push.n4);
}

struct row_blocks vkd__row_blocks(int64_t rows) {
  if (rows <= 64) return (struct row_blocks){rows, 1};
  // The root keeps both passes short, and rounding errors with them.
  int64_t per = (int64_t)ceil(sqrt((double)rows));
  if (per < 32) per = 32;
  return (struct row_blocks){per, (rows + per - 1) / per};
}

uint64_t vkd__col_sum_scratch(int64_t groups, int64_t rows, int64_t cols, int results) {
  int64_t blocks = vkd__row_blocks(rows).count;
  return blocks > 1 ? (uint64_t)results * ((uint64_t)(groups * blocks * cols + 3) / 4 * 16) : 0;
}

static void dispatch_col_sum(struct vkd_lower *l, enum vkd_kernel_id kernel, const struct col_sum_push *push,
                             bool rotate) {
  uint32_t lanes = vkd__wg_items(l), tile = 1;
  while (tile * 2 <= lanes && tile < push->cols) tile *= 2;
  vkd__dispatch(l, &(struct vkd_dispatch){
                       .kernel = kernel,
                       .push = push,
                       .push_size = sizeof *push,
                       .spec = {lanes, tile, rotate},
                       .spec_count = 3,
                       .groups = {vkd__groups(push->cols, tile) * (uint64_t)push->blocks * (uint64_t)push->groups}});
}

// The second pass: partial sums [groups, blocks, cols] into y.
static void sum_blocks(struct vkd_lower *l, const struct col_sum *s, uint64_t offset, vkd_tensor result) {
  int64_t blocks = vkd__row_blocks(s->rows).count;
  uint64_t bytes = (uint64_t)(s->groups * blocks * s->cols) * 4;
  uint64_t a = vkd__scratch(l, offset, bytes, false), y = vkd__write(l, result);
  bool four = s->cols % 4 == 0 && VEC4_COUNT(4, a, y) > 0;
  struct col_sum_push push = {.a = a,
                              .y = y,
                              .groups = (uint32_t)s->groups,
                              .rows = (uint32_t)blocks,
                              .cols = (uint32_t)(four ? s->cols / 4 : s->cols),
                              .per = (uint32_t)blocks,
                              .blocks = 1};
  dispatch_col_sum(l, four ? VKD_K_sum_rows_4 : VKD_K_sum_rows, &push, false);
}

void vkd__col_sum(struct vkd_lower *l, const struct col_sum *s) {
  struct row_blocks b = vkd__row_blocks(s->rows);
  bool two = b.count > 1;
  uint64_t part = vkd__col_sum_scratch(s->groups, s->rows, s->cols, 1);
  struct col_sum_push push = {.a = vkd__read(l, s->a),
                              .b = vkd__read(l, s->b),
                              .c = s->stats ? vkd__scratch(l, 0, s->stats, false) : 0,
                              .d = vkd__read(l, s->rope),
                              .y = two ? vkd__scratch(l, s->scratch, part, true) : vkd__write(l, s->y),
                              .groups = (uint32_t)s->groups,
                              .rows = (uint32_t)s->rows,
                              .per = (uint32_t)b.per,
                              .blocks = (uint32_t)b.count,
                              .modulus = (uint32_t)s->positions,
                              .head = (uint32_t)s->head};
  if (vkd_some(s->y2)) push.y2 = two ? vkd__scratch(l, s->scratch + part, part, true) : vkd__write(l, s->y2);
  bool four = s->cols % 4 == 0 && s->head % 4 == 0 && VEC4_COUNT(4, push.a, push.b, push.d, push.y, push.y2) > 0;
  push.cols = (uint32_t)(four ? s->cols / 4 : s->cols);
  dispatch_col_sum(l, four ? s->vec4 : s->scalar, &push, push.d != 0);
  if (!two) return;
  sum_blocks(l, s, s->scratch, s->y);
  if (vkd_some(s->y2)) sum_blocks(l, s, s->scratch + part, s->y2);
}

vkd_tensor vkd__like(struct vkd_graph *g, vkd_tensor x, vkd_tensor like) {
  struct vkd_shape a = vkd__shape(g, x), b = vkd__shape(g, like);
  return vkd_shape_equal(&a, &b) ? x : vkd_reshape(g, x, b);
}

void vkd__row_stats(struct vkd_lower *l, enum vkd_kernel_id scalar, enum vkd_kernel_id vec4, vkd_tensor x, float eps,
                    uint64_t bytes) {
  const struct vkd_graph *g = vkd__lower_graph(l);
  int64_t d = vkd__last(g, x), rows = vkd__rows(g, x);
  struct layernorm_push push = {
      .x = vkd__read(l, x), .y = vkd__scratch(l, 0, bytes, true), .rows = (uint32_t)rows, .d = (uint32_t)d, .eps = eps};
  bool four = d % 4 == 0 && VEC4_COUNT(4, push.x) > 0;
  push.cols = (uint32_t)(four ? d / 4 : d);
  vkd__dispatch_rows(l, four ? vec4 : scalar, &push, sizeof push, (uint64_t)rows, push.cols);
}
