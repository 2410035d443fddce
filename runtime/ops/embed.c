// Rows of a table by index.
#include "push_norm.h"
#include "support.h"

// ---- embed: in table, index; p.embed.rows: K -----------------------------------------------------------------------
vkd_tensor vkd_embed(struct vkd_graph *g, vkd_tensor table, vkd_tensor index) {
  struct vkd_node node = {.op = VKD_OP_embed, .nin = 2, .in = {table, index}};
  node.p.embed.rows = vkd__rows(g, table);
  return vkd__graph_add(g, &node, NULL);
}

static bool check_embed(struct vkd_graph *g, const struct vkd_node *node) {
  vkd_tensor x = node->in[0], index = node->in[1];
  const char *op = vkd__ops[node->op].name;
  bool typed = vkd_tensor_dtype(g, x) == VKD_F32 && vkd_tensor_dtype(g, index) == VKD_I32;
  if (!typed)
    vkd__graph_fail(g, VKD_ERR_DTYPE, "%s: an fp32 tensor and an int32 index are wanted", op);
  else if (vkd__shape(g, x).rank != 2 || vkd__shape(g, index).rank != 1)
    vkd__graph_fail(g, VKD_ERR_SHAPE, "%s: %s and index %s must be [rows, d] and [R]", op, vkd__shape_text(g, x).s,
                    vkd__shape_text(g, index).s);
  else
    return true;
  return false;
}

// An index outside of the table reads row 0.
static int64_t row_of(const struct vkd_node *node, double index) {
  return index >= 0 && index < (double)node->p.embed.rows ? (int64_t)index : 0;
}

void embed_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)dtype;
  if (check_embed(g, node)) shape[0] = VKD_SHAPE(vkd__numel(g, node->in[1]), vkd__last(g, node->in[0]));
}
ROW_NO_FLOPS(embed)
double embed_bytes(const struct vkd_graph *g, const struct vkd_node *node) {
  return 8.0 * (double)vkd__numel(g, node->out[0]) + 4.0 * (double)vkd__numel(g, node->in[1]);
}
void embed_backward(struct vkd_graph *g, const struct vkd_node *node, const vkd_tensor *dout, vkd_tensor *din) {
  struct vkd_node d = {.op = VKD_OP_embed_dtable, .nin = 2, .in = {dout[0], node->in[1]}, .p = node->p};
  if (vkd__wants_grad(g, node->in[0])) din[0] = vkd__graph_add(g, &d, NULL);
}

static void lower_embed(struct vkd_lower *l, const struct vkd_node *node, enum vkd_kernel_id kernel, int64_t groups) {
  const struct vkd_graph *g = vkd__lower_graph(l);
  int64_t d = vkd__last(g, node->in[0]);
  struct embed_push push = {.table = vkd__read(l, node->in[0]),
                            .y = vkd__write(l, node->out[0]),
                            .row_index = vkd__read(l, node->in[1]),
                            .rows = (uint32_t)vkd__numel(g, node->in[1]),
                            .d = (uint32_t)d,
                            .entries = (uint32_t)node->p.embed.rows};
  vkd__dispatch_rows(l, kernel, &push, sizeof push, (uint64_t)groups, d);
}
void embed_lower(struct vkd_lower *l, const struct vkd_node *node) {
  lower_embed(l, node, VKD_K_embed, vkd__numel(vkd__lower_graph(l), node->in[1]));
}
void embed_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  int64_t d = vkd__last(g, node->in[0]), rows = vkd__numel(g, node->in[1]);
  for (int64_t r = 0; r < rows; r++)
    for (int64_t i = 0; i < d; i++) out[0][r * d + i] = in[0][row_of(node, in[1][r]) * d + i];
}

// ---- embed_dtable: in dout, index ----------------------------------------------------------------------------------
void embed_dtable_shape(struct vkd_graph *g, struct vkd_node *node, struct vkd_shape *shape, enum vkd_dtype *dtype) {
  (void)dtype;
  if (check_embed(g, node) && vkd__check_numel(g, node, 1, vkd__rows(g, node->in[0]), "one index per row"))
    shape[0] = VKD_SHAPE(node->p.embed.rows, vkd__last(g, node->in[0]));
}
ROW_FLOPS(embed_dtable, 0, 1)
ROW_IO_BYTES(embed_dtable)
ROW_NO_BACKWARD(embed_dtable)
void embed_dtable_lower(struct vkd_lower *l, const struct vkd_node *node) {
  lower_embed(l, node, VKD_K_embed_dtable, node->p.embed.rows);
}
void embed_dtable_ref(const struct vkd_graph *g, const struct vkd_node *node, double *const *in, double *const *out) {
  int64_t d = vkd__last(g, node->in[0]), rows = vkd__numel(g, node->in[1]);
  for (int64_t i = 0; i < node->p.embed.rows * d; i++) out[0][i] = 0;
  for (int64_t r = 0; r < rows; r++)
    for (int64_t i = 0; i < d; i++) out[0][row_of(node, in[1][r]) * d + i] += in[0][r * d + i];
}
