#include "support.h"

#include <math.h>
#include <stdio.h>

#include "push_elementwise.h"
#include "push_norm.h"
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

void vkd__dispatch_map(struct vkd_lower *l, enum vkd_kernel_id kernel, enum vkd_kernel_id eight, const void *push,
                       size_t size, uint32_t n, uint32_t n4, uint32_t span) {
  if (!vkd__lower_caps(l)->cpu_lanes) {
    vkd__dispatch_items(l, kernel, push, size, n - 3 * (uint64_t)n4);
    return;
  }
  vkd__dispatch(l, &(struct vkd_dispatch){.kernel = eight,
                                          .push = push,
                                          .push_size = (uint32_t)size,
                                          .spec = {8, span},
                                          .spec_count = 2,
                                          .groups = {vkd__groups(n, 8 * (uint64_t)span)}});
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

int vkd__width(const struct vkd_lower *l, int64_t d, const uint64_t *address, int count) {
  const struct vkd_device_caps *caps = vkd__lower_caps(l);
  if (caps->cpu_lanes && d % 8 == 0) return 8;
  // Other CPU drivers compile vec4 of rows for up to 14 s (docs/performance.md).
  return caps->kind != VKD_DEVICE_SOFTWARE && d % 4 == 0 && vkd__vec4(4, address, count) > 0 ? 4 : 1;
}

enum vkd_kernel_id vkd__width_kernel(struct widths widths, int width) {
  return width == 8 ? widths.eight : width == 4 ? widths.four : widths.one;
}

void vkd__dispatch_held_rows(struct vkd_lower *l, struct widths widths, int width, const void *push, size_t size,
                             uint64_t rows, int64_t cols, uint32_t extra) {
  // Items in the registers of a lane: on a CPU all lanes take all items, and what they hold is unrolled for the
  // compiler.
  uint32_t lanes = vkd__wg_row(l, cols), step = width == 8 ? 1 : lanes, most = width == 8 ? 32 : 8;
  uint32_t rounds = (uint32_t)vkd__groups((uint64_t)cols, (uint64_t)step * most);
  uint32_t hold = (uint32_t)vkd__groups((uint64_t)cols, (uint64_t)step * rounds);
  bool exact = (int64_t)hold * rounds * step == cols;
  vkd__dispatch(l, &(struct vkd_dispatch){.kernel = vkd__width_kernel(widths, width),
                                          .push = push,
                                          .push_size = (uint32_t)size,
                                          .spec = {lanes, hold, rounds, exact, extra, vkd__round_to(l)},
                                          .spec_count = 6,
                                          .groups = {rows}});
}

void vkd__dispatch_columns(struct vkd_lower *l, struct widths widths, int width, const void *push, size_t size,
                           uint64_t blocks, int64_t cols, uint32_t kept, bool param, uint32_t extra) {
  const struct vkd_device_caps *caps = vkd__lower_caps(l);
  uint32_t lanes = vkd__wg_row(l, 1);
  // At most 64 subgroups (wg_sums), and 512 lanes: of 64 Ki registers, what many GPUs give a workgroup, each may have
  // 128.
  while (caps->kind != VKD_DEVICE_SOFTWARE && lanes < cols && lanes < 512 && lanes < 32 * caps->subgroup_size &&
         lanes * 2 <= vkd__max_lanes(caps))
    lanes *= 2;
  enum { REGISTERS = 65536, OTHERS = 32 }; // addresses, statistics
  bool held = width != 8 && cols <= lanes && lanes * (kept * (uint32_t)width + OTHERS) <= REGISTERS;
  vkd__dispatch(l, &(struct vkd_dispatch){.kernel = vkd__width_kernel(widths, width),
                                          .push = push,
                                          .push_size = (uint32_t)size,
                                          .spec = {lanes, held, param, extra, vkd__round_to(l)},
                                          .spec_count = 5,
                                          .groups = {blocks}});
}

void vkd__dispatch_copy(struct vkd_lower *l, uint64_t dst, uint64_t src, int64_t n) {
  struct map_push push = {.a = src, .y = dst, .n = (uint32_t)n, .n4 = VEC4_COUNT(n, src, dst)};
  vkd__dispatch_map(l, VKD_K_copy, VKD_K_copy_8, &push, sizeof push, push.n, push.n4, MAP_SPAN);
}

struct row_blocks vkd__row_blocks(int64_t rows) {
  if (rows <= 64) return (struct row_blocks){rows, 1};
  // The root keeps both passes short, and rounding errors with them.
  int64_t per = (int64_t)ceil(sqrt((double)rows));
  if (per < 32) per = 32;
  return (struct row_blocks){per, (rows + per - 1) / per};
}

uint64_t vkd__col_sum_scratch(int64_t groups, int64_t rows, int64_t cols) {
  int64_t blocks = vkd__row_blocks(rows).count;
  return blocks > 1 ? (uint64_t)(groups * blocks * cols + 15) / 16 * 64 : 0;
}

// Sums over blocks of `per` rows
static void dispatch_col_sum(struct vkd_lower *l, const struct col_sum *s, struct row_blocks blocks, uint64_t y) {
  int width = WIDTH(l, s->cols, s->a, s->b, y);
  int64_t cols = s->cols / width;
  uint32_t lanes = width == 8 ? 8 : vkd__wg_items(l), most = width == 8 ? 4 : lanes, tile = 1;
  while (tile * 2 <= most && tile < cols) tile *= 2;
  if (width == 8 && tile > cols) tile = 1;
  struct col_sum_push push = {.a = s->a,
                              .b = s->b,
                              .y = y,
                              .groups = (uint32_t)s->groups,
                              .rows = (uint32_t)s->rows,
                              .cols = (uint32_t)cols,
                              .per = (uint32_t)blocks.per,
                              .blocks = (uint32_t)blocks.count};
  uint64_t groups = vkd__groups((uint64_t)cols, tile) * (uint64_t)(blocks.count * s->groups);
  vkd__dispatch(
      l, &(struct vkd_dispatch){.kernel = vkd__width_kernel(s->b ? WIDTHS(sum_rows_product) : WIDTHS(sum_rows), width),
                                .push = &push,
                                .push_size = sizeof push,
                                .spec = {lanes, tile},
                                .spec_count = 2,
                                .groups = {groups}});
}

void vkd__col_sum(struct vkd_lower *l, const struct col_sum *s) {
  struct row_blocks blocks = vkd__row_blocks(s->rows);
  if (blocks.count == 1) {
    dispatch_col_sum(l, s, blocks, vkd__write(l, s->y));
    return;
  }
  uint64_t bytes = (uint64_t)(s->groups * blocks.count * s->cols) * 4;
  dispatch_col_sum(l, s, blocks, vkd__scratch(l, s->scratch, bytes, true));
  struct col_sum second = *s;
  second.a = vkd__scratch(l, s->scratch, bytes, false);
  second.b = 0;
  second.rows = blocks.count;
  dispatch_col_sum(l, &second, (struct row_blocks){blocks.count, 1}, vkd__write(l, s->y));
}

int64_t vkd__back_blocks(int64_t rows) { return (rows + NORM_BACK_ROWS - 1) / NORM_BACK_ROWS; }
uint64_t vkd__back_bytes(int64_t groups, int64_t rows, int64_t d) {
  return (uint64_t)(groups * vkd__back_blocks(rows) * d + 15) / 16 * 64;
}

vkd_tensor vkd__like(struct vkd_graph *g, vkd_tensor x, vkd_tensor like) {
  struct vkd_shape a = vkd__shape(g, x), b = vkd__shape(g, like);
  return vkd_shape_equal(&a, &b) ? x : vkd_reshape(g, x, b);
}
