// How an op becomes dispatches.  Internal to runtime/.
//
//   struct gelu_push push = {.x = vkd__read(l, node->in[0]), .y = vkd__write(l, node->out[0]), .n = n};
//   vkd__dispatch(l, &(struct vkd_dispatch){.kernel = VKD_K_gelu, .push = &push, .push_size = sizeof push, .groups =
//   {..}});
//
// vkd__read/vkd__write/vkd__scratch give device addresses and note what the next dispatch touches; barriers derive from
// that.
#ifndef VKD_LOWER_H
#define VKD_LOWER_H

#include "fuse.h"
#include "vkd/device.h"
#include "vkd_kernels.h"

enum { VKD_MAX_SPEC = 16 };

struct vkd_dispatch {
  enum vkd_kernel_id kernel;
  const void *push;
  uint32_t push_size;
  uint32_t spec[VKD_MAX_SPEC]; // specialisation constants 0..spec_count-1
  uint32_t spec_count;
  uint64_t groups[3]; // 0 counts as 1
};

const struct vkd_graph *vkd__lower_graph(const struct vkd_lower *l);
const struct vkd_device_caps *vkd__lower_caps(const struct vkd_lower *l);

uint64_t vkd__read(struct vkd_lower *l, vkd_tensor x);  // 0 for the empty tensor
uint64_t vkd__write(struct vkd_lower *l, vkd_tensor x); // 0 for one that is not stored (struct vkd_fused)
// Address of `x` at `offset` bytes; `bytes` of it are written.
uint64_t vkd__write_part(struct vkd_lower *l, vkd_tensor x, uint64_t offset, uint64_t bytes);
// Address of node scratch at `offset` bytes; `bytes` of it are touched.
uint64_t vkd__scratch(struct vkd_lower *l, uint64_t offset, uint64_t bytes, bool write);

// Whether `part` already lies at `byte_offset` of `whole`'s storage (a concat whose input was computed in place).
bool vkd__placed_in(const struct vkd_lower *l, vkd_tensor part, vkd_tensor whole, uint64_t byte_offset);

// A dispatch over more workgroups in x than the device takes is folded into x and y: shaders index with
// flat_group() of shaders/lib/common.glsl.  Dispatches that use groups[1] or [2] themselves keep below the limits.
// What the device cannot run, for want of lanes, push constants, workgroups or features, is refused here, before memory
// is taken.
void vkd__dispatch(struct vkd_lower *l, const struct vkd_dispatch *d);

// What the form chosen for the node does.
void vkd__lower_form(struct vkd_lower *l, const struct vkd_node *node);

// What the node's kernel has to compute beside it.
struct vkd_fused vkd__lower_fused(const struct vkd_lower *l);
// Of it the cast: where the rounded result goes (0: there is no cast), and to what (ROUND_F16 ... of ref.h).
uint64_t vkd__write_rounded(struct vkd_lower *l);
uint32_t vkd__round_to(const struct vkd_lower *l);

// groups for n items, `per` of them to a workgroup
static inline uint64_t vkd__groups(uint64_t n, uint64_t per) { return (n + per - 1) / per; }

// coopmat.c: the largest shape of 16-bit operands with fp32 sums that matmul_cm.comp can use; NULL: none
const struct vkd_coopmat *vkd__coopmat_for(const struct vkd_device_caps *caps, enum vkd_dtype dtype);
// Bytes of shared memory that matmul_cm.comp takes, with blocks of rows x cols matrices.
uint32_t vkd__coopmat_shared(const struct vkd_coopmat *shape, uint32_t rows, uint32_t cols);

// kernel.c: why the device cannot run a kernel row; NULL if it can.
const char *vkd__kernel_unusable(const struct vkd_device_caps *caps, enum vkd_kernel_id id);

// The most lanes of a workgroup; kernels have them in x alone.
static inline uint32_t vkd__max_lanes(const struct vkd_device_caps *caps) {
  return caps->max_workgroup_size[0] < caps->max_workgroup_invocations ? caps->max_workgroup_size[0]
                                                                       : caps->max_workgroup_invocations;
}

// Lanes of a workgroup for kernels with one lane per item, and for kernels with one workgroup per row.
uint32_t vkd__wg_items(const struct vkd_lower *l);
uint32_t vkd__wg_row(const struct vkd_lower *l, int64_t row_length);

#endif
