// vkdit bench: speed of single kernels on this device; of whole sampler steps in tools/bench_sample.c.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_sample.h"
#include "cmd.h"
#include "vkd/ops.h"
#include "vkd/profile.h"
#include "vkd/random.h"

static const struct cmd_opt opts[] = {
    {.name = "runs",
     .kind = CMD_INT,
     .metavar = "N",
     .fallback = "9",
     .min = 1,
     .max = 10000,
     .help = "matmul, attention: runs whose median is reported"},
    BENCH_SAMPLE_OPTS,
    CMD_OPT_JSON,
    CMD_OPT_DEVICE,
    {0},
};

// One graph to time.  Matmul: n, m, k are its dimensions, dtype its operands'; attention: batch, heads, n queries, m
// keys, head size k.
struct bench {
  const char *form; // of a matmul: "nn", "nt", "tn"
  int64_t batch, heads, m, n, k;
  enum vkd_dtype dtype;
};

static const struct bench matmuls[] = {
    {"nn", .m = 512, .n = 512, .k = 512},       {"nt", .m = 512, .n = 512, .k = 512},
    {"tn", .m = 512, .n = 512, .k = 512},       {"nn", .m = 1024, .n = 1024, .k = 1024},
    {"nt", .m = 1024, .n = 1024, .k = 1024},    {"tn", .m = 1024, .n = 1024, .k = 1024},
    {"nt", .m = 512, .n = 4096, .k = 512},      {"nn", .m = 512, .n = 512, .k = 4096},
    {"tn", .m = 4096, .n = 512, .k = 512},      {"nt", .m = 2048, .n = 384, .k = 96},
    {"nt", .m = 8, .n = 2304, .k = 384},        {"nt", .m = 511, .n = 509, .k = 503},
#define HALVES(...)                                                                                                    \
  {__VA_ARGS__, .dtype = VKD_F16}, { __VA_ARGS__, .dtype = VKD_BF16 }
    HALVES("nn", .m = 512, .n = 512, .k = 512), HALVES("nt", .m = 512, .n = 512, .k = 512),
    HALVES("tn", .m = 512, .n = 512, .k = 512), HALVES("nt", .m = 1024, .n = 1024, .k = 1024),
    HALVES("nt", .m = 2048, .n = 384, .k = 96), HALVES("nt", .m = 511, .n = 509, .k = 503),
#undef HALVES
};
static const struct bench attentions[] = {
    {.batch = 4, .heads = 4, .m = 256, .n = 256, .k = 24},   {.batch = 1, .heads = 6, .m = 512, .n = 512, .k = 64},
    {.batch = 1, .heads = 2, .m = 1024, .n = 1024, .k = 64}, {.batch = 1, .heads = 2, .m = 512, .n = 512, .k = 128},
    {.batch = 1, .heads = 6, .m = 77, .n = 1024, .k = 64},
};

struct inputs {
  vkd_tensor t[4];
  int count;
};

static vkd_tensor input(struct vkd_graph *g, struct inputs *in, struct vkd_shape shape) {
  return in->t[in->count++] = vkd_input(g, "x", VKD_F32, shape);
}

static void build_matmul(struct vkd_graph *g, const struct bench *b, struct inputs *in) {
  bool ta = b->form[0] == 't', tb = b->form[1] == 't';
  vkd_tensor x = input(g, in, ta ? VKD_SHAPE(b->k, b->m) : VKD_SHAPE(b->m, b->k));
  vkd_tensor y = input(g, in, tb ? VKD_SHAPE(b->n, b->k) : VKD_SHAPE(b->k, b->n));
  x = vkd_cast(g, x, b->dtype);
  y = vkd_cast(g, y, b->dtype);
  vkd_output(g, vkd_matmul(g, x, y, ta, tb, (vkd_tensor){0}, (vkd_tensor){0}));
}

static void build_attention(struct vkd_graph *g, const struct bench *b, struct inputs *in) {
  int64_t d = b->heads * b->k;
  vkd_tensor qkv[3], grads[3];
  for (int i = 0; i < 3; i++) qkv[i] = input(g, in, VKD_SHAPE(b->batch, i ? b->m : b->n, d));
  vkd_tensor o = vkd_attention(g, qkv[0], qkv[1], qkv[2], (int)b->heads, 0.125F);
  vkd_grad(g, vkd_mse(g, o, input(g, in, VKD_SHAPE(b->batch, b->n, d))), qkv, 3, grads);
  for (int i = 0; i < 3; i++) vkd_output(g, grads[i]);
}

static void fill(struct vkd_program *program, const struct vkd_graph *g, const struct inputs *in) {
  for (int i = 0; i < in->count; i++) {
    struct vkd_shape shape = vkd_tensor_shape(g, in->t[i]);
    float *x = vkd_program_input(program, 0, in->t[i]);
    for (int64_t k = 0, n = vkd_shape_numel(&shape); k < n; k += 4) {
      double draw[4];
      vkd_normal4(1, 0, 0, (uint32_t)i, (uint32_t)(k / 4), draw);
      for (int64_t j = k; j < n && j < k + 4; j++) x[j] = (float)draw[j - k];
    }
  }
}

