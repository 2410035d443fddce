// attention_tile_fwd.comp, _dq, _dkv: blocks of queries and keys in shared memory.
#include "attention.h"

// Rows that a workgroup owns, half as many as it has lanes, and rows of the other side that it takes at a time.
struct tile {
  uint32_t own, block;
};

uint32_t vkd__attention_tile_bytes(enum vkd_op op, uint32_t hd, uint32_t own, uint32_t block) {
  uint32_t pitch = (hd + 3) / 4 | 1, w_pitch = own / 4 | 1;
  uint32_t owned = own * pitch, taken = block * pitch, weights = block * w_pitch;
  uint32_t shared = taken > weights ? taken : weights; // weights lie where a block was
  uint32_t vec4s = op == VKD_OP_attention      ? owned + shared + taken + 8 * w_pitch
                   : op == VKD_OP_attention_dq ? 2 * owned + taken + shared
                                               : 2 * owned + 2 * taken + 2 * weights;
  return 16 * vec4s;
}

// The first tile that fits; own 0: none does.  Much is owned first, as it is what the other side is read for, and lanes
// are what hides waiting; but rows are not left idle, nor multiprocessors.
static struct tile choose(const struct vkd_device_caps *caps, const struct vkd_node *node,
                          const struct attention_dims *d) {
  static const struct tile tiles[] = {{64, 32}, {64, 16}, {32, 32}, {64, 8}, {32, 16},
                                      {32, 8},  {16, 16}, {16, 8},  {8, 8}};
  enum { GROUPS = 128, SHARED = 48 << 10 }; // fewest workgroups that much is owned for; most that leaves room for two
  uint32_t limit = caps->max_shared_bytes < SHARED ? caps->max_shared_bytes : SHARED;
  uint64_t rows = vkd__attention_own(node, d);
  uint64_t heads = (uint64_t)d->batch * (uint64_t)d->heads;
  for (size_t i = 0; i < sizeof tiles / sizeof tiles[0]; i++) {
    struct tile t = tiles[i];
    bool idle = t.own > 8 && rows <= t.own / 2, few = t.own > 32 && heads * vkd__groups(rows, t.own) < GROUPS;
    if (2 * t.own <= vkd__max_lanes(caps) && !idle && !few &&
        vkd__attention_tile_bytes(node->op, (uint32_t)d->hd, t.own, t.block) <= limit)
      return t;
  }
  return (struct tile){0, 0};
}

static enum vkd_form_rank rank(const struct vkd_device_caps *caps, const struct vkd_graph *g,
                               const struct vkd_node *node) {
  struct attention_dims d = vkd__attention_dims(g, node);
  if (!choose(caps, node, &d).own) return VKD_FORM_NEVER;
  if (caps->kind == VKD_DEVICE_SOFTWARE) return VKD_FORM_SLOW;
  return d.hd <= ATTENTION_SMALL_HEAD ? VKD_FORM_FITS : VKD_FORM_BEST;
}

static void lower(struct vkd_lower *l, const struct vkd_node *node) {
  enum vkd_dtype dtype = vkd_tensor_dtype(vkd__lower_graph(l), node->in[0]);
  struct attention_dims d = vkd__attention_dims(vkd__lower_graph(l), node);
  struct attention_push push = vkd__attention_push(l, node);
  const struct vkd_device_caps *caps = vkd__lower_caps(l);
  struct tile t = choose(caps, node, &d);
  uint32_t loads = caps->kind == VKD_DEVICE_SOFTWARE ? 2 : 8; // more take long to compile there
  uint64_t blocks = vkd__groups(vkd__attention_own(node, &d), t.own);
  vkd__dispatch(l,
                &(struct vkd_dispatch){
                    .kernel = ATTENTION_KERNEL(node, dtype, attention_tile_fwd, attention_tile_dq, attention_tile_dkv),
                    .push = &push,
                    .push_size = sizeof push,
                    .spec = {2 * t.own, push.hd, t.block, vkd__attention_vec4(&push), loads},
                    .spec_count = 5,
                    .groups = {(uint64_t)push.batch * push.heads * blocks},
                });
}

ATTENTION_FORM(attention, tile)
ATTENTION_FORM(attention_dq, tile)
ATTENTION_FORM(attention_dkv, tile)
