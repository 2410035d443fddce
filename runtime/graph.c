#include "graph_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t vkd_dtype_bytes(enum vkd_dtype dtype) { return vkd_dtype_16bit(dtype) ? 2 : 4; }

const char *vkd_dtype_name(enum vkd_dtype dtype) {
  static const char *const names[] = {"fp32", "int32", "fp16", "bf16"};
  return names[dtype];
}

int64_t vkd_shape_numel(const struct vkd_shape *shape) {
  int64_t n = 1;
  for (int i = 0; i < shape->rank; i++) n *= shape->dim[i];
  return n;
}

bool vkd_shape_equal(const struct vkd_shape *a, const struct vkd_shape *b) {
  return a->rank == b->rank && memcmp(a->dim, b->dim, (size_t)a->rank * sizeof a->dim[0]) == 0;
}

enum vkd_status vkd_graph_create(struct vkd_graph **out, struct vkd_error *err) {
  struct vkd_graph *g = calloc(1, sizeof *g);
  *out = g;
  if (!g) goto fail;
  g->tensor_cap = g->node_cap = 256;
  g->tensors = calloc(g->tensor_cap, sizeof *g->tensors);
  g->nodes = calloc(g->node_cap, sizeof *g->nodes);
  if (!g->tensors || !g->nodes) goto fail;
  g->tensor_count = 1;
  return VKD_OK;
fail:
  vkd_graph_destroy(out);
  return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a graph");
}

void vkd_graph_destroy(struct vkd_graph **pg) {
  struct vkd_graph *g = *pg;
  if (!g) return;
  free(g->nodes);
  free(g->tensors);
  vkd__arena_free(&g->arena);
  free(g);
  *pg = NULL;
}

enum vkd_status vkd_graph_status(const struct vkd_graph *g, struct vkd_error *err) {
  return g->error.status == VKD_OK ? VKD_OK : vkd_fail(err, g->error.status, "%s", g->error.what);
}

static const char *current_label(const struct vkd_graph *g) {
  return g->label_depth ? g->labels[g->label_depth - 1] : "";
}

void vkd__graph_fail(struct vkd_graph *g, enum vkd_status status, const char *fmt, ...) {
  if (g->error.status != VKD_OK) return;
  char text[512];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  vkd_fail(&g->error, status, "%s%s%s", current_label(g), *current_label(g) ? ": " : "", text);
}

static const char *graph_printf(struct vkd_graph *g, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  const char *s = vkd__arena_vprintf(&g->arena, fmt, ap);
  va_end(ap);
  if (!s) vkd__graph_fail(g, VKD_ERR_HOST_MEMORY, "no memory for a graph");
  return s ? s : "";
}

void vkd_graph_label_push(struct vkd_graph *g, const char *fmt, ...) {
  if (g->label_depth == VKD_LABEL_DEPTH) {
    vkd__graph_fail(g, VKD_ERR_INTERNAL, "labels nest deeper than %d", VKD_LABEL_DEPTH);
    return;
  }
  char text[128];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  const char *outer = current_label(g);
  const char *label = graph_printf(g, "%s%s%s", outer, *outer ? "/" : "", text);
  g->labels[g->label_depth++] = label;
}

void vkd_graph_label_pop(struct vkd_graph *g) {
  if (g->label_depth) g->label_depth--;
}

// Doubles an array when it is full.
static bool grow(struct vkd_graph *g, void **array, uint32_t count, uint32_t *cap, size_t item) {
  if (count < *cap) return true;
  void *bigger = realloc(*array, (size_t)*cap * 2 * item);
  if (!bigger) {
    vkd__graph_fail(g, VKD_ERR_HOST_MEMORY, "no memory for %u nodes", *cap * 2);
    return false;
  }
  *array = bigger;
  *cap *= 2;
  return true;
}

static vkd_tensor new_tensor(struct vkd_graph *g, enum vkd_dtype dtype, const struct vkd_shape *shape) {
  if (!grow(g, (void **)&g->tensors, g->tensor_count, &g->tensor_cap, sizeof *g->tensors)) return (vkd_tensor){0};
  g->tensors[g->tensor_count] =
      (struct vkd_tensor_info){.dtype = dtype, .shape = *shape, .node = g->node_count, .kind = VKD_TENSOR_TEMP};
  return (vkd_tensor){g->tensor_count++};
}

