// The float64 interpreter: every op's reference, in node order, on the host.
#include "graph_internal.h"

#include <stdlib.h>

#include "vkd/device.h"
#include "vkd/half.h"

// Where a bound buffer's doubles begin: tensors bound to one buffer share them, as they share its bytes.  A double for
// every `unit` bytes, the size of the smallest element bound there.
struct buffer_slot {
  const struct vkd_buffer *buffer;
  size_t at;
  uint64_t unit;
};

static size_t place_buffers(const struct vkd_graph *g, struct buffer_slot *slots, uint32_t *slot_count, size_t at) {
  *slot_count = 0;
  for (uint32_t t = 1; t < g->tensor_count; t++) {
    if (g->tensors[t].kind != VKD_TENSOR_BOUND) continue;
    uint64_t unit = vkd_dtype_bytes(g->tensors[t].dtype);
    uint32_t s = 0;
    while (s < *slot_count && slots[s].buffer != g->tensors[t].buffer) s++;
    if (s == *slot_count) slots[(*slot_count)++] = (struct buffer_slot){.buffer = g->tensors[t].buffer, .unit = unit};
    if (unit < slots[s].unit) slots[s].unit = unit;
  }
  for (uint32_t s = 0; s < *slot_count; s++) {
    slots[s].at = at;
    at += (size_t)(vkd_buffer_bytes(slots[s].buffer) / slots[s].unit);
  }
  return at;
}

static void fill_constant(const struct vkd_tensor_info *t, double *dst) {
  int64_t n = vkd_shape_numel(&t->shape);
  if (vkd_dtype_16bit(t->dtype))
    for (int64_t i = 0; i < n; i++) dst[i] = vkd_half_value(t->dtype, ((const uint16_t *)t->data)[i]);
  else if (t->dtype == VKD_F32)
    for (int64_t i = 0; i < n; i++) dst[i] = ((const float *)t->data)[i];
  else
    for (int64_t i = 0; i < n; i++) dst[i] = ((const int32_t *)t->data)[i];
}

enum vkd_status vkd_graph_ref_alloc(const struct vkd_graph *g, double ***values, struct vkd_error *err) {
  *values = NULL;
  if (vkd_graph_status(g, err) != VKD_OK) return g->error.status;
  struct buffer_slot *slots = calloc(g->tensor_count, sizeof *slots);
  if (!slots) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for the float64 reference");
  uint32_t slot_count;
  size_t own = 0;
  for (uint32_t t = 1; t < g->tensor_count; t++)
    if (g->tensors[t].kind != VKD_TENSOR_BOUND) own += (size_t)vkd_shape_numel(&g->tensors[t].shape);
  size_t total = place_buffers(g, slots, &slot_count, own);
  double **v = calloc(1, g->tensor_count * sizeof *v + total * sizeof **v);
  if (!v) {
    free(slots);
    return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %zu doubles of the float64 reference", total);
  }
  double *base = (double *)(v + g->tensor_count);
  size_t at = 0;
  for (uint32_t t = 1; t < g->tensor_count; t++) {
    const struct vkd_tensor_info *info = &g->tensors[t];
    const struct vkd_node *node = &g->nodes[info->node];
    uint64_t offset;
    if (info->place.id) info = &g->tensors[info->place.id]; // in place, as on the device
    if (info->kind == VKD_TENSOR_BOUND) {
      uint32_t s = 0;
      while (slots[s].buffer != info->buffer) s++;
      v[t] = base + slots[s].at + info->offset / slots[s].unit;
    } else if (vkd__ops[node->op].flags & VKD_OP_VIEW) {
      vkd_tensor root = vkd__view_root(g, (vkd_tensor){t}, &offset);
      v[t] = v[root.id] + offset / vkd_dtype_bytes(info->dtype);
    } else {
      v[t] = base + at;
      at += (size_t)vkd_shape_numel(&info->shape);
      if (info->kind == VKD_TENSOR_CONSTANT) fill_constant(info, v[t]);
    }
  }
  free(slots);
  *values = v;
  return VKD_OK;
}

enum vkd_status vkd_graph_ref_run(const struct vkd_graph *g, double **values, struct vkd_error *err) {
  uint8_t *needed = calloc(g->node_count + 1, 1);
  if (!needed) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for the float64 reference");
  vkd__graph_needed(g, needed);
  for (uint32_t i = 0; i < g->node_count; i++) {
    const struct vkd_node *node = &g->nodes[i];
    if (!needed[i] || (vkd__ops[node->op].flags & (VKD_OP_LEAF | VKD_OP_VIEW))) continue;
    double *in[VKD_MAX_IN] = {0}, *out[VKD_MAX_OUT] = {0};
    for (int k = 0; k < node->nin; k++) in[k] = node->in[k].id ? values[node->in[k].id] : NULL;
    for (int o = 0; o < node->nout; o++) out[o] = values[node->out[o].id];
    vkd__ops[node->op].ref(g, node, in, out);
  }
  free(needed);
  return VKD_OK;
}
