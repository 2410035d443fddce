#include "vkdm/peak.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vkd/ops.h"
#include "vkd/profile.h"
#include "vkdm/random_fill.h"

enum { FIRST = 512, LAST = 8192, RUNS = 5, COPY_ROWS = 4096, COPY_COLS = 4096 };
static const double enough_s = 0.02; // a matmul of that length has no launch overhead to speak of

// One op on two random matrices [rows, cols].
struct probe {
  const char *op;
  vkd_tensor (*build)(struct vkd_graph *g, vkd_tensor a, vkd_tensor b);
  enum vkd_dtype dtype;
  int rows, cols;
};

static vkd_tensor product(struct vkd_graph *g, vkd_tensor a, vkd_tensor b) {
  return vkd_matmul(g, a, b, false, true, (vkd_tensor){0}, (vkd_tensor){0});
}

// Seconds of the op, the best of RUNS.
static enum vkd_status time_probe(struct vkd_device *dev, const struct probe *probe, double *seconds,
                                  struct vkd_error *err) {
  struct vkd_graph *g = NULL;
  struct vkd_program *program = NULL;
  struct vkd_op_profile *rows = NULL;
  uint32_t count = 0;
  vkd_tensor in[2], operand[2];
  *seconds = INFINITY;
  enum vkd_status st = vkd_graph_create(&g, err);
  if (st != VKD_OK) return st;
  for (int i = 0; i < 2; i++) {
    in[i] = vkd_input(g, "x", VKD_F32, VKD_SHAPE(probe->rows, probe->cols));
    operand[i] = vkd_cast(g, in[i], probe->dtype);
  }
  vkd_output(g, vkd_sum_squares(g, probe->build(g, operand[0], operand[1]))); // the whole is not copied to the host
  st = vkd_program_create(&program, &(struct vkd_program_params){.device = dev, .graph = g}, err);
  for (uint32_t i = 0; i < 2 && st == VKD_OK; i++)
    random_fill(vkd_program_input(program, 0, in[i]), (size_t)probe->rows * (size_t)probe->cols, i);
  if (st == VKD_OK) st = vkd_program_run(program, err);
  for (int run = 0; run < RUNS && st == VKD_OK; run++) {
    st = vkd_program_profile(program, 1, &rows, &count, err);
    for (uint32_t i = 0; st == VKD_OK && i < count; i++)
      if (strcmp(rows[i].op, probe->op) == 0 && rows[i].ns > 0) *seconds = fmin(*seconds, rows[i].ns * 1e-9);
    free(rows);
    rows = NULL;
  }
  vkd_program_destroy(&program);
  vkd_graph_destroy(&g);
  if (st == VKD_OK && !isfinite(*seconds)) st = vkd_fail(err, VKD_ERR_INTERNAL, "%s took no time", probe->op);
  return st;
}

enum vkd_status peak_products(struct vkd_device *dev, enum vkd_dtype dtype, double *rate, int *size,
                              struct vkd_error *err) {
  double seconds = 0;
  *rate = 0;
  *size = 0;
  for (int n = FIRST; n <= LAST && seconds < enough_s; n *= 2) {
    struct probe probe = {"matmul", product, dtype, n, n};
    struct vkd_error why = {0};
    enum vkd_status st = time_probe(dev, &probe, &seconds, &why);
    if (st == VKD_ERR_DEVICE_MEMORY && *rate > 0) break;
    if (st != VKD_OK) return vkd_fail(err, st, "%s", why.what);
    double one = 2.0 * n * n * n / seconds;
    if (one <= *rate) continue;
    *rate = one;
    *size = n;
  }
  return VKD_OK;
}

enum vkd_status peak_copy(struct vkd_device *dev, double *rate, struct vkd_error *err) {
  struct probe probe = {"add", vkd_add, VKD_F32, COPY_ROWS, COPY_COLS};
  double seconds;
  enum vkd_status st = time_probe(dev, &probe, &seconds, err);
  *rate = 3.0 * sizeof(float) * COPY_ROWS * COPY_COLS / seconds;
  return st;
}