static bool shape_valid(const struct vkd_shape *shape) {
  int64_t n = 1;
  if (shape->rank < 1 || shape->rank > VKD_MAX_DIMS) return false;
  for (int i = 0; i < shape->rank; i++) {
    if (shape->dim[i] < 1 || shape->dim[i] > INT32_MAX) return false;
    // Kernels index elements with 32 bits.
    if ((n *= shape->dim[i]) > INT32_MAX) return false;
  }
  return true;
}

vkd_tensor vkd__graph_add(struct vkd_graph *g, const struct vkd_node *node, vkd_tensor *more) {
  const struct vkd_op_info *op = &vkd__ops[node->op];
  for (int i = 1; more && i < op->outs; i++) more[i - 1] = (vkd_tensor){0};
  if (g->error.status != VKD_OK) return (vkd_tensor){0};
  struct vkd_node n = *node;
  if (n.nin < op->min_in || n.nin > op->max_in) {
    vkd__graph_fail(g, VKD_ERR_INTERNAL, "%s takes %d to %d inputs, not %d", op->name, op->min_in, op->max_in, n.nin);
    return (vkd_tensor){0};
  }
  for (int i = 0; i < n.nin; i++) {
    bool optional = i >= op->min_in;
    if (n.in[i].id >= g->tensor_count || (!n.in[i].id && !optional)) {
      vkd__graph_fail(g, VKD_ERR_SHAPE, "%s: input %d is not a tensor of this graph", op->name, i);
      return (vkd_tensor){0};
    }
    if ((op->writes >> i & 1) && vkd__info(g, n.in[i])->kind != VKD_TENSOR_BOUND) {
      vkd__graph_fail(g, VKD_ERR_INTERNAL, "%s: input %d is written and must be a bound tensor", op->name, i);
      return (vkd_tensor){0};
    }
  }
  if (op->writes && g->region) {
    vkd__graph_fail(g, VKD_ERR_INTERNAL, "%s writes a bound tensor: it cannot be in a region to recompute", op->name);
    return (vkd_tensor){0};
  }
  struct vkd_shape shape[VKD_MAX_OUT] = {{0}};
  enum vkd_dtype dtype[VKD_MAX_OUT] = {VKD_F32, VKD_F32, VKD_F32};
  op->shape(g, &n, shape, dtype);
  if (g->error.status != VKD_OK) return (vkd_tensor){0};
  n.nout = op->outs;
  n.label = current_label(g);
  n.region = g->region;
  for (int i = 0; i < n.nout; i++) {
    if (!shape_valid(&shape[i])) {
      vkd__graph_fail(g, VKD_ERR_SHAPE, "%s: output %d is empty or has 2^31 or more elements", op->name, i);
      return (vkd_tensor){0};
    }
    n.out[i] = new_tensor(g, dtype[i], &shape[i]);
  }
  if (!grow(g, (void **)&g->nodes, g->node_count, &g->node_cap, sizeof *g->nodes)) return (vkd_tensor){0};
  for (int i = 0; i < n.nin; i++) g->tensors[n.in[i].id].uses++;
  g->nodes[g->node_count++] = n;
  for (int i = 1; more && i < n.nout; i++) more[i - 1] = n.out[i];
  return n.out[0];
}

static struct vkd_tensor_info *add_leaf(struct vkd_graph *g, const char *name, enum vkd_dtype dtype,
                                        struct vkd_shape shape, enum vkd_tensor_kind kind, vkd_tensor *out) {
  *out = (vkd_tensor){0};
  if (g->error.status != VKD_OK) return NULL;
  if (!shape_valid(&shape)) {
    vkd__graph_fail(g, VKD_ERR_SHAPE, "%s: empty, or 2^31 or more elements", name);
    return NULL;
  }
  const char *copy = graph_printf(g, "%s", name);
  struct vkd_node node = {.op = VKD_OP_leaf, .p.reshape.shape = shape};
  *out = vkd__graph_add(g, &node, NULL);
  if (!out->id) return NULL;
  struct vkd_tensor_info *t = &g->tensors[out->id];
  t->name = copy;
  t->dtype = dtype;
  t->kind = kind;
  return t;
}

vkd_tensor vkd_input(struct vkd_graph *g, const char *name, enum vkd_dtype dtype, struct vkd_shape shape) {
  vkd_tensor out;
  add_leaf(g, name, dtype, shape, VKD_TENSOR_INPUT, &out);
  return out;
}

