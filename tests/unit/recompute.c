// Regions that the gradient computes again: the same gradients to the bit, no node too many, less storage; mistakes.
#include "check.h"
#include "random_graph.h"
#include "plan.h"

enum { GRAPHS = 300 };

static bool starts(const char *label, const char *with) { return strncmp(label, with, strlen(with)) == 0; }

static int copies_of(const struct vkd_graph *g) {
  int n = 0;
  for (uint32_t i = 0; i < g->node_count; i++) n += starts(g->nodes[i].label, "recompute/");
  return n;
}

static uint64_t storage_of(const struct vkd_graph *g) {
  struct vkd_plan *plan;
  struct vkd_error err = {0};
  uint64_t sum = 0;
  CHECK(vkd__plan_create(&plan, g, &(struct vkd_form_choice){.caps = &(struct vkd_device_caps){.name = "fake"}},
                         (uint64_t)1 << 40, true, &err) == VKD_OK,
        "%s", err.what);
  for (uint32_t i = 0; plan && i < plan->chunks; i++) sum += plan->chunk_bytes[i];
  vkd__plan_destroy(&plan);
  return sum;
}

static void expect(struct vkd_graph *g, enum vkd_status want, const char *text) {
  struct vkd_error err = {0};
  CHECK(vkd_graph_status(g, &err) == want, "%s, not %s: %s", vkd_status_name(err.status), vkd_status_name(want),
        err.what);
  CHECK(strcmp(err.what, text) == 0, "'%s', not '%s'", err.what, text);
}

// ---- random graphs -------------------------------------------------------------------------------------------------
struct differentiated {
  struct random_graph r;
  vkd_tensor loss, wrt[RG_LEAVES], grads[RG_LEAVES];
  int count;
  double **values;
};

static bool differentiate(struct differentiated *d, uint64_t seed, bool regions) {
  struct vkd_error err = {0};
  rg_regions = regions;
  CHECK(rg_build(&d->r, seed, 40, 9, true, NULL, &err) == VKD_OK, "seed %llu: %s", (unsigned long long)seed, err.what);
  vkd_tensor other =
      seed % 3 ? (vkd_tensor){0} : d->r.pool[rg_below(&d->r, d->r.pool_count)]; // a region may hand it on
  d->loss = rg_loss(&d->r, 8);
  d->count = rg_gradients(&d->r, d->loss, other, d->wrt, d->grads);
  d->values = NULL;
  if (rg_overlaps(&d->r)) return false;
  CHECK(vkd_graph_ref_alloc(d->r.g, &d->values, &err) == VKD_OK, "seed %llu: %s", (unsigned long long)seed, err.what);
  for (int i = 0; i < d->r.leaf_count && d->values; i++)
    for (int64_t k = 0; k < vkd__numel(d->r.g, d->r.leaves[i]); k++)
      d->values[d->r.leaves[i].id][k] = rg_uniform(&d->r);
  CHECK(d->values && vkd_graph_ref_run(d->r.g, d->values, &err) == VKD_OK, "seed %llu: %s", (unsigned long long)seed,
        err.what);
  return d->values != NULL;
}

static bool of_gradient(const struct vkd_node *n) {
  return starts(n->label, "grad/") || starts(n->label, "recompute/");
}

// The gradient reads of a region what it hands on to the rest of the forward pass, and parts of what it was given.
static void check_reads(const struct vkd_graph *g, uint64_t seed) {
  uint8_t *handed_on = calloc(g->tensor_count, 1);
  uint64_t offset;
  for (uint32_t i = 0; i < g->node_count; i++)
    for (int k = 0; k < g->nodes[i].nin; k++) {
      vkd_tensor x = g->nodes[i].in[k];
      const struct vkd_tensor_info *t = vkd__info(g, x);
      if (!x.id || !g->nodes[t->node].region) continue;
      const struct vkd_node *root = &g->nodes[vkd__info(g, vkd__view_root(g, x, &offset))->node];
      if (!of_gradient(&g->nodes[i]))
        handed_on[x.id] |= t->output || g->nodes[i].region != g->nodes[t->node].region;
      else // after the forward pass in the order of nodes
        CHECK(handed_on[x.id] || t->output || root->op == VKD_OP_leaf || root->region != g->nodes[t->node].region,
              "seed %llu: node %u (%s) keeps tensor %u of a region", (unsigned long long)seed, i,
              vkd__ops[g->nodes[i].op].name, x.id);
    }
  free(handed_on);
}

