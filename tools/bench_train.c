// vkdit bench train: whole training steps.
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "bench_steps.h"
#include "config_arg.h"

static const double small = 2e11; // FLOPs of a step that two cores do in ten seconds

// Three sizes of cross_dit at two lengths, batch 4; what is in latents of 16 channels makes 4 T H W / 4 tokens.
static const struct {
  const char *name;
  struct bench_shape shape;
} rows[] = {
    {"1.3m-256", {.dim = 128, .heads = 2, .depth = 4, .latent = {4, 16, 16}, .batch = 4}},
    {"1.3m-1024", {.dim = 128, .heads = 2, .depth = 4, .latent = {4, 32, 32}, .batch = 4}},
    {"6m-256", {.dim = 256, .heads = 4, .depth = 5, .latent = {4, 16, 16}, .batch = 4}},
    {"6m-1024", {.dim = 256, .heads = 4, .depth = 5, .latent = {4, 32, 32}, .batch = 4}},
    {"24m-256", {.dim = 512, .heads = 8, .depth = 5, .latent = {4, 16, 16}, .batch = 4}},
    {"24m-1024", {.dim = 512, .heads = 8, .depth = 5, .latent = {4, 32, 32}, .batch = 4}},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

const struct bench_shape *bench_train_shape(int i, const char **name) {
  if (i >= ROWS) return NULL;
  *name = rows[i].name;
  return &rows[i].shape;
}

enum vkd_status bench_shape_config(const struct bench_shape *s, const char *const *overrides, size_t count,
                                   struct config *config, struct vkd_error *err) {
  char text[512];
  int n = snprintf(text, sizeof text,
                   "model: {family: cross_dit, dim: %d, depth: %d, heads: %d, ffn_ratio: 4, patch: [1, 2, 2], "
                   "text_dim: 512, text_len: 64}\n"
                   "data: {latent: [16, %d, %d, %d]}\ntrain: {steps: 1, batch: %d}\n",
                   s->dim, s->depth, s->heads, s->latent[0], s->latent[1], s->latent[2], s->batch);
  return config_from_string("bench", text, (size_t)n, overrides, count, config, err);
}

enum vkd_status bench_steps(const struct bench_run *run, const struct config *config, double budget,
                            struct bench_train *out, struct vkd_error *err) {
  return bench_train_run(&(struct bench_train_params){.device = &run->wanted,
                                                      .config = config,
                                                      .runs = run->runs,
                                                      .budget = cmd_has(run->args, "runs") ? 0 : budget},
                         out, err);
}

json_t *bench_steps_json(const char *name, const struct bench_train *b) {
  json_t *o = json_pack("{s:s,s:I,s:i,s:i,s:i,s:I,s:i,s:s}", "name", name, "params", (json_int_t)b->params, "dim",
                        b->model.dim, "depth", b->model.depth, "heads", b->model.heads, "tokens", (json_int_t)b->tokens,
                        "batch", b->batch, "precision", vkd_dtype_name(b->model.compute));
  json_object_update_new(o, json_pack("{s:f,s:f,s:f,s:i,s:f,s:f,s:f,s:f,s:f}", "ms", b->seconds * 1e3, "ms_min",
                                      b->fastest * 1e3, "ms_max", b->slowest * 1e3, "runs", b->runs, "flops",
                                      b->formula, "flops_counted", b->counted, "gflops", b->formula / b->seconds * 1e-9,
                                      "tokens_per_second", (double)b->tokens * b->batch / b->seconds, "host_share",
                                      b->host));
  json_object_update_new(o, json_pack("{s:I,s:f,s:f,s:f,s:f}", "peak_bytes", (json_int_t)b->peak_bytes,
                                      "startup_seconds", b->startup_s, "device_seconds", b->device_s,
                                      "first_step_seconds", b->first_s, "loss", b->loss));
  return o;
}

static void print(struct bench_run *run, const char *name, const struct bench_train *b) {
  if (run->rows) json_array_append_new(run->rows, bench_steps_json(name, b));
  if (!run->text) return;
  if (bench_begin(run))
    printf("%-16s %8s %6s %5s %10s %10s %10s %8s %9s %6s %8s %8s\n", "step of", "M params", "tokens", "batch", "ms",
           "least", "most", "GFLOP/s", "MiB", "host %", "start s", "first s");
  printf("%-16s %8.2f %6lld %5d %10.2f %10.2f %10.2f %8.2f %9.1f %6.2f %8.2f %8.2f\n", name, (double)b->params * 1e-6,
         (long long)b->tokens, b->batch, b->seconds * 1e3, b->fastest * 1e3, b->slowest * 1e3,
         b->formula / b->seconds * 1e-9, (double)b->peak_bytes / 1048576, 100 * b->host, b->startup_s, b->first_s);
  fflush(stdout);
}

// C_token times tokens, before anything is opened
double bench_shape_flops(const struct bench_shape *s) {
  struct dit_config m = {.dim = s->dim, .depth = s->depth, .heads = s->heads, .ffn = 4 * s->dim, .patch = {1, 2, 2}};
  for (int i = 0; i < 3; i++) m.latent[i] = s->latent[i];
  return dit_token_flops(&m) * (double)dit_tokens(&m) * s->batch;
}

enum vkd_status bench_train_rows(struct bench_run *run, struct vkd_error *err) {
  struct bench_train result;
  const char *named = cmd_string(run->args, "config");
  struct config *config = calloc(1, sizeof *config);
  enum vkd_status st = config ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "bench: out of memory");
  for (int i = 0; i < (named ? 1 : ROWS) && st == VKD_OK; i++) {
    const char *name = named ? named : rows[i].name;
    if (!bench_wanted(run, name, named ? 0 : bench_shape_flops(&rows[i].shape), small)) continue;
    st = named ? config_arg_named(named, run->args->pos + 1, (size_t)run->args->count - 1, config, err)
               : bench_shape_config(&rows[i].shape, run->args->pos + 1, (size_t)run->args->count - 1, config, err);
    if (st == VKD_OK) st = bench_steps(run, config, 10, &result, err);
    if (st == VKD_OK) print(run, name, &result);
  }
  if (st == VKD_OK && run->begun)
    printf("ms from submit to submit, median and range; GFLOP/s by C_token; MiB of the device at most; host: share of "
           "the time\nin which it worked and did not wait; start: from nothing to the end of the first step, which "
           "alone takes `first`\n");
  free(config);
  return st;
}
