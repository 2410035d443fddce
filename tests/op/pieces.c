// Runs in pieces: dispatches cut along their workgroups and submitted apart give the same bits as one command buffer,
// while they are cut by estimates and once they are cut by what was measured.
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "exec_internal.h"
#include "vkd/profile.h"

enum { RUNS = 5, ROWS = 40001 };

static uint32_t state;
static float draw(void) {
  state = state * 1664525 + 1013904223;
  return (float)(int32_t)state / 0x1p31F;
}

// Two products, one of them split over k where it takes tiles; attention; norms and sums of rows, with gradients; rows
// that are folded into x and y.
struct graph {
  struct vkd_graph *g;
  vkd_tensor in[8], out[8];
  int ins, outs;
};

static vkd_tensor input(struct graph *r, struct vkd_shape shape) {
  return r->in[r->ins++] = vkd_input(r->g, "x", VKD_F32, shape);
}
static void output(struct graph *r, vkd_tensor y) { vkd_output(r->g, r->out[r->outs++] = y); }

static void build(struct graph *r) {
  struct vkd_error err = {0};
  const vkd_tensor none = {0};
  *r = (struct graph){.ins = 0};
  CHECK(vkd_graph_create(&r->g, &err) == VKD_OK, "%s", err.what);
  vkd_tensor x = input(r, VKD_SHAPE(2, 150, 64)), w = input(r, VKD_SHAPE(64, 64)), scale = input(r, VKD_SHAPE(64));
  vkd_tensor h = vkd_layernorm(r->g, x, scale, scale, 1e-6F, true);
  vkd_tensor q = vkd_matmul(r->g, vkd_reshape(r->g, h, VKD_SHAPE(300, 64)), w, false, true, none, none);
  vkd_tensor t = vkd_reshape(r->g, vkd_gelu(r->g, q), VKD_SHAPE(2, 150, 64));
  vkd_tensor loss = vkd_mse(r->g, vkd_attention(r->g, t, h, x, 2, 0.2F), input(r, VKD_SHAPE(2, 150, 64)));
  vkd_tensor wrt[] = {x, w, scale}, grads[3];
  vkd_grad(r->g, loss, wrt, 3, grads);
  output(r, loss);
  for (int i = 0; i < 3; i++) output(r, grads[i]);
  vkd_tensor a = input(r, VKD_SHAPE(2100, 40)), b = input(r, VKD_SHAPE(2100, 24)); // deep: k 2100
  output(r, vkd_matmul(r->g, a, b, true, false, none, none));
  vkd_tensor rows = input(r, VKD_SHAPE(2, ROWS, 5)); // 80002 workgroups
  vkd_tensor one = vkd_slice(r->g, vkd_reshape(r->g, rows, VKD_SHAPE(2 * ROWS, 5)), 7, 2);
  output(r, vkd_row_scale(r->g, rows, one));
}

// Outputs of every run, one behind another; *pieces: submissions of the first run and of the last.
static float *run(const char *budget_ms, const char *form, uint32_t pieces[2], int64_t *bytes) {
  struct vkd_error err = {0};
  struct vkd_device *dev = NULL;
  struct vkd_program *p = NULL;
  struct graph r;
  setenv("VKD_DISPATCH_MS", budget_ms, 1);
  dev = device_or_skip(false);
  build(&r);
  struct vkd_program_params params = {.device = dev, .graph = r.g, .slots = 2, .form = form};
  enum vkd_status st = vkd_program_create(&p, &params, &err);
  int64_t one = 0, at = 0;
  for (int i = 0; i < r.outs; i++) one += vkd__numel(r.g, r.out[i]);
  float *out = calloc((size_t)one * RUNS, sizeof *out);
  *bytes = one * RUNS * 4;
  for (int n = 0; n < RUNS + 2 && st == VKD_OK; n++) { // two in flight
    if (n >= 2) {
      st = vkd_program_wait(p, n % 2, &err);
      for (int i = 0; i < r.outs && st == VKD_OK; i++) {
        int64_t numel = vkd__numel(r.g, r.out[i]);
        memcpy(out + at, vkd_program_output(p, n % 2, r.out[i]), (size_t)numel * 4);
        at += numel;
      }
    }
    if (n >= RUNS || st != VKD_OK) continue;
    state = (uint32_t)n + 1;
    for (int i = 0; i < r.ins; i++) {
      float *x = vkd_program_input(p, n % 2, r.in[i]);
      for (int64_t k = 0; k < vkd__numel(r.g, r.in[i]); k++) x[k] = draw();
    }
    if (n == 0) pieces[0] = vkd_program_plan(p)->pieces;
    st = vkd_program_submit(p, n % 2, &err);
  }
  CHECK(st == VKD_OK, "%s", err.what);
  pieces[1] = p ? vkd_program_plan(p)->pieces : 0;
  struct vkd_op_profile *rows = NULL;
  uint32_t count = 0, cut = 0;
  if (st == VKD_OK && vkd_device_get_caps(dev)->timestamp_ns > 0) {
    st = vkd_program_profile(p, 1, &rows, &count, &err);
    CHECK(st == VKD_OK && count > 10, "%u rows: %s", count, err.what);
    for (uint32_t i = 0; i < count; i++)
      CHECK(!rows[i].dispatches || rows[i].ns >= 0, "%s: %g ns", rows[i].op, rows[i].ns);
  }
  for (uint32_t i = 0; p && i < p->pieces.cut_count; i++) cut += p->pieces.cuts[i].base > 0;
  CHECK(!p || (cut > 0) == (p->pieces.count > 1), "%u pieces, %u cuts", p->pieces.count, cut);
  free(rows);
  vkd_program_destroy(&p);
  vkd_graph_destroy(&r.g);
  char first[256] = "";
  CHECK(vkd_device_validation(dev, first, sizeof first) == 0, "the validation layer complained: %s", first);
  vkd_device_destroy(&dev);
  return out;
}

