// Graphs: the first mistake stays and is told with its label; gradients of random graphs against central differences.
#include "check.h"
#include "random_graph.h"

#include <stdlib.h>
#include <string.h>

#define X(...) vkd_input(g, "x", VKD_F32, VKD_SHAPE(__VA_ARGS__))

static struct vkd_graph *new_graph(void) {
  struct vkd_graph *g;
  CHECK(vkd_graph_create(&g, NULL) == VKD_OK, "no graph");
  return g;
}

static void expect(struct vkd_graph *g, enum vkd_status want, const char *text) {
  struct vkd_error err = {0};
  CHECK(vkd_graph_status(g, &err) == want, "%s, not %s: %s", vkd_status_name(err.status), vkd_status_name(want),
        err.what);
  CHECK(strcmp(err.what, text) == 0, "'%s', not '%s'", err.what, text);
}

// ---- errors --------------------------------------------------------------------------------------------------------
static void test_sticky(void) {
  struct vkd_graph *g = new_graph();
  vkd_tensor x = X(4, 8), grad;
  vkd_graph_label_push(g, "block%d", 3);
  vkd_graph_label_push(g, "attn");
  vkd_tensor wrong = vkd_slice(g, x, 2, 3);
  CHECK(wrong.id == 0, "a mistake gives a tensor");
  vkd_graph_label_pop(g);
  vkd_graph_label_push(g, "ffn");
  uint32_t tensors = vkd_graph_tensor_count(g);
  vkd_add(g, wrong, X(2, 2));
  vkd_output(g, wrong);
  vkd_place(g, wrong, x);
  vkd_zero(g, x);
  vkd_grad(g, x, &x, 1, &grad);
  CHECK(vkd_gelu(g, x).id == 0 && grad.id == 0 && vkd_graph_tensor_count(g) == tensors,
        "builders go on after a mistake");
  expect(g, VKD_ERR_SHAPE, "block3/attn: slice of rows 2..5 of 4");
  double **values;
  CHECK(vkd_graph_ref_alloc(g, &values, NULL) == VKD_ERR_SHAPE && !values, "the reference of a graph with a mistake");
  vkd_graph_destroy(&g);
  vkd_graph_destroy(&g); // NULL inside is fine
}

static void test_labels(void) {
  struct vkd_graph *g = new_graph();
  vkd_tensor x = X(4);
  vkd_graph_label_push(g, "a");
  vkd_graph_label_push(g, "b");
  vkd_tensor y = vkd_gelu(g, x);
  vkd_graph_label_pop(g);
  vkd_tensor z = vkd_gelu(g, y);
  vkd_graph_label_pop(g);
  vkd_graph_label_pop(g); // one too many is fine
  vkd_tensor loss = vkd_mse(g, z, x), grad;
  CHECK(strcmp(g->nodes[vkd__info(g, y)->node].label, "a/b") == 0 &&
            strcmp(g->nodes[vkd__info(g, z)->node].label, "a") == 0 &&
            strcmp(g->nodes[vkd__info(g, loss)->node].label, "") == 0,
        "labels do not nest");
  vkd_tensor w = y;
  vkd_grad(g, loss, &w, 1, &grad);
  CHECK(strcmp(g->nodes[vkd__info(g, grad)->node].label, "grad/a") == 0, "the gradient's label is %s",
        g->nodes[vkd__info(g, grad)->node].label);
  for (int i = 0; i <= VKD_LABEL_DEPTH; i++) vkd_graph_label_push(g, "d");
  expect(g, VKD_ERR_INTERNAL, "d/d/d/d/d/d/d/d: labels nest deeper than 8");
  vkd_graph_destroy(&g);
}

#define MISTAKE(status, text, ...)                                                                                     \
  do {                                                                                                                 \
    struct vkd_graph *g = new_graph();                                                                                 \
    vkd_tensor x = X(4, 8), grads[2];                                                                                  \
    (void)x, (void)grads;                                                                                              \
    __VA_ARGS__;                                                                                                       \
    expect(g, status, text);                                                                                           \
    vkd_graph_destroy(&g);                                                                                             \
  } while (0)

