// Where numbers stopped being finite: a look at every tensor that a program left, on the host.
#include <stdlib.h>
#include <string.h>

#include "exec_internal.h"

enum { SLICE = 4 << 20 }; // bytes read at once

// Exponents of ones: infinities and NaNs, whatever a compiler takes floats for.
static bool finite_at(const void *data, uint64_t i, enum vkd_dtype dtype) {
  uint32_t word;
  uint16_t half;
  if (dtype == VKD_F32) {
    memcpy(&word, (const char *)data + 4 * i, sizeof word);
    return (word & 0x7F800000) != 0x7F800000;
  }
  memcpy(&half, (const char *)data + 2 * i, sizeof half);
  uint16_t exponent = dtype == VKD_F16 ? 0x7C00 : 0x7F80;
  return (half & exponent) != exponent;
}

// What holds a tensor's numbers after a run; NULL: nothing does.
static struct vkd_buffer *buffer_of(const struct vkd_program *p, uint32_t id) {
  const struct vkd_place *at = &p->plan->tensors[id];
  if (p->plan->hidden[id]) return NULL;
  if (at->space == VKD_SPACE_TEMP) return p->chunks[at->chunk];
  if (at->space == VKD_SPACE_INPUT) return p->regions[0].inputs;
  return at->space == VKD_SPACE_BOUND ? (struct vkd_buffer *)(uintptr_t)at->buffer : NULL; // read only
}

// Whether the run wrote to the buffer, which then does not tell what a leaf in it was.
static bool is_written(const struct vkd_program *p, const struct vkd_buffer *buffer) {
  const struct vkd_graph *g = p->graph;
  for (uint32_t i = 0; i < g->node_count; i++) {
    const struct vkd_node *n = &g->nodes[i];
    for (int o = 0; o < n->nout; o++)
      if (!(vkd__ops[n->op].flags & (VKD_OP_LEAF | VKD_OP_VIEW)) && buffer_of(p, n->out[o].id) == buffer) return true;
    for (int k = 0; k < n->nin; k++)
      if ((vkd__ops[n->op].writes >> k & 1) && buffer_of(p, n->in[k].id) == buffer) return true;
  }
  return false;
}

static enum vkd_status scan(const struct vkd_program *p, uint32_t id, void *slice, struct vkd_nonfinite *out,
                            struct vkd_error *err) {
  const struct vkd_place *at = &p->plan->tensors[id];
  enum vkd_dtype dtype = p->graph->tensors[id].dtype;
  struct vkd_buffer *buffer = buffer_of(p, id);
  uint64_t size = vkd_dtype_bytes(dtype), bytes = buffer && dtype != VKD_I32 ? at->bytes : 0, count = 0, first = 0;
  enum vkd_status st = VKD_OK;
  for (uint64_t done = 0, part; done < bytes && st == VKD_OK; done += part) {
    part = bytes - done < SLICE ? bytes - done : SLICE;
    st = vkd_buffer_read(buffer, at->offset + done, slice, part, err);
    for (uint64_t i = 0; i < part / size && st == VKD_OK; i++)
      if (!finite_at(slice, i, dtype) && !count++) first = done / size + i;
  }
  if (count) *out = (struct vkd_nonfinite){.tensor = {id}, .count = count, .numel = bytes / size, .first = first};
  return st;
}

enum vkd_status vkd_program_nonfinite(struct vkd_program *p, struct vkd_nonfinite *out, struct vkd_error *err) {
  const struct vkd_graph *g = p->graph;
  const struct vkd_buffer *last = NULL; // of a leaf
  bool last_written = false;
  enum vkd_status st = VKD_OK;
  void *slice = malloc(SLICE);
  *out = (struct vkd_nonfinite){0};
  if (!slice) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory to look at tensors");
  for (uint32_t i = 0; i < g->node_count && st == VKD_OK && !out->tensor.id; i++) {
    const struct vkd_node *n = &g->nodes[i];
    bool leaf = vkd__ops[n->op].flags & VKD_OP_LEAF;
    if (!p->plan->needed[i] || (vkd__ops[n->op].flags & VKD_OP_VIEW)) continue;
    if (leaf && vkd__info(g, n->out[0])->kind == VKD_TENSOR_BOUND) {
      const struct vkd_buffer *buffer = buffer_of(p, n->out[0].id);
      if (buffer != last) last_written = is_written(p, buffer);
      last = buffer;
      if (last_written) continue;
    }
    for (int o = 0; o < n->nout && st == VKD_OK && !out->tensor.id; o++) {
      st = scan(p, n->out[o].id, slice, out, err);
      out->op = vkd__ops[n->op].name;
      out->leaf = leaf;
      out->name = leaf ? vkd__info(g, n->out[o])->name : n->label;
    }
  }
  free(slice);
  return st;
}