static void test_bits(const char *form) {
  static const char *const budgets[] = {"0.05", "0.3"};
  uint32_t pieces[2];
  int64_t bytes;
  float *whole = run("0", form, pieces, &bytes);
  CHECK(pieces[0] == 1 && pieces[1] == 1, "without a budget: %u and %u pieces", pieces[0], pieces[1]);
  for (size_t i = 0; i < sizeof budgets / sizeof budgets[0]; i++) {
    float *parts = run(budgets[i], form, pieces, &bytes);
    CHECK(memcmp(whole, parts, (size_t)bytes) == 0, "%s ms: other bits", budgets[i]);
    CHECK(pieces[0] > 10 && pieces[1] > 10, "%s ms: %u pieces, then %u", budgets[i], pieces[0], pieces[1]);
    printf("%s ms: %u pieces as estimated, %u as measured\n", budgets[i], pieces[0], pieces[1]);
    free(parts);
  }
  free(whole);
}

// What is estimated too long for the slowest of devices, and turns out not to be, is one piece from then on.
static void test_fast(void) {
  struct vkd_error err = {0};
  struct vkd_graph *g = NULL;
  struct vkd_program *p = NULL;
  setenv("VKD_DISPATCH_MS", "2000", 1);
  struct vkd_device *dev = device_or_skip(false);
  dev->budget_s = 40e-3;
  CHECK(vkd_graph_create(&g, &err) == VKD_OK, "%s", err.what);
  vkd_tensor x = vkd_input(g, "x", VKD_F32, VKD_SHAPE(1 << 22)); // each op 34 MB, 17 ms by estimate
  vkd_output(g, vkd_sum_squares(g, vkd_gelu(g, vkd_silu(g, vkd_gelu(g, x)))));
  CHECK(vkd_program_create(&p, &(struct vkd_program_params){.device = dev, .graph = g}, &err) == VKD_OK, "%s",
        err.what);
  dev->budget_s = 2;
  CHECK(p && vkd_program_plan(p)->pieces > 1, "one piece by estimate");
  for (int i = 0; i < 3 && p; i++) CHECK(vkd_program_run(p, &err) == VKD_OK, "%s", err.what);
  CHECK(p && vkd_program_plan(p)->pieces == 1, "more than one piece as measured");
  vkd_program_destroy(&p);
  vkd_graph_destroy(&g);
  vkd_device_destroy(&dev);
}

static void test_setting(void) {
  struct vkd_error err = {0};
  struct vkd_device *dev = NULL;
  setenv("VKD_DISPATCH_MS", "soon", 1);
  CHECK(vkd_device_create(&dev, NULL, &err) == VKD_ERR_USAGE && strstr(err.what, "VKD_DISPATCH_MS is 'soon'"), "%s",
        err.what);
  vkd_device_destroy(&dev);
}

int main(void) {
  test_bits(NULL);
  test_bits("tile");
  test_fast();
  test_setting();
  return check_done();
}
