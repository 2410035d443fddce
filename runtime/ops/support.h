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
enum { MAP_SPAN = 8 };
// The same where there is a kernel for a CPU (NAME_8), whose workgroups take `span` vectors of eight floats and what is
// left over: n floats, 4 n4 of them in vec4.
void vkd__dispatch_map(struct vkd_lower *l, enum vkd_kernel_id kernel, enum vkd_kernel_id eight, const void *push,
                       size_t size, uint32_t n, uint32_t n4, uint32_t span);
// One workgroup per row; `length` items of a row are shared by its lanes.
void vkd__dispatch_rows(struct vkd_lower *l, enum vkd_kernel_id kernel, const void *push, size_t size, uint64_t rows,
                        int64_t length);

// Kernels by the floats of an item (shaders/lib/real.glsl).
struct widths {
  enum vkd_kernel_id one, four, eight;
};
#define WIDTHS(name) ((struct widths){VKD_K_##name, VKD_K_##name##_4, VKD_K_##name##_8})
// Floats of an item for rows of d floats at the addresses (0: none): 8 on a CPU, else 4, where d is a multiple and, for
// 4, addresses are multiples of 16; else 1.
int vkd__width(const struct vkd_lower *l, int64_t d, const uint64_t *address, int count);
#define WIDTH(l, d, ...)                                                                                               \
  vkd__width(l, d, (const uint64_t[]){__VA_ARGS__}, (int)(sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t)))
enum vkd_kernel_id vkd__width_kernel(struct widths widths, int width);
// A dispatch of one workgroup per row of a kernel that holds it (shaders/lib/row.glsl), of `cols` items; `extra` is
// specialisation constant 4, vkd__round_to() 5.
void vkd__dispatch_held_rows(struct vkd_lower *l, struct widths widths, int width, const void *push, size_t size,
                             uint64_t rows, int64_t cols, uint32_t extra);
// A dispatch of `blocks` workgroups whose lanes are columns, of which there are `cols`; specialisation constant 1 tells
// whether every lane has one at most and keeps it, `kept` values of an item's width, in registers; 2 and 3 are `param`
// and `extra`, 4 vkd__round_to().
void vkd__dispatch_columns(struct vkd_lower *l, struct widths widths, int width, const void *push, size_t size,
                           uint64_t blocks, int64_t cols, uint32_t kept, bool param, uint32_t extra);
// dst[0..n) = src[0..n)
void vkd__dispatch_copy(struct vkd_lower *l, uint64_t dst, uint64_t src, int64_t n);

// How `rows` rows are summed in two passes: blocks of `per` rows first, then over the blocks; count 1: one pass.
// A function of the row count alone, since scratch is planned before a device is known.
struct row_blocks {
  int64_t per, count;
};
struct row_blocks vkd__row_blocks(int64_t rows);

// Column sums of a, or of a b, [groups, rows, cols], into y [groups, cols], in one pass or two (struct row_blocks).
struct col_sum {
  uint64_t a, b;    // addresses that the next dispatch is known to read; b 0: none
  uint64_t scratch; // where in the node's scratch partial sums go
  vkd_tensor y;
  int64_t groups, rows, cols;
};
uint64_t vkd__col_sum_scratch(int64_t groups, int64_t rows, int64_t cols);
void vkd__col_sum(struct vkd_lower *l, const struct col_sum *s);

// A norm's backward: the blocks of rows that workgroups take, of `rows` rows; bytes of their sums [groups, blocks, d].
int64_t vkd__back_blocks(int64_t rows);
uint64_t vkd__back_bytes(int64_t groups, int64_t rows, int64_t d);

// For a backward pass: x, or where it is a cast of a bound tensor (a weight) a new one, so that 16-bit copies of all
// weights need not be kept until then.
vkd_tensor vkd__cast_again(struct vkd_graph *g, vkd_tensor x);

// The row of a kernel that takes operands of `dtype`.
#define KERNEL_OF(dtype, name)                                                                                         \
  ((dtype) == VKD_F16 ? VKD_K_##name##_f16 : (dtype) == VKD_BF16 ? VKD_K_##name##_bf16 : VKD_K_##name)

// The row of a kernel that also rounds its result to 16 bits, where it has to.
#define ROUNDED(l, name) (vkd__round_to(l) ? VKD_K_##name##_half : VKD_K_##name)
#define ROUNDED_WIDTHS(l, name)                                                                                        \
  (vkd__round_to(l) ? (struct widths){VKD_K_##name##_half, VKD_K_##name##_half_4, VKD_K_##name##_half_8} : WIDTHS(name))

// x in the shape of `like`
vkd_tensor vkd__like(struct vkd_graph *g, vkd_tensor x, vkd_tensor like);

#endif