// Nodes know their place, read only what was made before them, and are copied only where somebody needs the copy.
static void check_nodes(const struct vkd_graph *g, uint64_t seed) {
  uint8_t *needed = calloc(g->node_count, 1);
  uint32_t *uses = calloc(g->tensor_count, sizeof *uses);
  vkd__graph_needed(g, needed);
  for (uint32_t i = 0; i < g->node_count; i++) {
    const struct vkd_node *n = &g->nodes[i];
    for (int o = 0; o < n->nout; o++)
      CHECK(vkd__info(g, n->out[o])->node == i, "seed %llu: node %u does not know its place", (unsigned long long)seed,
            i);
    for (int k = 0; k < n->nin; k++) {
      CHECK(!n->in[k].id || vkd__info(g, n->in[k])->node < i, "seed %llu: node %u reads what comes later",
            (unsigned long long)seed, i);
      uses[n->in[k].id]++;
    }
    CHECK(needed[i] || !starts(n->label, "recompute/"), "seed %llu: node %u (%s) is computed again for nobody",
          (unsigned long long)seed, i, vkd__ops[n->op].name);
    CHECK(n->region == 0 || !starts(n->label, "recompute/"), "seed %llu: copy %u is in a region",
          (unsigned long long)seed, i);
  }
  for (uint32_t t = 1; t < g->tensor_count; t++)
    CHECK(uses[t] == g->tensors[t].uses, "seed %llu: tensor %u has %u uses, not %u", (unsigned long long)seed, t,
          g->tensors[t].uses, uses[t]);
  free(needed);
  free(uses);
}

static int compared, copied;

static void test_random(uint64_t seed) {
  static struct differentiated plain, again;
  bool first = differentiate(&plain, seed, false), second = differentiate(&again, seed, true), both = first && second;
  CHECK((plain.values == NULL) == (again.values == NULL) && plain.count == again.count, "seed %llu: graphs differ",
        (unsigned long long)seed);
  if (both) {
    const struct vkd_graph *a = plain.r.g, *b = again.r.g;
    compared++;
    copied += copies_of(b);
    CHECK(copies_of(a) == 0 && b->node_count == a->node_count + (uint32_t)copies_of(b),
          "seed %llu: %u nodes, %u without regions", (unsigned long long)seed, b->node_count, a->node_count);
    CHECK(plain.values[plain.loss.id][0] == again.values[again.loss.id][0], "seed %llu: the loss differs",
          (unsigned long long)seed);
    for (int i = 0; i < plain.count; i++)
      CHECK(memcmp(plain.values[plain.grads[i].id], again.values[again.grads[i].id],
                   (size_t)vkd__numel(a, plain.grads[i]) * sizeof(double)) == 0,
            "seed %llu: gradient %d differs", (unsigned long long)seed, i);
    check_nodes(a, seed);
    check_nodes(b, seed);
    check_reads(b, seed);
  }
  free(plain.values);
  free(again.values);
  vkd_graph_destroy(&plain.r.g);
  vkd_graph_destroy(&again.r.g);
}

// ---- graphs that can be told by hand -------------------------------------------------------------------------------
enum { DEPTH = 6, ROWS = 64, WIDTH = 16, WIDE = 64 };

