// Storage by lifetimes.  Views and parts placed inside a concat share the storage of their root; what is left is a set
// of (first use, last use, size), placed largest first at the lowest offset that is free over the whole lifetime.
#include "plan.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64 };
static uint64_t align_up(uint64_t n) { return (n + ALIGN - 1) / ALIGN * ALIGN; }

// A part of a concat can be written straight into the whole: it is a temporary of its own that nothing else has placed,
// and so is the whole (a bound tensor may be read between the two nodes).
static bool can_join(const struct vkd_graph *g, const struct vkd_node *concat, int k, const vkd_tensor *joined,
                     uint64_t offset) {
  const struct vkd_tensor_info *t = vkd__info(g, concat->in[k]);
  const struct vkd_op_info *op = &vkd__ops[g->nodes[t->node].op];
  return t->kind == VKD_TENSOR_TEMP && !(op->flags & VKD_OP_VIEW) && !t->place.id &&
         !vkd__info(g, concat->out[0])->place.id && !joined[concat->in[k].id].id && offset % ALIGN == 0;
}

// joined[t]: the concat output that t is computed into, offset there in at[t].
static void join_concats(const struct vkd_graph *g, const uint8_t *needed, vkd_tensor *joined, uint64_t *at) {
  for (uint32_t i = 0; i < g->node_count; i++) {
    const struct vkd_node *n = &g->nodes[i];
    if (n->op != VKD_OP_concat || !needed[i]) continue;
    uint64_t offset = 0;
    for (int k = 0; k < n->nin; k++) {
      if (can_join(g, n, k, joined, offset)) {
        joined[n->in[k].id] = n->out[0];
        at[n->in[k].id] = offset;
      }
      offset += vkd__tensor_bytes(g, n->in[k]);
    }
  }
}

// The tensor that owns x's storage: through views, concats, and into a bound tensor.
static vkd_tensor owner(const struct vkd_graph *g, vkd_tensor x, const vkd_tensor *joined, const uint64_t *at,
                        uint64_t *offset) {
  *offset = 0;
  for (;;) {
    uint64_t more;
    x = vkd__view_root(g, x, &more);
    *offset += more;
    if (vkd__info(g, x)->place.id) {
      x = vkd__info(g, x)->place;
    } else if (joined[x.id].id) {
      *offset += at[x.id];
      x = joined[x.id];
    } else {
      return x;
    }
  }
}

struct work {
  uint8_t *needed, *done;
  uint8_t *hidden; // per tensor: its kernel hands it on and does not store it
  const struct vkd_form **forms;
  struct vkd_fused *fused;
  vkd_tensor *joined;
  uint64_t *at;
  struct vkd_lifetime *lives;
  uint32_t life_count;
  uint32_t *life_of; // per tensor that owns temporary storage: index + 1
};

static void work_free(struct work *w) {
  free(w->needed);
  free(w->done);
  free(w->hidden);
  free(w->forms);
  free(w->fused);
  free(w->joined);
  free(w->at);
  free(w->lives);
  free(w->life_of);
}

static void touch(struct work *w, const struct vkd_graph *g, vkd_tensor x, uint32_t node) {
  uint64_t offset;
  vkd_tensor o = owner(g, x, w->joined, w->at, &offset);
  if (vkd__info(g, o)->kind != VKD_TENSOR_TEMP || w->hidden[o.id]) return;
  if (!w->life_of[o.id]) {
    w->lives[w->life_count] = (struct vkd_lifetime){.tensor = o, .first = node, .last = node};
    w->lives[w->life_count].place.bytes = vkd__tensor_bytes(g, o);
    w->life_of[o.id] = ++w->life_count;
  }
  struct vkd_lifetime *life = &w->lives[w->life_of[o.id] - 1];
  if (life->last < node) life->last = node;
  if (vkd__info(g, x)->output) life->last = g->node_count;
}

static void touch_all(struct work *w, const struct vkd_graph *g, const struct vkd_node *n, uint32_t node) {
  for (int k = 0; k < n->nin; k++)
    if (n->in[k].id) touch(w, g, n->in[k], node);
  for (int o = 0; o < n->nout; o++) touch(w, g, n->out[o], node);
}

static void find_fused(struct work *w, const struct vkd_graph *g, uint32_t i) {
  const struct vkd_fused *f = &w->fused[i];
  if (w->done[i]) return;
  w->fused[i] = vkd__fuse(g, w->needed, i);
  if (f->node) w->done[f->node] = 1;
  if (f->cast) w->done[f->cast] = 1;
  w->hidden[g->nodes[i].out[0].id] = f->hidden;
  if (f->node) w->hidden[g->nodes[f->node].out[0].id] = f->narrow;
}

