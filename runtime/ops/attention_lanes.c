// attention_fwd.comp, _dq, _dkv: a lane per row, kept in registers; runs everywhere.  On a CPU a workgroup is one
// subgroup.
#include "attention.h"

static bool has_tile(const struct vkd_device_caps *caps, const struct vkd_graph *g, const struct vkd_node *node) {
  const struct vkd_form *tile = &vkd__forms[node->op == VKD_OP_attention      ? VKD_F_attention_tile
                                            : node->op == VKD_OP_attention_dq ? VKD_F_attention_dq_tile
                                                                              : VKD_F_attention_dkv_tile];
  return tile->rank(caps, g, node) != VKD_FORM_NEVER;
}

// A GPU's lanes have registers for the rows of small heads, of which tiles would leave most lanes idle.  Of larger ones
// compilers spill them to memory.
static enum vkd_form_rank rank(const struct vkd_device_caps *caps, const struct vkd_graph *g,
                               const struct vkd_node *node) {
  if (caps->cpu_lanes || vkd__attention_dims(g, node).hd <= ATTENTION_SMALL_HEAD) return VKD_FORM_BEST;
  if (caps->kind == VKD_DEVICE_SOFTWARE) return VKD_FORM_FITS;
  return has_tile(caps, g, node) ? VKD_FORM_NEVER : VKD_FORM_SLOW;
}

static void lower(struct vkd_lower *l, const struct vkd_node *node) {
  enum vkd_dtype dtype = vkd_tensor_dtype(vkd__lower_graph(l), node->in[0]);
  struct attention_dims d = vkd__attention_dims(vkd__lower_graph(l), node);
  struct attention_push push = vkd__attention_push(l, node);
  const struct vkd_device_caps *caps = vkd__lower_caps(l);
  bool uniform = caps->cpu_lanes, software = caps->kind == VKD_DEVICE_SOFTWARE;
  // other CPU drivers, where a lane's load costs as much as that of all lanes
  uint32_t share = software && !uniform && caps->subgroup_size <= 16 ? caps->subgroup_size : 0;
  // Few rows at a time where there are many registers of each; one is as fast there, and compiles twice as fast.
  uint32_t lanes = uniform ? 8 : share ? share : 64, block = software && push.hd > 64 ? 1 : 2;
  if (node->op == VKD_OP_attention && push.hd <= 64) block = 4;
  uint64_t blocks = vkd__groups(vkd__attention_own(node, &d), lanes);
  vkd__dispatch(l, &(struct vkd_dispatch){
                       .kernel = ATTENTION_KERNEL(node, dtype, attention_fwd, attention_dq, attention_dkv),
                       .push = &push,
                       .push_size = sizeof push,
                       .spec = {lanes, push.hd, block, vkd__attention_vec4(&push), uniform, share},
                       .spec_count = 6,
                       .groups = {(uint64_t)push.batch * push.heads * blocks},
                   });
}

ATTENTION_FORM(attention, lanes)
ATTENTION_FORM(attention_dq, lanes)
ATTENTION_FORM(attention_dkv, lanes)
