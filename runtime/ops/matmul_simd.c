// matmul_panels.comp: for drivers that run a subgroup of 8 in the vector registers of a CPU.  An operand that does not
// lie as the product reads it is copied into panels first, in fp32 whatever its dtype.
#include "graph_internal.h"
#include "matmul.h"

enum { LANES = 8 };

static uint64_t steps_of(int64_t k) { return vkd__groups((uint64_t)k, PANEL_STEPS) * PANEL_STEPS; }

// How an operand is read: `by_step` where one step of k is a row of it.
struct operand {
  vkd_tensor x;
  bool by_step;
  int64_t count, k;
  uint64_t width; // of a panel
  uint32_t form;  // MATMUL_PANELS or MATMUL_ROWS
};
struct operands {
  struct operand a, b;
  bool swapped;        // of the transposed product
  uint64_t rows, cols; // of a tile
};

static uint64_t bytes_of(const struct operand *o) {
  uint64_t filled = vkd__groups((uint64_t)o->count, o->width) * o->width;
  return o->form == MATMUL_PANELS ? filled * steps_of(o->k) * sizeof(float) : 0;
}

// Rows are read where they lie if whole rounds of them are there; steps always as panels, since the rows of a matrix
// that follow each other fall into few lines of a cache, and into a page each.
static void choose(const struct vkd_graph *g, struct operand *o, bool rows) {
  uint64_t offset; // of a view; what it looks into lies at a whole vector
  vkd__view_root(g, o->x, &offset);
  bool whole = vkd_tensor_dtype(g, o->x) == VKD_F32 && o->k % PANEL_STEPS == 0 && offset % 16 == 0;
  o->form = whole && rows && !o->by_step ? MATMUL_ROWS : MATMUL_PANELS;
}

static struct operands operands_of(const struct vkd_graph *g, const struct vkd_node *node) {
  struct matmul_dims d = vkd__matmul_dims(g, node);
  struct operand x = {.x = node->in[0], .by_step = node->p.matmul.ta, .count = d.m, .k = d.k};
  struct operand y = {.x = node->in[1], .by_step = !node->p.matmul.tb, .count = d.n, .k = d.k};
  // for a few rows of x the panels of y would cost more than the product, which reads y where it lies as the first
  // operand
  bool swapped = !y.by_step && d.m <= PANEL_COLS && d.m < d.n;
  struct operands o = {.a = swapped ? y : x, .b = swapped ? x : y, .swapped = swapped};
  bool few = o.b.count <= LANES; // half of a usual tile's lanes would idle
  o.rows = few ? 2 * PANEL_ROWS : PANEL_ROWS;
  o.cols = few ? LANES : PANEL_COLS;
  o.a.width = 2 * PANEL_ROWS;
  o.b.width = o.cols;
  choose(g, &o.a, true);
  choose(g, &o.b, false);
  return o;
}

enum vkd_form_rank matmul_simd_rank(const struct vkd_device_caps *caps, const struct vkd_graph *g,
                                    const struct vkd_node *node) {
  (void)node, (void)g;
  return caps->cpu_lanes ? VKD_FORM_BEST : VKD_FORM_NEVER;
}

uint64_t matmul_simd_scratch(const struct vkd_device_caps *caps, const struct vkd_graph *g,
                             const struct vkd_node *node) {
  (void)caps;
  struct operands o = operands_of(g, node);
  return bytes_of(&o.a) + bytes_of(&o.b);
}

// Writes the panels of an operand at `offset` of the scratch, where it wants them.
static void pack(struct vkd_lower *l, const struct operand *o, uint64_t offset) {
  if (o->form != MATMUL_PANELS) return;
  enum vkd_dtype dtype = vkd_tensor_dtype(vkd__lower_graph(l), o->x);
  struct pack_push push = {.x = vkd__read(l, o->x),
                           .y = vkd__scratch(l, offset, bytes_of(o), true),
                           .count = (uint32_t)o->count,
                           .k = (uint32_t)o->k,
                           .steps = (uint32_t)steps_of(o->k)};
  bool eights = dtype == VKD_F32 && o->by_step && o->count % LANES == 0 && o->k % PANEL_STEPS == 0;
  uint64_t floats = bytes_of(o) / sizeof(float);
  uint32_t lanes = eights ? LANES : vkd__wg_items(l);
  vkd__dispatch(l, &(struct vkd_dispatch){
                       .kernel = KERNEL_OF(dtype, pack),
                       .push = &push,
                       .push_size = sizeof push,
                       .spec = {lanes, (uint32_t)o->width, !o->by_step, eights},
                       .spec_count = 4,
                       .groups = {eights ? floats / (PANEL_STEPS * o->width) : vkd__groups(floats / 4, lanes)}});
}

static uint64_t address_of(struct vkd_lower *l, const struct operand *o, uint64_t offset) {
  return o->form == MATMUL_PANELS ? vkd__scratch(l, offset, bytes_of(o), false) : vkd__read(l, o->x);
}

void matmul_simd_lower(struct vkd_lower *l, const struct vkd_node *node) {
  struct operands o = operands_of(vkd__lower_graph(l), node);
  pack(l, &o.a, 0);
  pack(l, &o.b, bytes_of(&o.a));
  struct matmul_push push = vkd__matmul_push(l, node);
  push.a = address_of(l, &o.a, 0);
  push.b = address_of(l, &o.b, bytes_of(&o.a));
  bool few = o.cols == LANES;
  bool whole = o.swapped ? few && push.n % LANES == 0 : push.m % o.rows == 0 && push.n % o.cols == 0;
  uint64_t tiles = vkd__groups((uint64_t)o.a.count, o.rows) * vkd__groups((uint64_t)o.b.count, o.cols);
  vkd__dispatch(l, &(struct vkd_dispatch){.kernel = few ? ROUNDED(l, matmul_panels_few) : ROUNDED(l, matmul_panels),
                                          .push = &push,
                                          .push_size = sizeof push,
                                          .spec = {LANES, o.a.form, vkd__matmul_ending(l), whole, o.swapped},
                                          .spec_count = 5,
                                          .groups = {tiles}});
}