static void test_mistakes(void) {
  vkd_tensor none = {0};
  MISTAKE(VKD_ERR_SHAPE, "reshape of 32 elements to 33", vkd_reshape(g, x, VKD_SHAPE(3, 11)));
  MISTAKE(VKD_ERR_SHAPE, "matmul of 4 x 8 and 4 x 8", vkd_matmul(g, x, x, false, false, none, none));
  MISTAKE(VKD_ERR_SHAPE, "matmul: the added tensor has not the shape of the product",
          vkd_matmul(g, x, x, false, true, none, x));
  MISTAKE(VKD_ERR_SHAPE, "matmul: a bias of 5 elements for 4 columns", vkd_matmul(g, x, x, false, true, X(5), none));
  MISTAKE(VKD_ERR_SHAPE, "x: empty, or 2^31 or more elements", X(0));
  MISTAKE(VKD_ERR_SHAPE, "x: empty, or 2^31 or more elements", X(-3, 4));
  MISTAKE(VKD_ERR_SHAPE, "x: empty, or 2^31 or more elements", X(65536, 32768));
  MISTAKE(VKD_ERR_SHAPE, "x: empty, or 2^31 or more elements", X(INT64_MAX, INT64_MAX));
  MISTAKE(VKD_ERR_SHAPE, "slice of rows 1..9223372036854775807 of 4", vkd_slice(g, x, 1, INT64_MAX - 1));
  MISTAKE(VKD_ERR_SHAPE, "slice of rows -1..0 of 4", vkd_slice(g, x, -1, 1));
  MISTAKE(VKD_ERR_SHAPE, "an output is not a tensor of this graph", vkd_output(g, none));
  MISTAKE(VKD_ERR_SHAPE, "an output is not a tensor of this graph", vkd_output(g, (vkd_tensor){77}));
  MISTAKE(VKD_ERR_SHAPE, "gelu: input 0 is not a tensor of this graph", vkd_gelu(g, (vkd_tensor){77}));
  MISTAKE(VKD_ERR_SHAPE, "a tensor of 32 elements cannot be placed in one of 32", vkd_place(g, vkd_gelu(g, x), x));
  // Tensors of 16 bits where they do not belong
  MISTAKE(VKD_ERR_SHAPE, "cast: input 0 is not a tensor of this graph", vkd_cast(g, (vkd_tensor){77}, VKD_F16));
  MISTAKE(VKD_ERR_DTYPE, "cast of fp16 to bf16", vkd_cast(g, vkd_cast(g, x, VKD_F16), VKD_BF16));
  MISTAKE(VKD_ERR_DTYPE, "cast of fp32 to int32", vkd_cast(g, x, VKD_I32));
  MISTAKE(VKD_ERR_DTYPE, "cast of int32 to bf16", vkd_cast(g, vkd_input(g, "i", VKD_I32, VKD_SHAPE(3)), VKD_BF16));
  MISTAKE(VKD_ERR_DTYPE, "gelu: input 0 is not fp32", vkd_gelu(g, vkd_cast(g, x, VKD_F16)));
  MISTAKE(VKD_ERR_DTYPE, "matmul: input 1 is fp32, not fp16",
          vkd_matmul(g, vkd_cast(g, x, VKD_F16), x, false, true, none, none));
  MISTAKE(VKD_ERR_DTYPE, "matmul: input 1 is bf16, not fp16",
          vkd_matmul(g, vkd_cast(g, x, VKD_F16), vkd_cast(g, x, VKD_BF16), false, true, none, none));
  MISTAKE(VKD_ERR_DTYPE, "matmul: input 3 is bf16, not fp32",
          vkd_matmul(g, vkd_cast(g, x, VKD_BF16), vkd_cast(g, x, VKD_BF16), true, false, none,
                     vkd_cast(g, X(8, 8), VKD_BF16)));
  // Gradients that cannot be had
  MISTAKE(VKD_ERR_SHAPE, "a loss has one element, not 32", vkd_grad(g, x, &x, 1, grads));
  MISTAKE(VKD_ERR_UNSUPPORTED, "the loss does not depend on w", {
    vkd_tensor w[2] = {x, vkd_input(g, "w", VKD_F32, VKD_SHAPE(3))};
    vkd_grad(g, vkd_mse(g, x, X(4, 8)), w, 2, grads);
  });
  MISTAKE(VKD_ERR_UNSUPPORTED, "grad/here: sum_squares has no gradient", {
    vkd_graph_label_push(g, "here");
    vkd_tensor loss = vkd_sum_squares(g, x);
    vkd_graph_label_pop(g);
    vkd_grad(g, loss, &x, 1, grads);
  });
  MISTAKE(VKD_ERR_UNSUPPORTED, "the slices used of one tensor overlap, or are more than 8", {
    vkd_tensor y = vkd_add(g, vkd_slice(g, x, 0, 2), vkd_slice(g, x, 1, 2));
    vkd_grad(g, vkd_mse(g, y, X(2, 8)), &x, 1, grads);
  });
}