vkd_tensor vkd_constant(struct vkd_graph *g, const char *name, enum vkd_dtype dtype, struct vkd_shape shape,
                        const void *data) {
  vkd_tensor out;
  struct vkd_tensor_info *t = add_leaf(g, name, dtype, shape, VKD_TENSOR_CONSTANT, &out);
  if (!t) return out;
  size_t bytes = (size_t)vkd__tensor_bytes(g, out);
  void *copy = vkd__arena_alloc(&g->arena, bytes);
  if (!copy) {
    vkd__graph_fail(g, VKD_ERR_HOST_MEMORY, "%s: no memory", name);
    return out;
  }
  memcpy(copy, data, bytes);
  t->data = copy;
  return out;
}

vkd_tensor vkd__zeros(struct vkd_graph *g, const struct vkd_shape *shape) {
  vkd_tensor out;
  struct vkd_tensor_info *t = add_leaf(g, "zeros", VKD_F32, *shape, VKD_TENSOR_CONSTANT, &out);
  if (!t) return out;
  t->data = vkd__arena_alloc(&g->arena, (size_t)vkd_shape_numel(shape) * 4);
  if (!t->data) vkd__graph_fail(g, VKD_ERR_HOST_MEMORY, "no memory for zeros");
  return out;
}

vkd_tensor vkd_bound(struct vkd_graph *g, const char *name, enum vkd_dtype dtype, struct vkd_shape shape,
                     struct vkd_buffer *buffer, uint64_t offset) {
  vkd_tensor out;
  struct vkd_tensor_info *t = add_leaf(g, name, dtype, shape, VKD_TENSOR_BOUND, &out);
  if (!t) return out;
  t->buffer = buffer;
  t->offset = offset;
  return out;
}

void vkd_output(struct vkd_graph *g, vkd_tensor x) {
  if (g->error.status != VKD_OK) return;
  if (!x.id || x.id >= g->tensor_count)
    vkd__graph_fail(g, VKD_ERR_SHAPE, "an output is not a tensor of this graph");
  else
    g->tensors[x.id].output = true;
}

// The bound tensor whose storage x uses; NULL for others.
static const struct vkd_tensor_info *bound_of(const struct vkd_graph *g, vkd_tensor x) {
  uint64_t offset;
  const struct vkd_tensor_info *t = vkd__info(g, vkd__view_root(g, x, &offset));
  if (t->place.id) t = vkd__info(g, t->place);
  return t->kind == VKD_TENSOR_BOUND ? t : NULL;
}

static uint64_t info_bytes(const struct vkd_tensor_info *t) {
  return (uint64_t)vkd_shape_numel(&t->shape) * vkd_dtype_bytes(t->dtype);
}

// Whether a node from `first` on reads or writes bytes of the bound tensor d; written: whether one writes them.
static bool touched_since(const struct vkd_graph *g, uint32_t first, const struct vkd_tensor_info *d, bool written) {
  for (uint32_t i = first; i < g->node_count; i++) {
    const struct vkd_node *n = &g->nodes[i];
    if (vkd__ops[n->op].flags & (VKD_OP_LEAF | VKD_OP_VIEW)) continue;
    for (int k = 0; k < n->nin + n->nout; k++) {
      if (written && k < n->nin && !(vkd__ops[n->op].writes >> k & 1)) continue;
      const struct vkd_tensor_info *t = bound_of(g, k < n->nin ? n->in[k] : n->out[k - n->nin]);
      if (t && t->buffer == d->buffer && t->offset < d->offset + info_bytes(d) && d->offset < t->offset + info_bytes(t))
        return true;
    }
  }
  return false;
}

bool vkd__written_since(const struct vkd_graph *g, uint32_t first, vkd_tensor x) {
  const struct vkd_tensor_info *d = x.id ? bound_of(g, x) : NULL;
  return d && touched_since(g, first, d, true);
}