static void print_row(const struct bench *b, const struct vkd_op_profile *row, json_t *list) {
  double rate = row->ns > 0 ? row->flops / row->ns : 0;
  if (list) {
    json_t *o = json_pack("{s:s,s:I,s:I,s:I,s:f,s:f,s:f}", "op", row->op, "m", (json_int_t)b->m, "n", (json_int_t)b->n,
                          "k", (json_int_t)b->k, "flops", row->flops, "ms", row->ns * 1e-6, "gflops", rate);
    if (b->form)
      json_object_update_new(o, json_pack("{s:s,s:s}", "form", b->form, "dtype", vkd_dtype_name(b->dtype)));
    else
      json_object_update_new(o, json_pack("{s:I,s:I}", "batch", (json_int_t)b->batch, "heads", (json_int_t)b->heads));
    json_array_append_new(list, o);
    return;
  }
  if (b->form)
    printf("%-16s %s %s m %5lld  n %5lld  k %5lld", row->op, b->form, vkd_dtype_name(b->dtype), (long long)b->m,
           (long long)b->n, (long long)b->k);
  else
    printf("%-16s batch %lld  heads %lld  queries %5lld  keys %5lld  head size %4lld", row->op, (long long)b->batch,
           (long long)b->heads, (long long)b->n, (long long)b->m, (long long)b->k);
  printf("  %9.3f ms  %8.1f GFLOP/s\n", row->ns * 1e-6, rate);
  fflush(stdout);
}

static enum vkd_status run_one(struct vkd_device *dev, const struct bench *b, int runs, json_t *list,
                               struct vkd_error *err) {
  struct vkd_graph *g = NULL;
  struct vkd_program *program = NULL;
  struct vkd_op_profile *rows = NULL;
  uint32_t count = 0;
  struct inputs in = {.count = 0};
  enum vkd_status st = vkd_graph_create(&g, err);
  if (st != VKD_OK) goto done;
  if (b->form)
    build_matmul(g, b, &in);
  else
    build_attention(g, b, &in);
  st = vkd_graph_status(g, err);
  if (st == VKD_OK) st = vkd_program_create(&program, &(struct vkd_program_params){.device = dev, .graph = g}, err);
  if (st != VKD_OK) goto done;
  fill(program, g, &in);
  st = vkd_program_run(program, err); // a driver may compile at the first run
  if (st == VKD_OK) st = vkd_program_profile(program, runs, &rows, &count, err);
  for (uint32_t i = 0; i < count && st == VKD_OK; i++)
    if (strncmp(rows[i].op, b->form ? "matmul" : "attention", b->form ? 6 : 9) == 0) print_row(b, &rows[i], list);
done:
  free(rows);
  vkd_program_destroy(&program);
  vkd_graph_destroy(&g);
  return st;
}

static enum vkd_status run(struct cmd_args *args, struct vkd_error *err) {
  const char *what = args->count ? args->pos[0] : NULL;
  if (what && strcmp(what, "sample") == 0) return bench_sample_command(args, err);
  if (args->count > 1)
    return vkd_fail(err, VKD_ERR_USAGE, "bench: unexpected argument '%s'; usage: vkdit bench %s", args->pos[1],
                    args->cmd->usage);
  bool matmul = !what || strcmp(what, "matmul") == 0, attention = !what || strcmp(what, "attention") == 0;
  if (!matmul && !attention)
    return vkd_fail(err, VKD_ERR_USAGE, "no benchmark '%s': matmul, attention and sample are known", what);
  enum vkd_status st = bench_sample_refuse(args, err);
  if (st != VKD_OK) return st;
  json_t *list = cmd_has(args, "json") ? json_array() : NULL;
  int runs = (int)cmd_int(args, "runs");
  struct vkd_device *dev = NULL;
  st = vkd_device_create(&dev, &(struct vkd_device_params){.select = cmd_string(args, "device")}, err);
  if (st == VKD_OK && !list) printf("%s, %s\n", vkd_device_get_caps(dev)->name, vkd_device_get_caps(dev)->driver_info);
  for (size_t i = 0; i < sizeof matmuls / sizeof matmuls[0] && matmul && st == VKD_OK; i++)
    st = run_one(dev, &matmuls[i], runs, list, err);
  for (size_t i = 0; i < sizeof attentions / sizeof attentions[0] && attention && st == VKD_OK; i++)
    st = run_one(dev, &attentions[i], runs, list, err);
  if (st == VKD_OK && list) {
    const struct vkd_device_caps *caps = vkd_device_get_caps(dev);
    json_t *root = json_pack("{s:s,s:s,s:O}", "device", caps->name, "driver", caps->driver_info, "rows", list);
    if (!root || json_dumpf(root, stdout, JSON_INDENT(2)) || printf("\n") < 0)
      st = vkd_fail(err, VKD_ERR_IO, "bench: cannot print JSON");
    json_decref(root);
  }
  json_decref(list);
  vkd_device_destroy(&dev);
  return st;
}

const struct cmd cmd_bench = {
    .name = "bench",
    .summary = "Measures kernels, or what a sampler's step costs, on this device",
    .usage = "[matmul|attention] | sample --config NAME [key=value ...]",
    .details =
        "FLOPs are those that run: the backward of attention computes its scores again.\n"
        "sample: seconds per step, TFLOP/s, share of the peak and memory of a public model or a configuration of\n"
        "yours, with made-up weights; --json prints it on one line, to be compared across machines.",
    .min_pos = 0,
    .max_pos = -1,
    .opts = opts,
    .run = run,
};
