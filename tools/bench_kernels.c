// vkdit bench matmul, attention: products at the shapes of training, by layout and precision.
#include "bench_kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vkdm/random_fill.h"

static const double small = 5e9; // FLOPs of a product that two cores do in a moment

vkd_tensor bench_input(struct bench_graph *b, struct vkd_shape shape) {
  return b->input[b->inputs++] = vkd_input(b->g, "x", VKD_F32, shape);
}

enum vkd_status bench_bound(struct bench_graph *b, int64_t count, vkd_tensor *out, struct vkd_error *err) {
  struct vkd_buffer **buffer = &b->buffer[b->buffers++];
  enum vkd_status st = vkd_buffer_create(buffer, b->dev, (uint64_t)count * 4, err);
  if (st == VKD_OK) *out = vkd_bound(b->g, "state", VKD_F32, VKD_SHAPE(count), *buffer, 0);
  return st;
}

enum vkd_status bench_kernel(struct bench_run *run, const struct bench_kernel *k, struct vkd_error *err) {
  struct bench_graph b = {.dev = run->dev};
  struct vkd_program *program = NULL;
  struct vkd_op_profile *rows = NULL;
  uint32_t count = 0;
  enum vkd_status st = vkd_graph_create(&b.g, err);
  if (st == VKD_OK) st = k->build(&b, k->user, err);
  if (st == VKD_OK) st = vkd_graph_status(b.g, err);
  if (st == VKD_OK) st = vkd_program_create(&program, &(struct vkd_program_params){.device = b.dev, .graph = b.g}, err);
  for (int i = 0; i < b.inputs && st == VKD_OK; i++) {
    struct vkd_shape shape = vkd_tensor_shape(b.g, b.input[i]);
    random_fill(vkd_program_input(program, 0, b.input[i]), (size_t)vkd_shape_numel(&shape), (uint32_t)i);
  }
  if (st == VKD_OK) st = vkd_program_profile(program, run->runs, &rows, &count, err);
  bench_begin(run);
  for (uint32_t i = 0; i < count && st == VKD_OK; i++) k->print(run, k->user, &rows[i]);
  if (run->text) fflush(stdout);
  free(rows);
  vkd_program_destroy(&program);
  vkd_graph_destroy(&b.g);
  for (int i = 0; i < b.buffers; i++) vkd_buffer_destroy(&b.buffer[i]);
  return st;
}

static double rate_of(const struct vkd_op_profile *row) { return row->ns > 0 ? row->flops / row->ns : 0; }

// ---- matmul --------------------------------------------------------------------------------------------------------
struct matmul {
  char form[3]; // "nn", "nt", "tn"
  int64_t m, n, k;
  enum vkd_dtype dtype; // the operands'
};

#define HALVES(...)                                                                                                    \
  {__VA_ARGS__, .dtype = VKD_F16}, { __VA_ARGS__, .dtype = VKD_BF16 }
static const struct matmul squares[] = {
    {"nn", .m = 512, .n = 512, .k = 512},          {"nt", .m = 512, .n = 512, .k = 512},
    {"tn", .m = 512, .n = 512, .k = 512},          {"nn", .m = 1024, .n = 1024, .k = 1024},
    {"nt", .m = 1024, .n = 1024, .k = 1024},       {"tn", .m = 1024, .n = 1024, .k = 1024},
    {"nn", .m = 4096, .n = 4096, .k = 4096},       {"nt", .m = 4096, .n = 4096, .k = 4096},
    {"tn", .m = 4096, .n = 4096, .k = 4096},       {"nt", .m = 512, .n = 4096, .k = 512},
    {"nn", .m = 512, .n = 512, .k = 4096},         {"nt", .m = 2048, .n = 384, .k = 96},
    {"nt", .m = 8, .n = 2304, .k = 384},           {"nt", .m = 511, .n = 509, .k = 503},
    HALVES("nn", .m = 512, .n = 512, .k = 512),    HALVES("nt", .m = 512, .n = 512, .k = 512),
    HALVES("tn", .m = 512, .n = 512, .k = 512),    HALVES("nt", .m = 1024, .n = 1024, .k = 1024),
    HALVES("nt", .m = 4096, .n = 4096, .k = 4096), HALVES("nt", .m = 2048, .n = 384, .k = 96),
    HALVES("nt", .m = 511, .n = 509, .k = 503),
};
#undef HALVES

