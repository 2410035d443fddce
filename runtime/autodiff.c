// Reverse-mode differentiation: one walk over the nodes in reverse, asking each op's row for its backward.
#include "graph_internal.h"

#include <stdlib.h>

// What is known of the gradient of one tensor: a running sum, and gradients of slices that have not been joined yet.
struct slice_grad {
  int64_t begin, count;
  vkd_tensor grad;
  struct slice_grad *next;
};
struct tensor_grad {
  vkd_tensor sum;
  struct slice_grad *slices; // sorted by begin
};

// sum + term.  A matmul made since node `fresh` that nothing uses yet takes the sum as its `add` input, without a pass
// of its own; an older one may serve as another tensor's gradient too.
static vkd_tensor sum_of(struct vkd_graph *g, vkd_tensor sum, vkd_tensor term, uint32_t fresh) {
  if (!sum.id) return term;
  uint32_t made = vkd__info(g, term)->node;
  struct vkd_node *n = &g->nodes[made];
  struct vkd_shape a = vkd__shape(g, sum), b = vkd__shape(g, term);
  bool own = made >= fresh && vkd__info(g, term)->uses == 0 && vkd__info(g, sum)->node < fresh;
  if (n->op == VKD_OP_matmul && own && !n->in[3].id && vkd_shape_equal(&a, &b)) {
    n->in[3] = sum;
    n->nin = 4;
    g->tensors[sum.id].uses++;
    return term;
  }
  return vkd_add(g, sum, term);
}

static void add_slice(struct vkd_graph *g, struct tensor_grad *t, const struct vkd_node *slice, vkd_tensor grad) {
  int64_t begin = slice->p.slice.begin, count = slice->p.slice.count;
  struct slice_grad **at = &t->slices;
  for (; *at; at = &(*at)->next) {
    struct slice_grad *s = *at;
    if (s->begin == begin && s->count == count) {
      s->grad = sum_of(g, s->grad, grad, UINT32_MAX);
      return;
    }
    if (s->begin > begin) break;
  }
  struct slice_grad *fresh = vkd__arena_alloc(&g->arena, sizeof *fresh);
  if (!fresh) {
    vkd__graph_fail(g, VKD_ERR_HOST_MEMORY, "no memory for gradients");
    return;
  }
  *fresh = (struct slice_grad){begin, count, grad, *at};
  *at = fresh;
}

// One concat of all slice gradients of x, zeros in the gaps; overlapping slices are a mistake of the model.
static vkd_tensor join_slices(struct vkd_graph *g, vkd_tensor x, const struct slice_grad *s) {
  struct vkd_shape shape = vkd__shape(g, x), gap = shape;
  vkd_tensor parts[VKD_MAX_IN];
  int n = 0;
  int64_t at = 0, end = shape.dim[0];
  while (at < end && n < VKD_MAX_IN) {
    if (s && s->begin < at) break;
    if (s && s->begin == at) {
      parts[n++] = s->grad;
      at += s->count;
      s = s->next;
    } else {
      gap.dim[0] = (s ? s->begin : end) - at;
      parts[n++] = vkd__zeros(g, &gap);
      at += gap.dim[0];
    }
  }
  if (at != end || s) {
    vkd__graph_fail(g, VKD_ERR_UNSUPPORTED, "the slices used of one tensor overlap, or are more than %d", VKD_MAX_IN);
    return (vkd_tensor){0};
  }
  return n == 1 ? parts[0] : vkd_concat(g, parts, n);
}

static vkd_tensor finish(struct vkd_graph *g, vkd_tensor x, struct tensor_grad *t) {
  if (t->slices) {
    vkd_tensor joined = join_slices(g, x, t->slices);
    t->slices = NULL;
    if (joined.id) t->sum = sum_of(g, t->sum, joined, UINT32_MAX);
  }
  return t->sum;
}

bool vkd__wants_grad(const struct vkd_graph *g, vkd_tensor x) {
  return x.id && x.id < g->wants_count && g->wants[x.id];
}

