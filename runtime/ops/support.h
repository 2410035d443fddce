// Shared by the op families: shape checks, pieces of rows, internal builders of backward ops.  Internal to runtime/ops.
#ifndef VKD_OPS_SUPPORT_H
#define VKD_OPS_SUPPORT_H

#include "lower.h"

// Rows that need nothing of their own.
#define ROW_NO_BACKWARD(op)                                                                                            \
  void op##_backward(struct vkd_graph *g, const struct vkd_node *node, const vkd_tensor *dout, vkd_tensor *din) {      \
    (void)g, (void)node, (void)dout, (void)din;                                                                        \
  }
#define ROW_NO_FLOPS(op)                                                                                               \
  double op##_flops(const struct vkd_graph *g, const struct vkd_node *node) { return vkd__no_flops(g, node); }
#define ROW_IO_BYTES(op)                                                                                               \
  double op##_bytes(const struct vkd_graph *g, const struct vkd_node *node) { return vkd__io_bytes(g, node); }
// Arithmetic operations per element of in[which]; exp, log, sqrt and a division count as one each.
#define ROW_FLOPS(op, which, per)                                                                                      \
  double op##_flops(const struct vkd_graph *g, const struct vkd_node *node) {                                          \
    return (double)(per) * (double)vkd__numel(g, node->in[which]);                                                     \
  }

struct shape_text {
  char s[120];
};
struct shape_text vkd__shape_text(const struct vkd_graph *g, vkd_tensor x); // "[2, 16, 64]"

// Each returns false after it failed the graph.
bool vkd__check_f32(struct vkd_graph *g, const struct vkd_node *node); // every input is fp32
// inputs 0 .. count-1 are fp32 or all of one 16-bit dtype, the others fp32
bool vkd__check_operands(struct vkd_graph *g, const struct vkd_node *node, int count);
bool vkd__check_same(struct vkd_graph *g, const struct vkd_node *node, int a, int b); // inputs a and b have one shape
bool vkd__check_numel(struct vkd_graph *g, const struct vkd_node *node, int i, int64_t numel, const char *what);

// A number of vec4 that n floats may be handled as: n / 4 where all addresses (0: none) are multiples of 16, else 0.
uint32_t vkd__vec4(int64_t n, const uint64_t *address, int count);
#define VEC4_COUNT(n, ...)                                                                                             \
  vkd__vec4(n, (const uint64_t[]){__VA_ARGS__}, (int)(sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t)))

// One lane per vec4 and per float left over.
void vkd__dispatch_items(struct vkd_lower *l, enum vkd_kernel_id kernel, const void *push, size_t size, uint64_t items);
// One workgroup per row; `length` items of a row are shared by its lanes.
void vkd__dispatch_rows(struct vkd_lower *l, enum vkd_kernel_id kernel, const void *push, size_t size, uint64_t rows,
                        int64_t length);
// dst[0..n) = src[0..n)
void vkd__dispatch_copy(struct vkd_lower *l, uint64_t dst, uint64_t src, int64_t n);

// Statistics of every row of x, `bytes` of them, at the start of the node's scratch; the kernels come as a scalar and a
// vec4 form.
void vkd__row_stats(struct vkd_lower *l, enum vkd_kernel_id scalar, enum vkd_kernel_id vec4, vkd_tensor x, float eps,
                    uint64_t bytes);

// How `rows` rows are summed in two passes: blocks of `per` rows first, then over the blocks; count 1: one pass.
// A function of the row count alone, since scratch is planned before a device is known.
struct row_blocks {
  int64_t per, count;
};
struct row_blocks vkd__row_blocks(int64_t rows);

// Column sums of [groups, rows, cols] into y [groups, cols], in one pass or two (struct row_blocks).  Kernels come in
// pairs (one float per lane, one vec4 per lane); push_reduce.h tells what they make of the operands.
struct col_sum {
  enum vkd_kernel_id scalar, vec4;
  vkd_tensor a, b, rope; // b, rope may be empty
  uint64_t stats;        // bytes of row statistics at the start of the node's scratch; 0: none
  uint64_t scratch;      // where in it the partial sums go
  vkd_tensor y, y2;      // y2 may be empty
  int64_t groups, rows, cols;
  int64_t positions, head; // of rope
};
uint64_t vkd__col_sum_scratch(int64_t groups, int64_t rows, int64_t cols, int results);
void vkd__col_sum(struct vkd_lower *l, const struct col_sum *s);

// For a backward pass: x, or where it is a cast of a bound tensor (a weight) a new one, so that 16-bit copies of all
// weights need not be kept until then.
vkd_tensor vkd__cast_again(struct vkd_graph *g, vkd_tensor x);

// The row of a kernel that takes operands of `dtype`.
#define KERNEL_OF(dtype, name)                                                                                         \
  ((dtype) == VKD_F16 ? VKD_K_##name##_f16 : (dtype) == VKD_BF16 ? VKD_K_##name##_bf16 : VKD_K_##name)

// x in the shape of `like`
vkd_tensor vkd__like(struct vkd_graph *g, vkd_tensor x, vkd_tensor like);

#endif
