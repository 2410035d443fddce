// What the forms of attention, attention_dq and attention_dkv share.  Internal to runtime/ops.
#ifndef VKD_OPS_ATTENTION_H
#define VKD_OPS_ATTENTION_H

#include "form.h"
#include "push_attention.h"
#include "support.h"

// hd: elements of a head
struct attention_dims {
  int64_t batch, heads, n, m, hd;
};
struct attention_dims vkd__attention_dims(const struct vkd_graph *g, const struct vkd_node *node);

// Sizes and operands of any of the three ops.  Addresses are noted for one dispatch: the call comes right before it.
struct attention_push vkd__attention_push(struct vkd_lower *l, const struct vkd_node *node);

// Rows that a kernel divides among its workgroups: the keys in attention_dkv, else the queries.
static inline uint64_t vkd__attention_own(const struct vkd_node *node, const struct attention_dims *d) {
  return (uint64_t)(node->op == VKD_OP_attention_dkv ? d->m : d->n);
}

enum { ATTENTION_SMALL_HEAD = 16 };

// attention_tile.c: bytes of shared memory that its kernels take, with `own` rows to a workgroup
uint32_t vkd__attention_tile_bytes(enum vkd_op op, uint32_t hd, uint32_t own, uint32_t block);

// Whether all but lse and delta, which are read float by float, may be read 4 elements at a time.
static inline bool vkd__attention_vec4(const struct attention_push *p) {
  return p->hd % 4 == 0 && (p->q | p->k | p->v | p->o | p->dout | p->dq | p->dk | p->dv) % 16 == 0;
}

// The row of a form's kernels for the op and its dtype.
#define ATTENTION_KERNEL(node, dtype, fwd, dq, dkv)                                                                    \
  ((node)->op == VKD_OP_attention      ? KERNEL_OF(dtype, fwd)                                                         \
   : (node)->op == VKD_OP_attention_dq ? KERNEL_OF(dtype, dq)                                                          \
                                       : KERNEL_OF(dtype, dkv))

// A form of the op without scratch, out of rank() and lower() of its file.
#define ATTENTION_FORM(op, form)                                                                                       \
  enum vkd_form_rank op##_##form##_rank(const struct vkd_device_caps *caps, const struct vkd_graph *g,                 \
                                        const struct vkd_node *node) {                                                 \
    return rank(caps, g, node);                                                                                        \
  }                                                                                                                    \
  uint64_t op##_##form##_scratch(const struct vkd_device_caps *caps, const struct vkd_graph *g,                        \
                                 const struct vkd_node *node) {                                                        \
    (void)caps, (void)g, (void)node;                                                                                   \
    return 0;                                                                                                          \
  }                                                                                                                    \
  void op##_##form##_lower(struct vkd_lower *l, const struct vkd_node *node) { lower(l, node); }

#endif