// ---- gradients -----------------------------------------------------------------------------------------------------
static double loss_of(const struct vkd_graph *g, double **values, vkd_tensor loss) {
  struct vkd_error err = {0};
  CHECK(vkd_graph_ref_run(g, values, &err) == VKD_OK, "%s", err.what);
  return values[loss.id][0];
}

static int graphs_checked;

// d loss / d leaf against central differences along a random direction of each leaf.
static void check_gradients(struct random_graph *r, vkd_tensor loss, const char *what, uint64_t seed) {
  vkd_tensor wrt[RG_LEAVES], grads[RG_LEAVES];
  struct vkd_error err = {0};
  double **values = NULL, *direction[RG_LEAVES], *want = NULL;
  struct vkd_graph *g = r->g;
  g->unrounded = true;
  int n = rg_gradients(r, loss, (vkd_tensor){0}, wrt, grads);
  bool overlap = rg_overlaps(r); // such graphs are refused, and tested above
  if (overlap || vkd_graph_ref_alloc(g, &values, &err) != VKD_OK) {
    CHECK(overlap, "%s %llu: %s", what, (unsigned long long)seed, err.what);
    return;
  }
  for (int i = 0; i < r->leaf_count; i++)
    for (int64_t k = 0; k < vkd__numel(g, r->leaves[i]); k++) values[r->leaves[i].id][k] = rg_uniform(r);
  loss_of(g, values, loss);
  graphs_checked++;
  want = calloc((size_t)n + 1, sizeof *want);
  double scale = 0;
  for (int i = 0; i < n; i++) {
    int64_t count = vkd__numel(g, wrt[i]);
    CHECK(count == vkd__numel(g, grads[i]), "%s %llu: a gradient of %lld elements for %lld", what,
          (unsigned long long)seed, (long long)vkd__numel(g, grads[i]), (long long)count);
    direction[i] = malloc((size_t)count * sizeof *direction[i]);
    for (int64_t k = 0; k < count; k++) {
      direction[i][k] = rg_uniform(r);
      want[i] += direction[i][k] * values[grads[i].id][k];
      scale += fabs(direction[i][k] * values[grads[i].id][k]);
    }
  }
  for (int i = 0; i < n; i++) {
    double at[2], h = 1e-5;
    for (int side = 0; side < 2; side++) {
      for (int64_t k = 0; k < vkd__numel(g, wrt[i]); k++) values[wrt[i].id][k] += (side ? -2 : 1) * h * direction[i][k];
      at[side] = loss_of(g, values, loss);
    }
    for (int64_t k = 0; k < vkd__numel(g, wrt[i]); k++) values[wrt[i].id][k] += h * direction[i][k];
    // Central differences err by h^2 times a third derivative (1e-10 times some hundreds here) and rounding (1e-16
    // |loss| / h).
    CHECK_NEAR((at[0] - at[1]) / (2 * h), want[i], 1e-6 * scale + 1e-9 * fabs(at[0]));
    if (!(fabs((at[0] - at[1]) / (2 * h) - want[i]) <= 1e-6 * scale + 1e-9 * fabs(at[0])))
      fprintf(stderr, "  %s %llu, leaf %d of %d\n", what, (unsigned long long)seed, i, n);
  }
  for (int i = 0; i < n; i++) free(direction[i]);
  free(want);
  free(values);
}