// The linear layers of a model of width d: tokens of a batch, and what in -> out is of d.
static const int64_t layer_tokens[] = {1024, 4096}, layer_widths[] = {128, 256, 512, 1024};
static const struct { int in, out; } layers[] = {{1, 1}, {1, 4}, {4, 1}};

static enum vkd_status build_matmul(struct bench_graph *b, const void *user, struct vkd_error *err) {
  const struct matmul *p = user;
  bool ta = p->form[0] == 't', tb = p->form[1] == 't';
  vkd_tensor x = bench_input(b, ta ? VKD_SHAPE(p->k, p->m) : VKD_SHAPE(p->m, p->k));
  vkd_tensor y = bench_input(b, tb ? VKD_SHAPE(p->n, p->k) : VKD_SHAPE(p->k, p->n));
  x = vkd_cast(b->g, x, p->dtype);
  y = vkd_cast(b->g, y, p->dtype);
  vkd_output(b->g, vkd_matmul(b->g, x, y, ta, tb, (vkd_tensor){0}, (vkd_tensor){0}));
  (void)err;
  return VKD_OK;
}

static void print_matmul(struct bench_run *run, const void *user, const struct vkd_op_profile *row) {
  const struct matmul *p = user;
  if (strcmp(row->op, "matmul") != 0) return;
  if (run->rows)
    json_array_append_new(run->rows,
                          json_pack("{s:s,s:s,s:s,s:I,s:I,s:I,s:f,s:f,s:f,s:f,s:f}", "op", row->op, "form", p->form,
                                    "dtype", vkd_dtype_name(p->dtype), "m", (json_int_t)p->m, "n", (json_int_t)p->n,
                                    "k", (json_int_t)p->k, "flops", row->flops, "bytes", row->bytes, "ms",
                                    row->ns * 1e-6, "first_ms", row->first_ns * 1e-6, "gflops", rate_of(row)));
  if (run->text)
    printf("%-16s %s %s m %5lld  n %5lld  k %5lld  %9.3f ms  %8.1f GFLOP/s\n", row->op, p->form,
           vkd_dtype_name(p->dtype), (long long)p->m, (long long)p->n, (long long)p->k, row->ns * 1e-6, rate_of(row));
}

static enum vkd_status time_matmul(struct bench_run *run, const struct matmul *p, struct vkd_error *err) {
  char name[96];
  snprintf(name, sizeof name, "matmul %.2s %s %lldx%lldx%lld", p->form, vkd_dtype_name(p->dtype), (long long)p->m,
           (long long)p->n, (long long)p->k);
  if (!bench_wanted(run, name, 2.0 * (double)p->m * (double)p->n * (double)p->k, small)) return VKD_OK;
  return bench_kernel(run, &(struct bench_kernel){build_matmul, print_matmul, p}, err);
}

enum vkd_status bench_matmul(struct bench_run *run, struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  for (size_t i = 0; i < sizeof squares / sizeof squares[0] && st == VKD_OK; i++)
    st = time_matmul(run, &squares[i], err);
  for (size_t t = 0; t < sizeof layer_tokens / sizeof layer_tokens[0]; t++)
    for (size_t w = 0; w < sizeof layer_widths / sizeof layer_widths[0]; w++)
      for (size_t l = 0; l < sizeof layers / sizeof layers[0]; l++) {
        int64_t rows = layer_tokens[t], in = layers[l].in * layer_widths[w], out = layers[l].out * layer_widths[w];
        if (rows == in && in == out) continue; // above
        // y = x Wᵀ; dx = dy W; dW = dyᵀ x
        struct matmul passes[] = {
            {"nt", rows, out, in, VKD_F32}, {"nn", rows, in, out, VKD_F32}, {"tn", out, in, rows, VKD_F32}};
        for (int i = 0; i < 3 && st == VKD_OK; i++) st = time_matmul(run, &passes[i], err);
      }
  return st;
}

// ---- attention -----------------------------------------------------------------------------------------------------
struct attention {
  int64_t batch, heads, n, m, k; // queries, keys, head size
  enum vkd_dtype dtype;
};