static enum vkd_status find_lifetimes(struct work *w, const struct vkd_graph *g, const struct vkd_form_choice *choice,
                                      struct vkd_error *err) {
  w->needed = calloc(g->node_count + 1, 1);
  w->done = calloc(g->node_count + 1, 1);
  w->fused = calloc(g->node_count + 1, sizeof *w->fused);
  w->forms = calloc(g->node_count + 1, sizeof *w->forms);
  w->hidden = calloc(g->tensor_count, 1);
  w->joined = calloc(g->tensor_count, sizeof *w->joined);
  w->at = calloc(g->tensor_count, sizeof *w->at);
  w->life_of = calloc(g->tensor_count, sizeof *w->life_of);
  w->lives = calloc((size_t)g->tensor_count + g->node_count, sizeof *w->lives);
  if (!w->needed || !w->done || !w->hidden || !w->forms || !w->fused || !w->joined || !w->at || !w->life_of ||
      !w->lives)
    return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory to plan %u nodes", g->node_count);
  vkd__graph_needed(g, w->needed);
  join_concats(g, w->needed, w->joined, w->at);
  for (uint32_t i = 0; i < g->node_count; i++) {
    const struct vkd_node *n = &g->nodes[i];
    if (!w->needed[i] || (vkd__ops[n->op].flags & VKD_OP_LEAF)) continue;
    find_fused(w, g, i);
    touch_all(w, g, n, i);
    if (w->fused[i].node) touch_all(w, g, &g->nodes[w->fused[i].node], i);
    if (w->fused[i].cast) touch_all(w, g, &g->nodes[w->fused[i].cast], i);
    w->forms[i] = vkd__form_choose(choice, g, n);
    uint64_t scratch = n->scratch + (w->forms[i] ? w->forms[i]->scratch(choice->caps, g, n) : 0);
    if (scratch) {
      w->lives[w->life_count] = (struct vkd_lifetime){.first = i, .last = i};
      w->lives[w->life_count++].place.bytes = scratch;
    }
  }
  return VKD_OK;
}

static int by_size(const void *a, const void *b) {
  const struct vkd_lifetime *x = *(struct vkd_lifetime *const *)a, *y = *(struct vkd_lifetime *const *)b;
  if (x->place.bytes != y->place.bytes) return x->place.bytes < y->place.bytes ? 1 : -1;
  return x->first < y->first ? -1 : x->first > y->first;
}

static bool before(const struct vkd_place *x, const struct vkd_place *y) {
  return x->chunk != y->chunk ? x->chunk < y->chunk : x->offset < y->offset;
}

// The lowest (chunk, offset) where `life` fits beside the placed ones that live at the same time; `busy` is sorted by
// place.
static void find_gap(struct vkd_lifetime *life, struct vkd_lifetime **busy, uint32_t busy_count, uint64_t max_chunk) {
  uint32_t chunk = 0, i = 0;
  for (;; chunk++) {
    uint64_t at = 0;
    bool fits = false;
    for (; i < busy_count && busy[i]->place.chunk == chunk; i++) {
      if (!fits && busy[i]->place.offset >= at && busy[i]->place.offset - at >= life->place.bytes) fits = true;
      uint64_t end = align_up(busy[i]->place.offset + busy[i]->place.bytes);
      if (!fits && end > at) at = end;
    }
    if (fits || life->place.bytes <= max_chunk - (at < max_chunk ? at : max_chunk)) {
      life->place.chunk = chunk;
      life->place.offset = at;
      return;
    }
  }
}

static enum vkd_status place_lives(struct vkd_plan *plan, struct work *w, uint64_t max_chunk, bool reuse,
                                   struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  uint32_t n = w->life_count;
  struct vkd_lifetime **order = calloc(3 * (size_t)n + 1, sizeof *order), **placed = order + n, **busy = placed + n;
  plan->chunk_bytes = calloc((size_t)n + 1, sizeof *plan->chunk_bytes);
  if (!order || !plan->chunk_bytes) {
    st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory to plan %u tensors", n);
    goto done;
  }
  for (uint32_t i = 0; i < n; i++) order[i] = &w->lives[i];
  qsort(order, n, sizeof *order, by_size);
  for (uint32_t i = 0; i < n; i++) {
    struct vkd_lifetime *life = order[i];
    plan->temporaries_raw += align_up(life->place.bytes);
    if (life->place.bytes > max_chunk) {
      st = vkd_fail(err, VKD_ERR_DEVICE_MEMORY,
                    "one tensor takes %.1f MiB, the device allocates at most %.1f MiB at once; lower the batch",
                    (double)life->place.bytes / 1048576, (double)max_chunk / 1048576);
      goto done;
    }
    uint32_t busy_count = 0;
    for (uint32_t k = 0; k < i; k++)
      if (!reuse || (placed[k]->first <= life->last && life->first <= placed[k]->last)) busy[busy_count++] = placed[k];
    find_gap(life, busy, busy_count, max_chunk);
    life->place.space = VKD_SPACE_TEMP;
    uint32_t slot = i; // `placed` stays sorted by place
    for (; slot > 0 && before(&life->place, &placed[slot - 1]->place); slot--) placed[slot] = placed[slot - 1];
    placed[slot] = life;
    uint64_t end = align_up(life->place.offset + life->place.bytes);
    if (plan->chunk_bytes[life->place.chunk] < end) plan->chunk_bytes[life->place.chunk] = end;
    if (plan->chunks <= life->place.chunk) plan->chunks = life->place.chunk + 1;
  }
done:
  free(order);
  return st;
}