static void test_random_gradients(uint64_t seed) {
  struct random_graph r;
  struct vkd_error err = {0};
  CHECK(rg_build(&r, seed, 12, 5, true, NULL, &err) == VKD_OK, "seed %llu: %s", (unsigned long long)seed, err.what);
  check_gradients(&r, rg_loss(&r, 2), "random graph", seed);
  vkd_graph_destroy(&r.g);
}

// The sum of a gradient and a product is folded into the product; a gradient that two tensors share must stay as it is.
static void test_shared_gradients(void) {
  for (uint64_t seed = 0; seed < 6; seed++) {
    struct random_graph r;
    struct vkd_error err = {0};
    vkd_tensor none = {0};
    CHECK(rg_build(&r, seed, 0, 5, true, NULL, &err) == VKD_OK, "%s", err.what);
    vkd_tensor a = rg_leaf(&r, 3, 4), b = rg_leaf(&r, 3, 4), w = rg_leaf(&r, 4, 4), z;
    if (seed & 1) a = vkd_matmul(r.g, a, w, false, false, none, none); // inside, a gradient is a product itself
    z = vkd_add(r.g, a, b);
    if (seed / 2 == 1) z = vkd_add(r.g, z, a);
    if (seed / 2 == 2)
      z = vkd_add(r.g, vkd_matmul(r.g, z, w, false, true, none, a), vkd_matmul(r.g, b, w, false, false, none, z));
    vkd_tensor p = vkd_matmul(r.g, a, w, false, false, none, none), q = vkd_matmul(r.g, b, w, false, true, none, none);
    vkd_tensor s = vkd_matmul(r.g, a, a, false, true, none, none); // both operands
    vkd_tensor loss =
        vkd_add(r.g, vkd_add(r.g, rg_mse(&r, z), rg_mse(&r, p)), vkd_add(r.g, rg_mse(&r, q), rg_mse(&r, s)));
    check_gradients(&r, loss, "shared gradients", seed);
    vkd_graph_destroy(&r.g);
  }
}

// Slices in any order, with gaps between and around, one used twice, beside a use of the whole.
static void test_slices(void) {
  for (uint64_t seed = 0; seed < 4; seed++) {
    struct random_graph r;
    struct vkd_error err = {0};
    CHECK(rg_build(&r, seed, 0, 5, true, NULL, &err) == VKD_OK, "%s", err.what);
    vkd_tensor x = rg_leaf(&r, 11, 3), loss = rg_mse(&r, vkd_gelu(r.g, vkd_slice(r.g, x, 7, 2)));
    if (seed & 1) loss = vkd_add(r.g, loss, rg_mse(&r, vkd_silu(r.g, vkd_slice(r.g, x, 1, 3))));
    if (seed & 1) loss = vkd_add(r.g, loss, rg_mse(&r, vkd_slice(r.g, vkd_slice(r.g, x, 1, 3), 1, 1)));
    if (seed & 1) loss = vkd_add(r.g, loss, rg_mse(&r, vkd_slice(r.g, x, 5, 1)));
    if (seed & 2) loss = vkd_add(r.g, loss, rg_mse(&r, vkd_gelu(r.g, x)));
    int before = graphs_checked;
    check_gradients(&r, loss, "slices", seed);
    CHECK(graphs_checked == before + 1, "slices that do not overlap are refused: %s", r.g->error.what);
    vkd_graph_destroy(&r.g);
  }
}

int main(void) {
  test_sticky();
  test_labels();
  test_mistakes();
  test_shared_gradients();
  test_slices();
  for (uint64_t seed = 1; seed <= 250; seed++) test_random_gradients(seed);
  CHECK(graphs_checked >= 100, "only %d graphs could be differentiated", graphs_checked);
  printf("%d graphs differentiated\n", graphs_checked);
  return check_done();
}