// wants[t] = 1 for every tensor that depends on one of wrt
static void mark_wanted(const struct vkd_graph *g, const vkd_tensor *wrt, int n, uint8_t *wants) {
  for (int i = 0; i < n; i++) wants[wrt[i].id] = 1;
  for (uint32_t i = 0; i < g->node_count; i++) {
    const struct vkd_node *node = &g->nodes[i];
    bool any = false;
    for (int k = 0; k < node->nin; k++) any |= wants[node->in[k].id] != 0;
    if (any && node->op != VKD_OP_leaf)
      for (int o = 0; o < node->nout; o++) wants[node->out[o].id] = 1;
  }
}

static void walk_node(struct vkd_graph *g, uint32_t index, struct tensor_grad *grads) {
  struct vkd_node node = g->nodes[index]; // a copy: the array may move while backward adds nodes
  const struct vkd_op_info *op = &vkd__ops[node.op];
  if (op->flags & VKD_OP_LEAF) return;
  vkd_tensor dout[VKD_MAX_OUT] = {{0}}, din[VKD_MAX_IN] = {{0}};
  bool any_out = false, any_in = false;
  for (int o = 0; o < node.nout; o++)
    if (vkd__wants_grad(g, node.out[o])) any_out |= (dout[o] = finish(g, node.out[o], &grads[node.out[o].id])).id != 0;
  for (int k = 0; k < node.nin; k++) any_in |= vkd__wants_grad(g, node.in[k]);
  if (!any_out || !any_in) return;
  vkd_graph_label_push(g, "grad/%s", node.label);
  if (op->flags & VKD_OP_NO_GRAD) {
    vkd__graph_fail(g, VKD_ERR_UNSUPPORTED, "%s has no gradient", op->name);
  } else if (node.op == VKD_OP_slice) {
    add_slice(g, &grads[node.in[0].id], &node, dout[0]);
  } else {
    uint32_t fresh = g->node_count;
    op->backward(g, &node, dout, din);
    for (int k = 0; k < node.nin && g->error.status == VKD_OK; k++)
      if (din[k].id && vkd__wants_grad(g, node.in[k])) {
        struct tensor_grad *t = &grads[node.in[k].id];
        t->sum = sum_of(g, t->sum, din[k], fresh);
      }
  }
  vkd_graph_label_pop(g);
}

// Who takes gradients on the way.
struct taking {
  const struct vkd__taker *taker; // NULL: nobody
  const vkd_tensor *wrt;
  uint32_t *first; // [n]: the first node that uses wrt[i], with which its gradient is complete
  int n;
};

static void find_firsts(const struct vkd_graph *g, uint32_t last, struct taking *t) {
  for (uint32_t i = last + 1; i-- > 0;)
    for (int k = 0; k < g->nodes[i].nin; k++)
      for (int w = 0; w < t->n; w++)
        if (g->nodes[i].in[k].id == t->wrt[w].id) t->first[w] = i;
}

static void hand_out(struct vkd_graph *g, uint32_t node, struct tensor_grad *grads, const struct taking *t) {
  for (int w = 0; t->taker && w < t->n && g->error.status == VKD_OK; w++) {
    if (t->first[w] != node) continue;
    vkd_tensor grad = finish(g, t->wrt[w], &grads[t->wrt[w].id]);
    if (grad.id) t->taker->take(t->taker->user, w, grad);
  }
}

// The walk from node `last` down.  Of a region to recompute, nodes lie side by side.
static void walk(struct vkd_graph *g, uint32_t last, struct tensor_grad *grads, struct vkd_recompute *r,
                 const struct taking *taking) {
  uint32_t end = 0, from = 0; // of the region that the walk is in
  for (uint32_t i = last + 1; i-- > 0 && g->error.status == VKD_OK;) {
    uint32_t region = g->nodes[i].region;
    if (region != r->region) {
      if (r->region) vkd__recompute(g, r, i + 1, end, from);
      r->region = region;
      end = i + 1;
      from = g->node_count;
    }
    walk_node(g, i, grads);
    hand_out(g, i, grads, taking);
  }
  if (r->region && g->error.status == VKD_OK) vkd__recompute(g, r, 0, end, from);
}