// x + gelu(x Wᵀ) Vᵀ, DEPTH times
static struct vkd_graph *chain(bool regions, bool frozen, vkd_tensor *loss, vkd_tensor *grads, int *count) {
  struct vkd_graph *g;
  vkd_tensor none = {0}, wrt[2 * DEPTH];
  CHECK(vkd_graph_create(&g, NULL) == VKD_OK, "no graph");
  vkd_tensor x = vkd_input(g, "x", VKD_F32, VKD_SHAPE(ROWS, WIDTH));
  *count = 0;
  for (int i = 0; i < DEPTH; i++) {
    vkd_tensor w = vkd_input(g, "w", VKD_F32, VKD_SHAPE(WIDE, WIDTH));
    vkd_tensor v = vkd_input(g, "v", VKD_F32, VKD_SHAPE(WIDTH, WIDE));
    vkd_graph_label_push(g, "block%d", i);
    if (regions) vkd_graph_recompute_begin(g);
    vkd_tensor h = vkd_gelu(g, vkd_matmul(g, x, w, false, true, none, none));
    x = vkd_matmul(g, h, v, false, true, none, x);
    if (regions) vkd_graph_recompute_end(g);
    vkd_graph_label_pop(g);
    if (!frozen) wrt[(*count)++] = w;
    if (!frozen || i == 0) wrt[(*count)++] = frozen ? w : v;
  }
  *loss = vkd_mse(g, x, vkd_input(g, "target", VKD_F32, VKD_SHAPE(ROWS, WIDTH)));
  vkd_output(g, *loss);
  if (*count) vkd_grad(g, *loss, wrt, *count, grads);
  for (int i = 0; i < *count; i++) vkd_output(g, grads[i]);
  expect(g, VKD_OK, "");
  return g;
}

static void test_chain(void) {
  vkd_tensor loss, grads[2 * DEPTH];
  int count;
  struct vkd_graph *plain = chain(false, false, &loss, grads, &count);
  struct vkd_graph *again = chain(true, false, &loss, grads, &count);
  // of every block: the product that gelu's gradient reads, and gelu for the second product's
  CHECK(copies_of(again) == 2 * DEPTH, "%d copies, not %d", copies_of(again), 2 * DEPTH);
  uint32_t at = 0;
  while (at < again->node_count && !starts(again->nodes[at].label, "recompute/")) at++;
  CHECK(at < again->node_count && strcmp(again->nodes[at].label, "recompute/block5") == 0, "the first copy is of '%s'",
        at < again->node_count ? again->nodes[at].label : "none");
  // Without: 2 wide tensors a block and the narrow one.  With: narrow ones, and one block's; gradients are outputs.
  uint64_t outputs = (uint64_t)count * WIDTH * WIDE * 4, wide = ROWS * WIDE * 4, narrow = ROWS * WIDTH * 4;
  uint64_t a = storage_of(plain), b = storage_of(again);
  CHECK(a >= 2 * DEPTH * wide, "%llu bytes without regions", (unsigned long long)a);
  CHECK(b <= outputs + 5 * wide + (DEPTH + 2) * narrow, "%llu bytes with regions, %llu without", (unsigned long long)b,
        (unsigned long long)a);
  vkd_graph_destroy(&plain);
  vkd_graph_destroy(&again);
  // Frozen weights but the first: the later blocks' gelu is read by nobody.
  again = chain(true, true, &loss, grads, &count);
  CHECK(copies_of(again) == DEPTH, "%d copies with frozen weights, not %d", copies_of(again), DEPTH);
  vkd_graph_destroy(&again);
}

// What is handed on is there: nobody computes it again.
static void test_handed_on(bool to_host) {
  struct vkd_graph *g;
  vkd_tensor none = {0}, wrt[2], grads[2];
  CHECK(vkd_graph_create(&g, NULL) == VKD_OK, "no graph");
  vkd_tensor x = vkd_input(g, "x", VKD_F32, VKD_SHAPE(ROWS, WIDTH));
  wrt[0] = vkd_input(g, "w", VKD_F32, VKD_SHAPE(WIDE, WIDTH));
  wrt[1] = vkd_input(g, "v", VKD_F32, VKD_SHAPE(WIDTH, WIDE));
  vkd_graph_recompute_begin(g);
  vkd_tensor h = vkd_gelu(g, vkd_matmul(g, x, wrt[0], false, true, none, none));
  vkd_tensor y = vkd_matmul(g, h, wrt[1], false, true, none, x);
  vkd_graph_recompute_end(g);
  vkd_tensor loss = vkd_mse(g, y, x);
  if (to_host)
    vkd_output(g, h);
  else
    loss = vkd_add(g, loss, vkd_mse(g, vkd_silu(g, h), vkd_input(g, "target", VKD_F32, VKD_SHAPE(ROWS, WIDE))));
  vkd_grad(g, loss, wrt, 2, grads);
  expect(g, VKD_OK, "");
  CHECK(copies_of(g) == 1, "%d copies, not 1", copies_of(g)); // the product that gelu's gradient reads
  vkd_graph_destroy(&g);
}

