// vkdit bench scaling: how a training step's time and memory grow with tokens and batch.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "bench_steps.h"
#include "fit/scaling.h"
#include "law_json.h"
#include "vkdm/profile.h"
#include "vkdm/shapes.h"

// Tokens double along one side of a latent of 4 frames after the other; the batch doubles at BATCH_TOKENS of them.
enum { FIRST = 64, BATCH_TOKENS = 256, MOST_ROWS = 32 };

struct scaling {
  struct bench_run *run;
  struct config *config;
  struct fit_scaling_row rows[MOST_ROWS];
  struct fit_scaling law;
  size_t count, split; // rows [0, split) differ in tokens
};

static struct bench_shape shape_of(int tokens, int batch) {
  struct bench_shape s = {.dim = 128, .heads = 2, .depth = 2, .latent = {4, 8, 8}, .batch = batch};
  for (int n = FIRST, side = 2; n < tokens; n *= 2, side = 3 - side) s.latent[side] *= 2;
  return s;
}

// The share of the time that timestamps give to attention.
static enum vkd_status attention_share(struct scaling *s, double *share, struct vkd_error *err) {
  struct dataset *data = NULL;
  struct dataset_info info;
  struct profile *profile = NULL;
  enum vkd_status st = shapes_open(s->config, &data, &info, err);
  struct profile_params params = {.device = s->run->dev, .config = s->config, .data = &info, .runs = 1};
  if (st == VKD_OK) st = profile_create(&profile, &params, err);
  if (st == VKD_OK) {
    double all = 0, attention = 0;
    for (int i = 0; i < PROFILE_SHARES; i++) all += profile->shares[i].ns;
    attention = profile->shares[PROFILE_SELF_ATTENTION].ns + profile->shares[PROFILE_CROSS_ATTENTION].ns;
    *share = attention / all;
  }
  profile_destroy(&profile);
  dataset_close(&data);
  return st;
}

static enum vkd_status measure(struct scaling *s, int tokens, int batch, bool attention, struct vkd_error *err) {
  struct bench_shape shape = shape_of(tokens, batch);
  struct bench_train result;
  struct fit_scaling_row *row = &s->rows[s->count];
  *row = (struct fit_scaling_row){.attention = NAN};
  enum vkd_status st =
      bench_shape_config(&shape, s->run->args->pos + 1, (size_t)s->run->args->count - 1, s->config, err);
  if (st == VKD_OK) st = bench_steps(s->run, s->config, 4, &result, err);
  if (st == VKD_OK && attention && s->run->caps->timestamp_ns > 0) st = attention_share(s, &row->attention, err);
  if (st != VKD_OK) return st;
  row->tokens = (double)result.tokens;
  row->batch = result.batch;
  row->seconds = result.seconds;
  row->bytes = (double)result.peak_bytes;
  s->count++;
  double all = row->tokens * row->batch;
  if (s->run->rows) {
    json_t *o = bench_steps_json(attention ? "tokens" : "batch", &result);
    json_object_update_new(o, json_pack("{s:f,s:f,s:o}", "us_per_token", row->seconds / all * 1e6, "bytes_per_token",
                                        row->bytes / all, "attention_share",
                                        isfinite(row->attention) ? json_real(row->attention) : json_null()));
    json_array_append_new(s->run->rows, o);
  }
  if (!s->run->text) return VKD_OK;
  if (bench_begin(s->run))
    printf("%6s %5s %10s %10s %9s %9s %11s\n", "tokens", "batch", "ms", "us/token", "MiB", "KiB/token", "attention %");
  printf("%6lld %5d %10.2f %10.2f %9.1f %9.1f", (long long)result.tokens, result.batch, result.seconds * 1e3,
         row->seconds / all * 1e6, row->bytes / 1048576, row->bytes / all / 1024);
  if (isfinite(row->attention)) printf(" %11.1f", 100 * row->attention);
  putchar('\n');
  fflush(stdout);
  return VKD_OK;
}

static void report(const struct scaling *s) {
  const struct fit_scaling *l = &s->law;
  if (s->run->root)
    json_object_set_new(s->run->root, "law",
                        json_pack("{s:f,s:f,s:f,s:f,s:f,s:f,s:f}", "seconds_fixed", l->fixed, "seconds_per_token",
                                  l->per_token, "seconds_per_pair", l->per_pair, "seconds_worst", l->worst,
                                  "bytes_fixed", l->bytes_fixed, "bytes_per_token", l->bytes_per_token, "bytes_worst",
                                  l->bytes_worst));
  if (!s->run->text) return;
  printf("\ntime of a step = %.3f ms + %.3f us per token + %.3f ns per pair of tokens; the rows are within %.1f %%\n",
         l->fixed * 1e3, l->per_token * 1e6, l->per_pair * 1e9, 100 * l->worst);
  printf("memory of a step = %.1f MiB + %.1f KiB per token; the rows are within %.1f %%\n", l->bytes_fixed / 1048576,
         l->bytes_per_token / 1024, 100 * l->bytes_worst);
}

enum vkd_status bench_scaling(struct bench_run *run, struct vkd_error *err) {
  struct scaling *s = calloc(1, sizeof *s);
  if (!s) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "bench: out of memory");
  enum vkd_status st = VKD_OK;
  struct fit_error bad;
  s->run = run;
  s->config = calloc(1, sizeof *s->config);
  if (!s->config) st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "bench: out of memory");
  for (int64_t n = FIRST; n <= cmd_int(run->args, "max-tokens") && st == VKD_OK; n *= 2)
    st = measure(s, (int)n, 1, true, err);
  s->split = s->count;
  for (int64_t b = 1; b <= cmd_int(run->args, "max-batch") && st == VKD_OK; b *= 2)
    st = measure(s, BATCH_TOKENS, (int)b, false, err);
  if (st == VKD_OK) st = law_status(fit_scaling(s->rows, s->count, &s->law, &bad), &bad, err);
  if (st == VKD_OK) report(s);
  if (st == VKD_OK && cmd_has(run->args, "svg"))
    st = law_status(fit_scaling_plot(cmd_string(run->args, "svg"), s->rows, s->count, s->split, &s->law, &bad), &bad,
                    err);
  free(s->config);
  free(s);
  return st;
}
