// Regions whose tensors are computed again for the gradient.  The reverse walk differentiates a region as any other
// part of the graph; then the region's nodes whose tensors it reads are copied to before what it added, and that reads
// the copies.  So gradients are the same nodes in the same order with and without a region.
#include "graph_internal.h"

#include <stdlib.h>
#include <string.h>

void vkd_graph_recompute_begin(struct vkd_graph *g) {
  if (g->region)
    vkd__graph_fail(g, VKD_ERR_INTERNAL, "regions to recompute do not nest");
  else
    g->region = ++g->region_count;
}

void vkd_graph_recompute_end(struct vkd_graph *g) {
  if (!g->region) vkd__graph_fail(g, VKD_ERR_INTERNAL, "no region to recompute has begun");
  g->region = 0;
}

void vkd__recompute_keep(const struct vkd_graph *g, uint8_t *keep) {
  for (uint32_t t = 1; t < g->tensor_count; t++) keep[t] = g->tensors[t].output || g->tensors[t].place.id;
  for (uint32_t i = 0; i < g->node_count; i++) {
    const struct vkd_node *n = &g->nodes[i];
    for (int k = 0; k < n->nin; k++)
      if (n->in[k].id && g->nodes[vkd__info(g, n->in[k])->node].region != n->region) keep[n->in[k].id] = 1;
  }
}

// Whether x takes storage that a copy would free: it is computed in the region and used there alone.
static bool inside(const struct vkd_graph *g, const struct vkd_recompute *r, vkd_tensor x) {
  if (!x.id || g->nodes[vkd__info(g, x)->node].region != r->region || r->keep[x.id]) return false;
  uint64_t offset;
  const struct vkd_node *root = &g->nodes[vkd__info(g, vkd__view_root(g, x, &offset))->node];
  return root->region == r->region && !(vkd__ops[root->op].flags & VKD_OP_LEAF);
}

static void mark_inputs(const struct vkd_graph *g, const struct vkd_recompute *r, uint32_t node) {
  const struct vkd_node *n = &g->nodes[node];
  for (int k = 0; k < n->nin; k++)
    if (inside(g, r, n->in[k])) r->need[vkd__info(g, n->in[k])->node] = 1;
}

static void copy_node(struct vkd_graph *g, const struct vkd_recompute *r, uint32_t index) {
  struct vkd_node n = g->nodes[index];
  vkd_tensor more[VKD_MAX_OUT - 1] = {{0}};
  for (int k = 0; k < n.nin; k++) {
    // a copy reads what the region read: bound storage that was written since holds something else
    if (vkd__written_since(g, index, n.in[k])) {
      vkd__graph_fail(g, VKD_ERR_UNSUPPORTED, "%s: a bound tensor that it reads was written before the gradient",
                      vkd__ops[n.op].name);
      return;
    }
    if (inside(g, r, n.in[k])) n.in[k] = r->copy[n.in[k].id];
  }
  r->copy[n.out[0].id] = vkd__graph_add(g, &n, more);
  for (int o = 1; o < n.nout; o++) r->copy[n.out[o].id] = more[o - 1];
}

// Nodes [from, middle) change places with [middle, end).
static void swap_nodes(struct vkd_graph *g, uint32_t from, uint32_t middle) {
  uint32_t copies = g->node_count - middle, added = middle - from;
  struct vkd_node *apart = malloc((copies + (size_t)1) * sizeof *apart);
  if (!apart) {
    vkd__graph_fail(g, VKD_ERR_HOST_MEMORY, "no memory for %u nodes", copies);
    return;
  }
  memcpy(apart, g->nodes + middle, copies * sizeof *apart);
  memmove(g->nodes + from + copies, g->nodes + from, added * sizeof *apart);
  memcpy(g->nodes + from, apart, copies * sizeof *apart);
  free(apart);
  for (uint32_t i = from; i < g->node_count; i++)
    for (int o = 0; o < g->nodes[i].nout; o++) g->tensors[g->nodes[i].out[o].id].node = i;
}

void vkd__recompute(struct vkd_graph *g, const struct vkd_recompute *r, uint32_t begin, uint32_t end, uint32_t from) {
  uint32_t middle = g->node_count;
  for (uint32_t i = from; i < middle; i++) mark_inputs(g, r, i);
  for (uint32_t i = end; i-- > begin;)
    if (r->need[i]) mark_inputs(g, r, i);
  for (uint32_t i = begin; i < end && g->error.status == VKD_OK; i++) {
    if (!r->need[i]) continue;
    vkd_graph_label_push(g, "recompute/%s", g->nodes[i].label);
    copy_node(g, r, i);
    vkd_graph_label_pop(g);
  }
  if (g->error.status != VKD_OK) return;
  for (uint32_t i = from; i < middle; i++)
    for (int k = 0; k < g->nodes[i].nin; k++) {
      vkd_tensor *in = &g->nodes[i].in[k];
      vkd_tensor copy = inside(g, r, *in) ? r->copy[in->id] : (vkd_tensor){0};
      if (!copy.id) continue;
      g->tensors[in->id].uses--;
      g->tensors[copy.id].uses++;
      *in = copy;
    }
  swap_nodes(g, from, middle);
}
