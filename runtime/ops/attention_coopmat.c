// attention_cm_fwd.comp: 16-bit operands by cooperative matrices, a strip of `m` queries to a subgroup.
#include "attention.h"

static enum vkd_kernel_id kernel_of(enum vkd_dtype dtype) {
  return dtype == VKD_F16 ? VKD_K_attention_cm_fwd_f16 : VKD_K_attention_cm_fwd_bf16;
}

// What the kernel is specialised to; strips 0: it does not fit.
struct cut {
  uint32_t strips, block, width; // keys at a time; head size filled up
};

static uint32_t larger(uint32_t a, uint32_t b) { return a > b ? a : b; }

// Least common multiple of what a product is wide and deep
static uint32_t unit_of(const struct vkd_coopmat *s) {
  uint32_t x = s->n;
  while (x % s->k) x += s->n;
  return x;
}

static uint32_t bytes_of(const struct vkd_coopmat *s, uint32_t lanes, const struct cut *c) {
  uint32_t own = c->strips * s->m, chunks = c->block / 8, per_row = larger(lanes / own, 1);
  uint32_t pitch = c->width / 8 | 1, p_pitch = chunks | 1, s_pitch = c->block / 4 | 1, r_pitch = s->n / 4 | 1;
  uint32_t keys = c->block * pitch, softened = own * (p_pitch + r_pitch);
  uint32_t loop = own * pitch + larger(keys, softened) + keys + own * s_pitch;
  uint32_t end = own * (c->width / 4 | 1) + own * (per_row < chunks ? per_row : chunks);
  return 16 * larger(loop, end);
}

static struct cut choose(const struct vkd_device_caps *caps, const struct vkd_coopmat *s,
                         const struct attention_dims *d) {
  enum { BLOCK = 32, SHARED = 48 << 10 }; // least keys at a time; most bytes that leave room for two workgroups
  uint32_t unit = unit_of(s), limit = caps->max_shared_bytes < SHARED ? caps->max_shared_bytes : SHARED;
  struct cut c = {.block = (BLOCK + unit - 1) / unit * unit, .width = ((uint32_t)d->hd + unit - 1) / unit * unit};
  for (c.strips = 4; c.strips; c.strips /= 2) {
    bool idle = c.strips > 1 && d->n <= (int64_t)c.strips / 2 * s->m;
    if (!idle && bytes_of(s, c.strips * caps->subgroup_size, &c) <= limit) break;
  }
  return c;
}

static enum vkd_form_rank rank(const struct vkd_device_caps *caps, const struct vkd_graph *g,
                               const struct vkd_node *node) {
  enum vkd_dtype dtype = vkd_tensor_dtype(g, node->in[0]);
  struct attention_dims d = vkd__attention_dims(g, node);
  if (!vkd_dtype_16bit(dtype) || !caps->coopmat || !vkd_kernel_blobs[kernel_of(dtype)].code) return VKD_FORM_NEVER;
  const struct vkd_coopmat *shape = vkd__coopmat_for(caps, dtype);
  if (!shape || !choose(caps, shape, &d).strips) return VKD_FORM_NEVER;
  if (caps->kind == VKD_DEVICE_SOFTWARE) return VKD_FORM_SLOW;
  return d.hd <= ATTENTION_SMALL_HEAD ? VKD_FORM_FITS : VKD_FORM_BEST;
}

static void lower(struct vkd_lower *l, const struct vkd_node *node) {
  const struct vkd_device_caps *caps = vkd__lower_caps(l);
  enum vkd_dtype dtype = vkd_tensor_dtype(vkd__lower_graph(l), node->in[0]);
  const struct vkd_coopmat *s = vkd__coopmat_for(caps, dtype);
  struct attention_dims d = vkd__attention_dims(vkd__lower_graph(l), node);
  struct attention_push push = vkd__attention_push(l, node);
  struct cut c = choose(caps, s, &d);
  bool vec4 = vkd__attention_vec4(&push), vec8 = vec4 && push.hd % 8 == 0;
  vkd__dispatch(l, &(struct vkd_dispatch){
                       .kernel = kernel_of(dtype),
                       .push = &push,
                       .push_size = sizeof push,
                       .spec = {c.strips * caps->subgroup_size, push.hd, c.block, vec4, vec8, s->m, s->n, s->k,
                                c.strips, c.width},
                       .spec_count = 10,
                       .groups = {(uint64_t)push.batch * push.heads * vkd__groups(push.n, c.strips * s->m)},
                   });
}

ATTENTION_FORM(attention, coopmat)