void vkd_place(struct vkd_graph *g, vkd_tensor x, vkd_tensor dst) {
  if (g->error.status != VKD_OK) return;
  if (g->region) {
    vkd__graph_fail(g, VKD_ERR_INTERNAL, "nothing can be placed in a region to recompute");
    return;
  }
  if (vkd__numel(g, x) != vkd__numel(g, dst) || vkd__info(g, dst)->kind != VKD_TENSOR_BOUND) {
    vkd__graph_fail(g, VKD_ERR_SHAPE, "a tensor of %lld elements cannot be placed in one of %lld",
                    (long long)vkd__numel(g, x), (long long)vkd__numel(g, dst));
    return;
  }
  if (vkd__info(g, x)->dtype != vkd__info(g, dst)->dtype) {
    vkd__graph_fail(g, VKD_ERR_DTYPE, "%s cannot be placed in %s", vkd_dtype_name(vkd__info(g, x)->dtype),
                    vkd_dtype_name(vkd__info(g, dst)->dtype));
    return;
  }
  uint64_t offset;
  struct vkd_tensor_info *t = &g->tensors[vkd__view_root(g, x, &offset).id]; // another shape of it will do
  if (t->kind == VKD_TENSOR_TEMP && vkd_shape_numel(&t->shape) == vkd__numel(g, x) && !t->place.id &&
      !touched_since(g, t->node, vkd__info(g, dst), false))
    t->place = dst;
  else
    vkd_assign(g, dst, x);
}

struct vkd_shape vkd_tensor_shape(const struct vkd_graph *g, vkd_tensor x) {
  return vkd__shape(g, x);
}
enum vkd_dtype vkd_tensor_dtype(const struct vkd_graph *g, vkd_tensor x) { return g->tensors[x.id].dtype; }
uint32_t vkd_graph_tensor_count(const struct vkd_graph *g) { return g->tensor_count; }

struct vkd_shape vkd__shape(const struct vkd_graph *g, vkd_tensor x) {
  return g->tensors[x.id].shape;
}
int64_t vkd__numel(const struct vkd_graph *g, vkd_tensor x) {
  return x.id ? vkd_shape_numel(&g->tensors[x.id].shape) : 0;
}
int64_t vkd__last(const struct vkd_graph *g, vkd_tensor x) {
  const struct vkd_shape *s = &g->tensors[x.id].shape;
  return s->rank ? s->dim[s->rank - 1] : 0;
}
int64_t vkd__rows(const struct vkd_graph *g, vkd_tensor x) {
  int64_t last = vkd__last(g, x);
  return last ? vkd__numel(g, x) / last : 0;
}

uint64_t vkd__tensor_bytes(const struct vkd_graph *g, vkd_tensor x) { return x.id ? info_bytes(vkd__info(g, x)) : 0; }

double vkd__no_flops(const struct vkd_graph *g, const struct vkd_node *node) {
  (void)g, (void)node;
  return 0;
}

double vkd__io_bytes(const struct vkd_graph *g, const struct vkd_node *node) {
  double bytes = 0;
  for (int i = 0; i < node->nin; i++)
    bytes += (double)vkd__tensor_bytes(g, node->in[i]) * ((vkd__ops[node->op].writes >> i & 1) ? 2 : 1);
  for (int i = 0; i < node->nout; i++) bytes += (double)vkd__tensor_bytes(g, node->out[i]);
  return bytes;
}

void vkd__graph_needed(const struct vkd_graph *g, uint8_t *needed) {
  for (uint32_t i = g->node_count; i-- > 0;) {
    const struct vkd_node *n = &g->nodes[i];
    needed[i] = needed[i] || vkd__ops[n->op].writes != 0;
    for (int o = 0; o < n->nout; o++) {
      const struct vkd_tensor_info *t = vkd__info(g, n->out[o]);
      needed[i] = needed[i] || t->output || t->place.id;
    }
    if (!needed[i]) continue;
    for (int k = 0; k < n->nin; k++)
      if (n->in[k].id) needed[vkd__info(g, n->in[k])->node] = 1;
  }
}

vkd_tensor vkd__view_root(const struct vkd_graph *g, vkd_tensor x, uint64_t *offset) {
  *offset = 0;
  for (;;) {
    const struct vkd_node *n = &g->nodes[vkd__info(g, x)->node];
    if (!(vkd__ops[n->op].flags & VKD_OP_VIEW)) return x;
    if (n->op == VKD_OP_slice) {
      struct vkd_shape s = vkd__shape(g, n->in[0]);
      *offset += (uint64_t)n->p.slice.begin * (vkd__tensor_bytes(g, n->in[0]) / (uint64_t)s.dim[0]);
    }
    x = n->in[0];
  }
}
