// The references' backward against central differences, on the host.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "case.h"

// <w, f(x)> over all outputs, summed with compensation (Kahan): differences of it are divided by 1e-5.
static double project(const struct vkd_built *b) {
  const struct vkd_case *c = &b->c;
  double sum = 0, lost = 0;
  int first_w = c->leaf_count - c->out_count; // cotangents are the last leaves
  for (int i = 0; i < c->out_count; i++) {
    const double *y = b->values[c->outs[i].id], *w = b->values[c->leaves[first_w + i].tensor.id];
    int64_t n = vkd__numel(c->g, c->outs[i]);
    for (int64_t k = 0; k < n; k++) {
      double term = y[k] * w[k] - lost, next = sum + term;
      lost = next - sum - term;
      sum = next;
    }
  }
  return sum;
}

// Gradients against central differences at up to 40 elements per input, spread over it.
static enum vkd_status check_gradients(struct vkd_built *b, struct vkd_selftest_result *r, struct vkd_error *err) {
  struct vkd_case *c = &b->c;
  enum vkd_status st = VKD_OK;
  for (int k = 0; k < b->grad_count && st == VKD_OK; k++) {
    st = vkd_graph_ref_run(c->g, b->values, err); // at the unchanged inputs
    int64_t n = vkd__numel(c->g, c->wrt[k]), step = n > 40 ? n / 40 : 1;
    double *grad = malloc((size_t)n * sizeof *grad), d2 = 0, w2 = 0;
    if (!grad) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a gradient");
    memcpy(grad, b->values[b->grads[k].id], (size_t)n * sizeof *grad);
    double *x = b->values[c->wrt[k].id];
    for (int64_t i = 0; i < n && st == VKD_OK; i += step) {
      const double h = 1e-5, keep = x[i];
      x[i] = keep + h;
      st = vkd_graph_ref_run(c->g, b->values, err);
      double up = project(b);
      x[i] = keep - h;
      if (st == VKD_OK) st = vkd_graph_ref_run(c->g, b->values, err);
      double want = (up - project(b)) / (2 * h);
      x[i] = keep;
      d2 += (grad[i] - want) * (grad[i] - want);
      w2 += want * want;
    }
    free(grad);
    double e = w2 > 0 ? sqrt(d2 / w2) : sqrt(d2);
    if (!(e <= r->backward)) r->backward = e;
    if (!(e <= r->tolerance)) vkd__case_miss(r, "gradient %d is off by %.3g", k, e);
  }
  return st;
}

enum vkd_status vkd_selftest_gradients(const char *only, vkd_selftest_fn fn, void *user, uint32_t *failed,
                                       struct vkd_error *err) {
  static const struct vkd_device_caps limits = {
      .name = "fake", .max_allocation = (uint64_t)1 << 40, .memory_bytes = (uint64_t)1 << 40};
  uint8_t ops_built[VKD_OP_COUNT] = {0};
  struct vkd_device *fake;
  enum vkd_status st = vkd_device_create(&fake, &(struct vkd_device_params){.fake = &limits}, err);
  *failed = 0;
  for (int i = 0; i < vkd__case_count && st == VKD_OK; i++) {
    if (only && strcmp(only, vkd__cases[i].op) != 0) continue;
    struct vkd_built b;
    // Central differences with h = 1e-5 are good to about h^2 = 1e-10 and to 1e-16 / h = 1e-11 of rounding.
    struct vkd_selftest_result r = {
        .op = vkd__cases[i].op, .name = vkd__cases[i].name, .pass = true, .tolerance = 1e-8};
    st = vkd__case_build(&b, i, fake, err);
    for (int k = 0; k < b.grad_count; k++) vkd_output(b.c.g, b.grads[k]);
    for (int k = 0; k < b.c.out_count; k++) vkd_output(b.c.g, b.c.outs[k]);
    if (st == VKD_OK) st = vkd_graph_ref_alloc(b.c.g, &b.values, err);
    if (st == VKD_OK) {
      for (uint32_t k = 0; k < b.c.g->node_count; k++) ops_built[b.c.g->nodes[k].op] = 1;
      vkd__case_draw(&b, 1000 + (uint64_t)i);
      b.c.g->unrounded = true;
      r.backward = b.grad_count ? 0 : -1;
      if (b.grad_count) st = check_gradients(&b, &r, err);
    }
    vkd__case_free(&b);
    *failed += !r.pass;
    if (st == VKD_OK) fn(user, &r);
  }
  for (int k = 0; k < VKD_OP_COUNT && !only && st == VKD_OK; k++) {
    if (ops_built[k]) continue;
    struct vkd_selftest_result r = {.op = vkd__ops[k].name, .name = "", .backward = -1};
    vkd__case_miss(&r, "no case builds this op");
    *failed += 1;
    fn(user, &r);
  }
  vkd_device_destroy(&fake);
  return st;
}