static void place_tensor(struct vkd_plan *plan, const struct vkd_graph *g, const struct work *w, uint32_t id) {
  uint64_t offset;
  vkd_tensor o = owner(g, (vkd_tensor){id}, w->joined, w->at, &offset);
  const struct vkd_tensor_info *t = vkd__info(g, o);
  struct vkd_place *p = &plan->tensors[id];
  switch (t->kind) {
  case VKD_TENSOR_BOUND:
    *p = (struct vkd_place){.space = VKD_SPACE_BOUND, .buffer = t->buffer, .offset = t->offset};
    break;
  case VKD_TENSOR_TEMP:
    if (!w->life_of[o.id]) return; // nothing needs it
    *p = w->lives[w->life_of[o.id] - 1].place;
    break;
  default:
    *p = plan->tensors[o.id]; // leaves are placed before
  }
  p->offset += offset;
  p->bytes = vkd__tensor_bytes(g, (vkd_tensor){id});
}

static void place_leaves(struct vkd_plan *plan, const struct vkd_graph *g) {
  for (uint32_t i = 1; i < g->tensor_count; i++) {
    const struct vkd_tensor_info *t = &g->tensors[i];
    bool input = t->kind == VKD_TENSOR_INPUT;
    if (!input && (t->kind != VKD_TENSOR_CONSTANT || !plan->needed[t->node])) continue;
    uint64_t *end = input ? &plan->input_bytes : &plan->constant_bytes;
    plan->tensors[i] = (struct vkd_place){.space = input ? VKD_SPACE_INPUT : VKD_SPACE_CONSTANT, .offset = *end};
    plan->tensors[i].bytes = vkd__tensor_bytes(g, (vkd_tensor){i});
    *end += align_up(plan->tensors[i].bytes);
  }
}

enum vkd_status vkd__plan_create(struct vkd_plan **out, const struct vkd_graph *g, const struct vkd_form_choice *choice,
                                 uint64_t max_chunk, bool reuse, struct vkd_error *err) {
  enum vkd_status st = vkd_graph_status(g, err);
  struct work w = {0};
  struct vkd_plan *plan = *out = NULL;
  if (st != VKD_OK) return st;
  plan = calloc(1, sizeof *plan);
  if (plan) {
    plan->tensors = calloc(g->tensor_count, sizeof *plan->tensors);
    plan->scratch = calloc(g->node_count + 1, sizeof *plan->scratch);
    plan->outputs = calloc(g->tensor_count, sizeof *plan->outputs);
  }
  if (!plan || !plan->tensors || !plan->scratch || !plan->outputs) {
    st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory to plan %u nodes", g->node_count);
    goto fail;
  }
  if ((st = find_lifetimes(&w, g, choice, err)) != VKD_OK) goto fail;
  if ((st = place_lives(plan, &w, max_chunk / ALIGN * ALIGN, reuse, err)) != VKD_OK) goto fail;
  plan->needed = w.needed;
  plan->done = w.done;
  plan->forms = w.forms;
  plan->fused = w.fused;
  plan->hidden = w.hidden;
  w.needed = w.done = w.hidden = NULL;
  w.forms = NULL;
  w.fused = NULL;
  place_leaves(plan, g);
  for (uint32_t i = 1; i < g->tensor_count; i++) place_tensor(plan, g, &w, i);
  for (uint32_t i = 0; i < w.life_count; i++)
    if (!w.lives[i].tensor.id) plan->scratch[w.lives[i].first] = w.lives[i].place;
  for (uint32_t i = 1; i < g->tensor_count; i++) {
    if (!g->tensors[i].output) continue;
    plan->outputs[plan->output_count++] = (struct vkd_copy){{i}, plan->output_bytes};
    plan->output_bytes += align_up(plan->tensors[i].bytes);
  }
  work_free(&w);
  *out = plan;
  return VKD_OK;
fail:
  work_free(&w);
  vkd__plan_destroy(&plan);
  return st;
}

void vkd__plan_destroy(struct vkd_plan **pplan) {
  struct vkd_plan *plan = *pplan;
  if (!plan) return;
  free(plan->needed);
  free(plan->done);
  free(plan->forms);
  free(plan->fused);
  free(plan->hidden);
  free(plan->tensors);
  free(plan->scratch);
  free(plan->chunk_bytes);
  free(plan->outputs);
  free(plan);
  *pplan = NULL;
}

enum vkd_status vkd__plan_lifetimes(const struct vkd_graph *g, const struct vkd_form_choice *choice,
                                    struct vkd_lifetime **out, uint32_t *count, struct vkd_error *err) {
  struct work w = {0};
  enum vkd_status st = find_lifetimes(&w, g, choice, err);
  *out = NULL;
  *count = 0;
  if (st == VKD_OK) {
    *out = w.lives;
    *count = w.life_count;
    w.lives = NULL;
  }
  work_free(&w);
  return st;
}
