#include "fuse.h"

// Ops that can end a product, and the input that the product is.  matmul.c tells the kernels.
static const struct {
  enum vkd_op op;
  int operand;
} endings[] = {
    {VKD_OP_gelu, 0}, {VKD_OP_gelu_dx, 1}, {VKD_OP_gate_add, 1}, {VKD_OP_add, 0}, {VKD_OP_add, 1},
};

static bool works(const struct vkd_graph *g, const uint8_t *needed, uint32_t i) {
  return needed[i] && !(vkd__ops[g->nodes[i].op].flags & (VKD_OP_LEAF | VKD_OP_VIEW));
}

static bool looks_into(const struct vkd_graph *g, vkd_tensor x, vkd_tensor product) {
  uint64_t offset;
  return x.id && vkd__view_root(g, x, &offset).id == product.id;
}

// Whether node `end` takes the whole product as that operand, and as no other.
static bool takes(const struct vkd_graph *g, const struct vkd_node *end, int operand, vkd_tensor product) {
  for (int k = 0; k < end->nin; k++)
    if (looks_into(g, end->in[k], product) != (k == operand)) return false;
  return vkd__numel(g, end->in[operand]) == vkd__numel(g, product);
}

static const struct vkd_buffer *buffer_of(const struct vkd_graph *g, vkd_tensor x) {
  uint64_t offset;
  const struct vkd_tensor_info *t = vkd__info(g, vkd__view_root(g, x, &offset));
  return t->place.id ? vkd__info(g, t->place)->buffer : t->buffer;
}

// Whether the end's result may lie where its product's kernel still reads.
static bool overwrites(const struct vkd_graph *g, const struct vkd_node *node, const struct vkd_node *end) {
  vkd_tensor place = vkd__info(g, end->out[0])->place;
  for (int k = 0; place.id && k < node->nin; k++)
    if (node->in[k].id && buffer_of(g, node->in[k]) == vkd__info(g, place)->buffer) return true;
  for (int k = 0; place.id && k < end->nin; k++)
    if (buffer_of(g, end->in[k]) == vkd__info(g, place)->buffer) return true;
  return false;
}

static bool read_elsewhere(const struct vkd_graph *g, const uint8_t *needed, vkd_tensor x, uint32_t end) {
  if (vkd__info(g, x)->place.id) return true;
  for (uint32_t t = x.id; t < g->tensor_count; t++)
    if (g->tensors[t].output && looks_into(g, (vkd_tensor){t}, x)) return true;
  for (uint32_t i = vkd__info(g, x)->node + 1; i < g->node_count; i++)
    for (int k = 0; i != end && works(g, needed, i) && k < g->nodes[i].nin; k++)
      if (looks_into(g, g->nodes[i].in[k], x)) return true;
  return false;
}

static struct vkd_fused ending_of(const struct vkd_graph *g, const uint8_t *needed, uint32_t i) {
  struct vkd_fused none = {0};
  uint32_t next = i + 1;
  if (g->nodes[i].op != VKD_OP_matmul) return none;
  while (next < g->node_count && !works(g, needed, next)) next++;
  if (next == g->node_count) return none;
  vkd_tensor product = g->nodes[i].out[0];
  const struct vkd_node *end = &g->nodes[next];
  if (overwrites(g, &g->nodes[i], end)) return none;
  for (size_t k = 0; k < sizeof endings / sizeof endings[0]; k++)
    if (endings[k].op == end->op && takes(g, end, endings[k].operand, product))
      return (struct vkd_fused){next, endings[k].operand, !read_elsewhere(g, needed, product, next), 0, false};
  return none;
}

// The first cast of the whole of x to 16 bits, 0: none.  It may be done as soon as x is there, since nothing writes a
// temporary again; what lies in bound storage is another matter.
static uint32_t cast_of(const struct vkd_graph *g, const uint8_t *needed, vkd_tensor x) {
  if (vkd__info(g, x)->place.id) return 0;
  for (uint32_t i = vkd__info(g, x)->node + 1; i < g->node_count; i++) {
    const struct vkd_node *n = &g->nodes[i];
    if (n->op == VKD_OP_cast && works(g, needed, i) && takes(g, n, 0, x) && !vkd__info(g, n->out[0])->place.id)
      return i;
  }
  return 0;
}

// Products of fp32 have no kernels that round.
static bool rounds(const struct vkd_graph *g, const struct vkd_node *node) {
  return vkd__ops[node->op].flags & VKD_OP_ROUNDS &&
         (node->op != VKD_OP_matmul || vkd_dtype_16bit(vkd_tensor_dtype(g, node->in[0])));
}

struct vkd_fused vkd__fuse(const struct vkd_graph *g, const uint8_t *needed, uint32_t i) {
  const struct vkd_node *node = &g->nodes[i];
  if (!works(g, needed, i)) return (struct vkd_fused){0};
  struct vkd_fused fused = ending_of(g, needed, i);
  if (!rounds(g, node)) return fused;
  vkd_tensor result = g->nodes[fused.node ? fused.node : i].out[0];
  fused.cast = cast_of(g, needed, result);
  fused.narrow = fused.cast && !read_elsewhere(g, needed, result, fused.cast);
  if (!fused.node) fused.hidden = fused.narrow;
  return fused;
}