static const struct attention attentions[] = {
    {.batch = 4, .heads = 4, .n = 256, .m = 256, .k = 24},
    {.batch = 1, .heads = 6, .n = 512, .m = 512, .k = 64},
    {.batch = 1, .heads = 2, .n = 1024, .m = 1024, .k = 64},
    {.batch = 1, .heads = 4, .n = 1024, .m = 1024, .k = 64},
    {.batch = 2, .heads = 4, .n = 1024, .m = 1024, .k = 64},
    {.batch = 4, .heads = 4, .n = 1024, .m = 1024, .k = 64},
    {.batch = 4, .heads = 4, .n = 4096, .m = 4096, .k = 64},
    {.batch = 1, .heads = 2, .n = 512, .m = 512, .k = 128},
    {.batch = 1, .heads = 6, .n = 1024, .m = 77, .k = 64},
    {.batch = 4, .heads = 4, .n = 1024, .m = 64, .k = 64},
    {.batch = 1, .heads = 4, .n = 1024, .m = 1024, .k = 64, .dtype = VKD_F16},
    {.batch = 1, .heads = 4, .n = 1024, .m = 1024, .k = 64, .dtype = VKD_BF16},
    {.batch = 1, .heads = 2, .n = 512, .m = 512, .k = 128, .dtype = VKD_F16},
    {.batch = 4, .heads = 4, .n = 1024, .m = 64, .k = 64, .dtype = VKD_F16},
    {.batch = 4, .heads = 4, .n = 1024, .m = 64, .k = 64, .dtype = VKD_BF16},
};

static enum vkd_status build_attention(struct bench_graph *b, const void *user, struct vkd_error *err) {
  const struct attention *p = user;
  int64_t d = p->heads * p->k;
  vkd_tensor in[3], qkv[3], grads[3];
  for (int i = 0; i < 3; i++) {
    in[i] = bench_input(b, VKD_SHAPE(p->batch, i ? p->m : p->n, d));
    qkv[i] = vkd_cast(b->g, in[i], p->dtype);
  }
  vkd_tensor o = vkd_attention(b->g, qkv[0], qkv[1], qkv[2], (int)p->heads, 0.125F);
  vkd_grad(b->g, vkd_mse(b->g, o, bench_input(b, VKD_SHAPE(p->batch, p->n, d))), in, 3, grads);
  for (int i = 0; i < 3; i++) vkd_output(b->g, grads[i]);
  (void)err;
  return VKD_OK;
}

static void print_attention(struct bench_run *run, const void *user, const struct vkd_op_profile *row) {
  const struct attention *p = user;
  if (strncmp(row->op, "attention", 9) != 0) return;
  if (run->rows)
    json_array_append_new(run->rows,
                          json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:f,s:f,s:f,s:f,s:f}", "op", row->op, "dtype",
                                    vkd_dtype_name(p->dtype), "batch", (json_int_t)p->batch, "heads",
                                    (json_int_t)p->heads, "n", (json_int_t)p->n, "m", (json_int_t)p->m, "k",
                                    (json_int_t)p->k, "flops", row->flops, "bytes", row->bytes, "ms", row->ns * 1e-6,
                                    "first_ms", row->first_ns * 1e-6, "gflops", rate_of(row)));
  if (run->text)
    printf("%-16s %s batch %lld  heads %lld  queries %5lld  keys %5lld  head size %4lld  %9.3f ms  %8.1f GFLOP/s\n",
           row->op, vkd_dtype_name(p->dtype), (long long)p->batch, (long long)p->heads, (long long)p->n,
           (long long)p->m, (long long)p->k, row->ns * 1e-6, rate_of(row));
}

enum vkd_status bench_attention(struct bench_run *run, struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  for (size_t i = 0; i < sizeof attentions / sizeof attentions[0] && st == VKD_OK; i++) {
    const struct attention *p = &attentions[i];
    char name[96];
    snprintf(name, sizeof name, "attention %s %lldx%lldx%lldx%lldx%lld", vkd_dtype_name(p->dtype), (long long)p->batch,
             (long long)p->heads, (long long)p->n, (long long)p->m, (long long)p->k);
    double flops = 4.0 * (double)p->batch * (double)(p->heads * p->n) * (double)(p->m * p->k);
    if (bench_wanted(run, name, flops, small))
      st = bench_kernel(run, &(struct bench_kernel){build_attention, print_attention, p}, err);
  }
  return st;
}
