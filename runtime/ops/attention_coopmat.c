// attention_cm_fwd.comp, _dq, _dkv: 16-bit operands by cooperative matrices, strips of `m` own rows to a workgroup.
#include "attention.h"

static enum vkd_kernel_id kernel_of(const struct vkd_node *node, enum vkd_dtype dtype) {
#define ROWS_OF(type)                                                                                                  \
  (node->op == VKD_OP_attention      ? VKD_K_attention_cm_fwd_##type                                                   \
   : node->op == VKD_OP_attention_dq ? VKD_K_attention_cm_dq_##type                                                    \
                                     : VKD_K_attention_cm_dkv_##type)
  return dtype == VKD_F16 ? ROWS_OF(f16) : ROWS_OF(bf16);
}

// What a kernel is specialised to; strips 0: it does not fit.
struct cut {
  uint32_t strips, block, width; // rows of the other side at a time; head size filled up
  uint32_t parts, score_parts;   // subgroups to each result of a strip; parts that its scores are made in
};

static uint32_t larger(uint32_t a, uint32_t b) { return a > b ? a : b; }

// Least common multiple of what a product is wide and deep
static uint32_t unit_of(const struct vkd_coopmat *s) {
  uint32_t x = s->n;
  while (x % s->k) x += s->n;
  return x;
}

static uint32_t results_of(enum vkd_op op) { return op == VKD_OP_attention_dkv ? 2 : 1; }

static uint32_t bytes_of(enum vkd_op op, const struct vkd_coopmat *s, uint32_t lanes, const struct cut *c) {
  uint32_t own = c->strips * s->m, chunks = c->block / 8, per_row = larger(lanes / own, 1);
  uint32_t pitch = c->width / 8 | 1, w_pitch = chunks | 1, s_pitch = c->block / 4 | 1, r_pitch = s->n / 4 | 1;
  uint32_t owned = own * pitch, taken = c->block * pitch, scores = own * s_pitch, weights = own * w_pitch;
  uint32_t end = results_of(op) * own * (c->width / 4 | 1), loop;
  if (op == VKD_OP_attention) {
    loop = owned + larger(taken, weights + own * r_pitch) + taken + scores;
    end += own * (per_row < chunks ? per_row : chunks);
  } else if (op == VKD_OP_attention_dq) {
    loop = 2 * owned + taken + larger(taken, weights) + 2 * scores + own / 2;
  } else {
    loop = 2 * owned + 2 * taken + 2 * scores + 2 * weights + c->block / 2;
  }
  return 16 * larger(loop, end);
}

// The fewest equal parts of `count`, at least `least` of them where there are as many, of at most `most` each
static uint32_t parts_of(uint32_t count, uint32_t least, uint32_t most) {
  uint32_t parts = least > count ? count : larger(least, 1);
  while (count % parts || (parts < count && count / parts > most)) parts++;
  return parts;
}

static struct cut choose(const struct vkd_device_caps *caps, const struct vkd_coopmat *s, const struct vkd_node *node,
                         const struct attention_dims *d) {
  enum { BLOCK = 32, SHARED = 48 << 10 }; // least rows at a time; most bytes that leave room for two workgroups
  enum { SUBGROUPS = 4, SUMS = 64 };      // fewest to a workgroup, to hide waiting; most sums to a lane
  uint32_t unit = unit_of(s), limit = caps->max_shared_bytes < SHARED ? caps->max_shared_bytes : SHARED;
  struct cut c = {.block = (BLOCK + unit - 1) / unit * unit, .width = ((uint32_t)d->hd + unit - 1) / unit * unit};
  bool software = caps->kind == VKD_DEVICE_SOFTWARE; // each matrix named takes such a driver long to compile
  uint32_t most = software ? 1 : SUMS * caps->subgroup_size / (s->m * s->n), results = results_of(node->op);
  for (c.strips = 4; c.strips; c.strips /= 2) {
    bool idle = c.strips > 1 && vkd__attention_own(node, d) <= c.strips / 2 * s->m;
    c.parts = parts_of(c.width / s->n, software ? 1 : SUBGROUPS / c.strips / results, most);
    c.score_parts = parts_of(c.block / s->n, c.parts, most);
    uint32_t lanes = c.strips * results * c.parts * caps->subgroup_size;
    if (!idle && lanes <= vkd__max_lanes(caps) && bytes_of(node->op, s, lanes, &c) <= limit) break;
  }
  return c;
}

static enum vkd_form_rank rank(const struct vkd_device_caps *caps, const struct vkd_graph *g,
                               const struct vkd_node *node) {
  enum vkd_dtype dtype = vkd_tensor_dtype(g, node->in[0]);
  struct attention_dims d = vkd__attention_dims(g, node);
  if (!vkd_dtype_16bit(dtype) || !caps->coopmat || !vkd_kernel_blobs[kernel_of(node, dtype)].code)
    return VKD_FORM_NEVER;
  const struct vkd_coopmat *shape = vkd__coopmat_for(caps, dtype);
  if (!shape || !choose(caps, shape, node, &d).strips) return VKD_FORM_NEVER;
  if (caps->kind == VKD_DEVICE_SOFTWARE) return VKD_FORM_SLOW;
  return d.hd <= ATTENTION_SMALL_HEAD ? VKD_FORM_FITS : VKD_FORM_BEST;
}

static void lower(struct vkd_lower *l, const struct vkd_node *node) {
  const struct vkd_device_caps *caps = vkd__lower_caps(l);
  enum vkd_dtype dtype = vkd_tensor_dtype(vkd__lower_graph(l), node->in[0]);
  const struct vkd_coopmat *s = vkd__coopmat_for(caps, dtype);
  struct attention_dims d = vkd__attention_dims(vkd__lower_graph(l), node);
  struct attention_push push = vkd__attention_push(l, node);
  struct cut c = choose(caps, s, node, &d);
  bool vec4 = vkd__attention_vec4(&push), vec8 = vec4 && push.hd % 8 == 0;
  uint32_t loads = caps->kind == VKD_DEVICE_SOFTWARE ? 1 : 4;
  uint64_t blocks = vkd__groups(vkd__attention_own(node, &d), c.strips * s->m);
  vkd__dispatch(l, &(struct vkd_dispatch){
                       .kernel = kernel_of(node, dtype),
                       .push = &push,
                       .push_size = sizeof push,
                       .spec = {c.strips * results_of(node->op) * c.parts * caps->subgroup_size, push.hd, c.block, vec4,
                                vec8, s->m, s->n, s->k, c.strips, c.width, c.parts, c.score_parts, loads},
                       .spec_count = 13,
                       .groups = {(uint64_t)push.batch * push.heads * blocks},
                   });
}

ATTENTION_FORM(attention, coopmat)
ATTENTION_FORM(attention_dq, coopmat)
ATTENTION_FORM(attention_dkv, coopmat)