void vkd__vjp(struct vkd_graph *g, const vkd_tensor *y, const vkd_tensor *dy, int ny, const vkd_tensor *wrt, int n,
              vkd_tensor *grads_out, const struct vkd__taker *taker) {
  for (int i = 0; i < n; i++) grads_out[i] = (vkd_tensor){0};
  if (g->error.status != VKD_OK) return;
  if (g->region) {
    vkd__graph_fail(g, VKD_ERR_INTERNAL, "a region to recompute has not ended");
    return;
  }
  uint32_t count = g->tensor_count, last = 0;
  uint8_t *wants = calloc(2 * (size_t)count + g->node_count, 1), *keep = wants + count;
  struct tensor_grad *grads = calloc(count, sizeof *grads);
  vkd_tensor *copy = calloc(count, sizeof *copy);
  struct taking taking = {taker, wrt, calloc((size_t)n + 1, sizeof *taking.first), n};
  if (!wants || !grads || !copy || !taking.first) {
    vkd__graph_fail(g, VKD_ERR_HOST_MEMORY, "no memory for gradients");
    goto done;
  }
  mark_wanted(g, wrt, n, wants);
  g->wants = wants;
  g->wants_count = count;
  vkd__recompute_keep(g, keep);
  for (int i = 0; i < ny; i++) {
    grads[y[i].id].sum = sum_of(g, grads[y[i].id].sum, dy[i], UINT32_MAX);
    keep[y[i].id] = keep[dy[i].id] = 1;
    if (vkd__info(g, y[i])->node > last) last = vkd__info(g, y[i])->node;
  }
  if (taker) find_firsts(g, last, &taking);
  walk(g, last, grads, &(struct vkd_recompute){.keep = keep, .need = keep + count, .copy = copy}, &taking);
  for (int i = 0; i < n && g->error.status == VKD_OK; i++) {
    grads_out[i] = finish(g, wrt[i], &grads[wrt[i].id]);
    if (!grads_out[i].id)
      vkd__graph_fail(g, VKD_ERR_UNSUPPORTED, "the loss does not depend on %s",
                      vkd__info(g, wrt[i])->name ? vkd__info(g, wrt[i])->name : "a tensor");
  }
done:
  g->wants = NULL;
  g->wants_count = 0;
  free(wants);
  free(grads);
  free(copy);
  free(taking.first);
}

static void grad_of(struct vkd_graph *g, vkd_tensor loss, vkd_tensor scale, const vkd_tensor *wrt, int n,
                    vkd_tensor *grads_out, const struct vkd__taker *taker) {
  if (g->error.status == VKD_OK && vkd__numel(g, loss) != 1)
    vkd__graph_fail(g, VKD_ERR_SHAPE, "a loss has one element, not %lld", (long long)vkd__numel(g, loss));
  if (g->error.status == VKD_OK && vkd__numel(g, scale) != 1)
    vkd__graph_fail(g, VKD_ERR_SHAPE, "a loss scale has one element, not %lld", (long long)vkd__numel(g, scale));
  vkd__vjp(g, &loss, &scale, 1, wrt, n, grads_out, taker);
}

void vkd_grad_scaled(struct vkd_graph *g, vkd_tensor loss, vkd_tensor scale, const vkd_tensor *wrt, int n,
                     vkd_tensor *grads_out) {
  grad_of(g, loss, scale, wrt, n, grads_out, NULL);
}

void vkd_grad_take(struct vkd_graph *g, vkd_tensor loss, vkd_tensor scale, const vkd_tensor *wrt, int n,
                   void (*take)(void *user, int i, vkd_tensor grad), void *user) {
  vkd_tensor *grads = calloc((size_t)n + 1, sizeof *grads);
  if (grads)
    grad_of(g, loss, scale, wrt, n, grads, &(struct vkd__taker){take, user});
  else
    vkd__graph_fail(g, VKD_ERR_HOST_MEMORY, "no memory for %d gradients", n);
  free(grads);
}

void vkd_grad(struct vkd_graph *g, vkd_tensor loss, const vkd_tensor *wrt, int n, vkd_tensor *grads_out) {
  vkd_grad_scaled(g, loss, vkd_constant(g, "dloss", VKD_F32, VKD_SHAPE(1), &(float){1}), wrt, n, grads_out);
}
