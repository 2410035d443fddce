// Builders refuse operands that do not fit, with a status and one line that names the op.
#include "check.h"
#include "vkd/ops.h"

#include <string.h>

#define X(...) vkd_input(g, "x", VKD_F32, VKD_SHAPE(__VA_ARGS__))
#define INT(...) vkd_input(g, "i", VKD_I32, VKD_SHAPE(__VA_ARGS__))
#define NONE ((vkd_tensor){0})
#define PATCH(...) ((int[]){__VA_ARGS__})

static void expect(struct vkd_graph *g, enum vkd_status want, const char *op) {
  struct vkd_error err = {0};
  enum vkd_status got = vkd_graph_status(g, &err);
  CHECK(got == want, "%s: got %s, want %s: %s", op, vkd_status_name(got), vkd_status_name(want), err.what);
  CHECK(strstr(err.what, op) != NULL && !strchr(err.what, '\n'), "%s is not named in: %s", op, err.what);
}

#define REFUSE(status, op, ...)                                                                                        \
  do {                                                                                                                 \
    struct vkd_graph *g;                                                                                               \
    struct vkd_error err = {0};                                                                                        \
    CHECK(vkd_graph_create(&g, &err) == VKD_OK, "%s", err.what);                                                       \
    __VA_ARGS__;                                                                                                       \
    expect(g, status, op);                                                                                             \
    vkd_graph_destroy(&g);                                                                                             \
  } while (0)

static void test_elementwise(void) {
  REFUSE(VKD_ERR_SHAPE, "add", vkd_add(g, X(2, 3), X(3, 2)));
  REFUSE(VKD_ERR_DTYPE, "add", vkd_add(g, X(2, 3), INT(2, 3)));
  REFUSE(VKD_ERR_DTYPE, "gelu", vkd_gelu(g, INT(4)));
  REFUSE(VKD_ERR_SHAPE, "silu", vkd_silu(g, NONE));
  REFUSE(VKD_ERR_SHAPE, "gate_add", vkd_gate_add(g, X(2, 4, 8), X(2, 4, 8), X(4, 8)));
  REFUSE(VKD_ERR_SHAPE, "gate_add", vkd_gate_add(g, X(2, 4, 8), X(2, 8), X(2, 8)));
  REFUSE(VKD_ERR_SHAPE, "row_scale", vkd_row_scale(g, X(2, 4, 8), X(2, 4)));
  REFUSE(VKD_ERR_SHAPE, "row_scale", vkd_row_scale(g, X(8), X(8)));
  vkd_tensor many[9] = {{0}};
  REFUSE(VKD_ERR_SHAPE, "lincomb", vkd_lincomb(g, X(8), many, 8));
  REFUSE(VKD_ERR_SHAPE, "lincomb", vkd_lincomb(g, X(3), (vkd_tensor[]){X(5), X(5)}, 2));
  REFUSE(VKD_ERR_SHAPE, "lincomb", vkd_lincomb(g, X(2), (vkd_tensor[]){X(5), X(6)}, 2));
}

static void test_layout(void) {
  REFUSE(VKD_ERR_SHAPE, "concat", vkd_concat(g, (vkd_tensor[]){X(2, 3), X(2, 4)}, 2));
  REFUSE(VKD_ERR_SHAPE, "concat", vkd_concat(g, (vkd_tensor[]){X(2, 3), NONE}, 2));
  REFUSE(VKD_ERR_SHAPE, "concat", vkd_concat(g, NULL, 0));
  REFUSE(VKD_ERR_SHAPE, "matmul_batch", vkd_matmul_batch(g, X(2, 3, 4), X(3, 4, 5), false, false));
  REFUSE(VKD_ERR_SHAPE, "matmul_batch", vkd_matmul_batch(g, X(3, 4), X(4, 5), false, false));
  REFUSE(VKD_ERR_SHAPE, "patchify", vkd_patchify(g, X(1, 3, 4, 6, 5), PATCH(2, 3, 2), false));
  REFUSE(VKD_ERR_SHAPE, "patchify", vkd_patchify(g, X(1, 3, 4, 6, 4), PATCH(2, 0, 2), false));
  REFUSE(VKD_ERR_SHAPE, "patchify", vkd_patchify(g, X(3, 4, 6, 4), PATCH(1, 2, 2), false));
  REFUSE(VKD_ERR_SHAPE, "unpatchify", vkd_unpatchify(g, X(1, 12, 36), VKD_SHAPE(1, 3, 4, 6, 4), PATCH(2, 3, 2), false));
}

static void test_reductions(void) {
  REFUSE(VKD_ERR_SHAPE, "sum_rows", vkd_sum_rows(g, X(10, 3), NONE, 3));
  REFUSE(VKD_ERR_SHAPE, "sum_rows", vkd_sum_rows(g, X(10, 3), NONE, 0));
  REFUSE(VKD_ERR_SHAPE, "sum_rows", vkd_sum_rows(g, X(10, 3), X(3, 10), 1));
  REFUSE(VKD_ERR_SHAPE, "mse", vkd_mse(g, X(10), X(11)));
  REFUSE(VKD_ERR_UNSUPPORTED, "mse", {
    vkd_tensor b = X(10), grad;
    vkd_grad(g, vkd_mse(g, X(10), b), &b, 1, &grad);
  });
}

