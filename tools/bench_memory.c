// vkdit bench memory: kernels that do little but read and write, beside what the device's memory gives a plain sum.
#include <stdio.h>
#include <string.h>

#include "bench_kernels.h"
#include "vkdm/peak.h"

enum { HEADS = 16, STATE = 8 << 20 }; // of an x that has heads; elements of optimiser state

// One op on x [batch, rows, width], with its gradient.
struct memory {
  const char *name;
  enum vkd_status (*build)(struct bench_graph *b, const void *user, struct vkd_error *err);
  int64_t batch, rows, width;
  double peak; // bytes/s
};

static vkd_tensor input_x(struct bench_graph *b, const struct memory *m) {
  return bench_input(b, VKD_SHAPE(m->batch, m->rows, m->width));
}

// The gradients of y with a random cotangent; those of mse itself are rows that are not printed.
static enum vkd_status end(struct bench_graph *b, vkd_tensor y, int wrt) {
  vkd_tensor grads[BENCH_INPUTS], in[BENCH_INPUTS];
  memcpy(in, b->input, sizeof in);
  struct vkd_shape shape = vkd_tensor_shape(b->g, y);
  vkd_grad(b->g, vkd_mse(b->g, y, bench_input(b, shape)), in, wrt, grads);
  for (int i = 0; i < wrt; i++) vkd_output(b->g, grads[i]);
  return VKD_OK;
}

static enum vkd_status layernorm(struct bench_graph *b, const void *user, struct vkd_error *err) {
  const struct memory *m = user;
  vkd_tensor x = input_x(b, m), scale = bench_input(b, VKD_SHAPE(m->batch, m->width)),
             shift = bench_input(b, VKD_SHAPE(m->batch, m->width));
  (void)err;
  return end(b, vkd_layernorm(b->g, x, scale, shift, 1e-6F, true), 3);
}

static enum vkd_status rmsnorm_rope(struct bench_graph *b, const void *user, struct vkd_error *err) {
  const struct memory *m = user;
  vkd_tensor x = input_x(b, m), weight = bench_input(b, VKD_SHAPE(m->width)),
             rope = bench_input(b, VKD_SHAPE(m->rows, m->width / HEADS / 2, 2));
  (void)err;
  return end(b, vkd_rmsnorm_rope(b->g, x, weight, rope, HEADS, 1e-6F), 2);
}

static enum vkd_status gelu(struct bench_graph *b, const void *user, struct vkd_error *err) {
  (void)err;
  return end(b, vkd_gelu(b->g, input_x(b, user)), 1);
}

static enum vkd_status gate_add(struct bench_graph *b, const void *user, struct vkd_error *err) {
  const struct memory *m = user;
  vkd_tensor z = input_x(b, m), y = input_x(b, m), gate = bench_input(b, VKD_SHAPE(m->batch, m->width));
  (void)err;
  return end(b, vkd_gate_add(b->g, z, y, gate), 3);
}

static enum vkd_status add(struct bench_graph *b, const void *user, struct vkd_error *err) {
  vkd_tensor x = input_x(b, user), y = input_x(b, user);
  (void)err;
  vkd_output(b->g, vkd_add(b->g, x, y));
  return VKD_OK;
}

static enum vkd_status sum_rows(struct bench_graph *b, const void *user, struct vkd_error *err) {
  (void)err;
  vkd_output(b->g, vkd_sum_rows(b->g, input_x(b, user), (vkd_tensor){0}, 1));
  return VKD_OK;
}

static enum vkd_status cast(struct bench_graph *b, const void *user, struct vkd_error *err) {
  (void)err;
  vkd_output(b->g, vkd_cast(b->g, vkd_cast(b->g, input_x(b, user), VKD_BF16), VKD_F32));
  return VKD_OK;
}

// The whole update: gradient norm and AdamW with EMA, of m->width parameters.
static enum vkd_status adamw(struct bench_graph *b, const void *user, struct vkd_error *err) {
  const struct memory *m = user;
  struct vkd_adamw_tensors t = {.copy = {0}};
  vkd_tensor *all[] = {&t.p, &t.m, &t.v, &t.ema};
  t.g = bench_input(b, VKD_SHAPE(m->width));
  for (int i = 0; i < 4; i++) {
    enum vkd_status st = bench_bound(b, m->width, all[i], err);
    if (st != VKD_OK) return st;
  }
  static const float hyper[VKD_HYPER_COUNT] = {1e-4F, 0.9F, 0.95F, 0.1F, 0.05F, 10, 20, 1e-8F, 0.01F, 0.999F, 1, 1};
  vkd_adamw(b->g, t, vkd_constant(b->g, "hyper", VKD_F32, VKD_SHAPE(VKD_HYPER_COUNT), hyper),
            vkd_sum_squares(b->g, t.g), 1, 1);
  return VKD_OK;
}

static const struct memory cases[] = {
    {"add", add, 4, 1024, 1024, 0},
    {"layernorm+modulate", layernorm, 4, 1024, 1024, 0},
    {"rmsnorm+rope", rmsnorm_rope, 4, 1024, 1024, 0},
    {"gelu", gelu, 4, 1024, 4096, 0},
    {"gate_add", gate_add, 4, 1024, 1024, 0},
    {"sum_rows", sum_rows, 4, 1024, 1024, 0},
    {"sum_rows", sum_rows, 4, 1024, 4096, 0},
    {"cast", cast, 4, 1024, 1024, 0},
    {"adamw", adamw, 1, 1, STATE, 0},
};

static void print(struct bench_run *run, const void *user, const struct vkd_op_profile *row) {
  const struct memory *m = user;
  if (strncmp(row->op, "mse", 3) == 0) return;
  double rate = row->ns > 0 ? row->bytes / row->ns : 0, percent = 1e11 * rate / m->peak;
  if (run->rows)
    json_array_append_new(run->rows,
                          json_pack("{s:s,s:s,s:I,s:I,s:f,s:f,s:f,s:f,s:f,s:f}", "op", row->op, "case", m->name, "rows",
                                    (json_int_t)(m->batch * m->rows), "width", (json_int_t)m->width, "flops",
                                    row->flops, "bytes", row->bytes, "ms", row->ns * 1e-6, "first_ms",
                                    row->first_ns * 1e-6, "gbytes", rate, "percent_of_copy", percent));
  if (run->text)
    printf("%-18s of %-20s %5lld x %7lld  %9.3f ms  %8.2f GB/s  %5.1f %% of a copy\n", row->op, m->name,
           (long long)(m->batch * m->rows), (long long)m->width, row->ns * 1e-6, rate, percent);
}

enum vkd_status bench_memory(struct bench_run *run, struct vkd_error *err) {
  double peak = 0;
  enum vkd_status st = VKD_OK;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0] && st == VKD_OK; i++) {
    struct memory m = cases[i];
    char name[96];
    snprintf(name, sizeof name, "%s %lldx%lld", m.name, (long long)(m.batch * m.rows), (long long)m.width);
    if (!bench_wanted(run, name, 0, 0)) continue;
    if (peak == 0) st = peak_copy(run->dev, &peak, err);
    m.peak = peak;
    if (st == VKD_OK) st = bench_kernel(run, &(struct bench_kernel){m.build, print, &m}, err);
  }
  if (st != VKD_OK || peak == 0) return st;
  if (run->root) json_object_set_new(run->root, "copy_gbytes", json_real(peak * 1e-9));
  if (run->text) printf("a copy: %.2f GB/s, by a sum of two arrays of 64 MiB\n", peak * 1e-9);
  return VKD_OK;
}