#define X(...) vkd_input(g, "x", VKD_F32, VKD_SHAPE(__VA_ARGS__))
#define CASE(status, text, ...)                                                                                        \
  do {                                                                                                                 \
    struct vkd_graph *g;                                                                                               \
    vkd_tensor none = {0}, grad;                                                                                       \
    CHECK(vkd_graph_create(&g, NULL) == VKD_OK, "no graph");                                                           \
    (void)none, (void)grad;                                                                                            \
    __VA_ARGS__;                                                                                                       \
    expect(g, status, text);                                                                                           \
    vkd_graph_destroy(&g);                                                                                             \
  } while (0)

// A region that reads a bound tensor, which is then written, before the gradient or after it.
static vkd_tensor bound_region(struct vkd_graph *g, vkd_tensor *w) {
  *w = vkd_bound(g, "w", VKD_F32, VKD_SHAPE(8, 8), NULL, 0);
  vkd_tensor none = {0};
  vkd_graph_recompute_begin(g);
  vkd_tensor y = vkd_gelu(g, vkd_matmul(g, X(4, 8), vkd_reshape(g, *w, VKD_SHAPE(8, 8)), false, true, none, none));
  vkd_graph_recompute_end(g);
  return vkd_mse(g, y, X(4, 8));
}

static void test_mistakes(void) {
  vkd_tensor w, loss;
  CASE(VKD_ERR_INTERNAL, "regions to recompute do not nest", {
    vkd_graph_recompute_begin(g);
    vkd_graph_recompute_begin(g);
  });
  CASE(VKD_ERR_INTERNAL, "no region to recompute has begun", vkd_graph_recompute_end(g));
  CASE(VKD_ERR_INTERNAL, "zero writes a bound tensor: it cannot be in a region to recompute", {
    w = vkd_bound(g, "w", VKD_F32, VKD_SHAPE(8), NULL, 0);
    vkd_graph_recompute_begin(g);
    vkd_zero(g, w);
  });
  CASE(VKD_ERR_INTERNAL, "nothing can be placed in a region to recompute", {
    w = vkd_bound(g, "w", VKD_F32, VKD_SHAPE(8), NULL, 0);
    vkd_graph_recompute_begin(g);
    vkd_place(g, vkd_gelu(g, X(8)), w);
  });
  CASE(VKD_ERR_INTERNAL, "a region to recompute has not ended", {
    vkd_graph_recompute_begin(g);
    w = X(8);
    vkd_grad(g, vkd_mse(g, vkd_gelu(g, w), X(8)), &w, 1, &grad);
  });
  CASE(VKD_ERR_UNSUPPORTED, "recompute/: matmul: a bound tensor that it reads was written before the gradient", {
    loss = bound_region(g, &w);
    vkd_zero(g, w);
    vkd_grad(g, loss, &w, 1, &grad);
  });
  CASE(VKD_OK, "", {
    loss = bound_region(g, &w);
    vkd_zero(g, vkd_bound(g, "other", VKD_F32, VKD_SHAPE(8), NULL, 256));
    vkd_grad(g, loss, &w, 1, &grad);
    vkd_zero(g, w);
    CHECK(copies_of(g) == 1, "%d copies, not 1", copies_of(g));
  });
  CASE(VKD_OK, "", { // without a gradient: nothing
    loss = bound_region(g, &w);
    CHECK(copies_of(g) == 0, "%d copies without a gradient", copies_of(g));
  });
}

int main(void) {
  test_chain();
  test_handed_on(false);
  test_handed_on(true);
  test_mistakes();
  for (uint64_t seed = 1; seed <= GRAPHS; seed++) test_random(seed);
  CHECK(compared > GRAPHS / 3 && copied > 3 * compared, "%d graphs compared, %d nodes copied", compared, copied);
  printf("%d graphs compared, %d nodes computed again\n", compared, copied);
  return check_done();
}