static void test_norms(void) {
  REFUSE(VKD_ERR_SHAPE, "modulation", vkd_modulation(g, X(2, 12), X(6, 5)));
  REFUSE(VKD_ERR_SHAPE, "modulation", vkd_modulation(g, X(2, 4 * 5), X(6, 5)));
  REFUSE(VKD_ERR_SHAPE, "layernorm", vkd_layernorm(g, X(6, 8), X(7), X(7), 1e-6f, false));
  REFUSE(VKD_ERR_SHAPE, "layernorm", vkd_layernorm(g, X(6, 8), X(4, 8), X(4, 8), 1e-6f, false));
  REFUSE(VKD_ERR_SHAPE, "layernorm", vkd_layernorm(g, X(6, 8), X(8), X(1, 8), 1e-6f, false));
  REFUSE(VKD_ERR_SHAPE, "rmsnorm_rope", vkd_rmsnorm_rope(g, X(2, 3, 8), X(8), NONE, 3, 1e-6f));
  REFUSE(VKD_ERR_SHAPE, "rmsnorm_rope", vkd_rmsnorm_rope(g, X(2, 3, 8), X(8), NONE, 0, 1e-6f));
  REFUSE(VKD_ERR_SHAPE, "rmsnorm_rope", vkd_rmsnorm_rope(g, X(2, 3, 8), X(9), NONE, 2, 1e-6f));
  REFUSE(VKD_ERR_SHAPE, "rmsnorm_rope", vkd_rmsnorm_rope(g, X(2, 3, 8), X(8), X(4, 2, 2), 2, 1e-6f));
  REFUSE(VKD_ERR_SHAPE, "rmsnorm_rope", vkd_rmsnorm_rope(g, X(2, 3, 6), X(6), X(3, 1, 2), 2, 1e-6f));
  REFUSE(VKD_ERR_DTYPE, "embed", vkd_embed(g, X(4, 8), X(3)));
  REFUSE(VKD_ERR_SHAPE, "embed", vkd_embed(g, X(4, 8), INT(3, 1)));
}

static void test_diffusion(void) {
  REFUSE(VKD_ERR_DTYPE, "randn", vkd_randn(g, X(4), INT(2), VKD_SHAPE(2, 3)));
  REFUSE(VKD_ERR_SHAPE, "randn", vkd_randn(g, INT(3), INT(2), VKD_SHAPE(2, 3)));
  REFUSE(VKD_ERR_SHAPE, "randn", vkd_randn(g, INT(4), INT(3), VKD_SHAPE(2, 3)));
  vkd_tensor xt, target;
  REFUSE(VKD_ERR_SHAPE, "diffuse", vkd_diffuse(g, X(2, 3), X(2, 3), X(2), &xt, &target));
  REFUSE(VKD_ERR_SHAPE, "diffuse", vkd_diffuse(g, X(2, 3), X(3, 2), X(2, 4), &xt, &target));
  REFUSE(VKD_ERR_SHAPE, "twice the channels", vkd_hybrid(g, X(2, 3, 5), X(2, 3, 5), X(2, 3, 5), X(2, 3), NULL));
  REFUSE(VKD_ERR_SHAPE, "three coefficients", vkd_hybrid(g, X(2, 6, 5), X(2, 3, 5), X(2, 3, 5), X(2, 4), NULL));
  REFUSE(VKD_ERR_INTERNAL, "zero", vkd_zero(g, X(2))); // not a bound tensor
  REFUSE(VKD_ERR_INTERNAL, "assign", vkd_assign(g, X(2), X(2)));
}

static void test_sampling(void) {
  REFUSE(VKD_ERR_SHAPE, "channels", vkd_channels(g, X(2, 3, 5), 1, 3));
  REFUSE(VKD_ERR_SHAPE, "channels", vkd_channels(g, X(2, 3, 5), -1, 1));
  REFUSE(VKD_ERR_SHAPE, "channels", vkd_channels(g, X(5), 0, 1));
  REFUSE(VKD_ERR_SHAPE, "guide", vkd_guide(g, X(2, 3, 5), X(2, 5, 3), X(3)));
  REFUSE(VKD_ERR_SHAPE, "guide", vkd_guide(g, X(2, 3, 5), X(2, 3, 5), X(2)));
  REFUSE(VKD_ERR_SHAPE, "guide", vkd_guide(g, X(3), X(3), X(3)));
  REFUSE(VKD_ERR_SHAPE, "variance_noise", vkd_variance_noise(g, X(2, 3), X(3, 2), X(2)));
  REFUSE(VKD_ERR_SHAPE, "variance_noise", vkd_variance_noise(g, X(2, 3), X(2, 3), X(3)));
}

int main(void) {
  test_elementwise();
  test_layout();
  test_reductions();
  test_norms();
  test_diffusion();
  test_sampling();
  return check_done();
}
