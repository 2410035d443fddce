#include "vkdm/bench_train.h"

#include <math.h>
#include <stdlib.h>

#include "random_batch.h"
#include "step.h"
#include "vkdm/clock.h"
#include "vkdm/shapes.h"
#include "vkdm/train.h"

enum { SEED = 1 };
// Two steps are in flight: submit 4 returns when step 2 is done, and from there on submits are one step apart.
enum { STEADY = 4 };
static const double rate = 1e-6; // learning rate: weights stay near their initial ones

struct run {
  const struct bench_train_params *p;
  struct dataset *data;
  struct vkd_device *dev;
  struct params *params;
  struct step *step;
  struct random_batch batch;
  double *seconds; // [p->runs]
};

static enum vkd_status open_run(struct run *r, struct bench_train *out, struct vkd_error *err) {
  const struct config *c = r->p->config;
  struct dataset_info info;
  double start = clock_seconds();
  enum vkd_status st = vkd_device_create(&r->dev, r->p->device, err);
  out->device_s = clock_seconds() - start;
  if (st == VKD_OK) st = shapes_open(c, &r->data, &info, err);
  if (st == VKD_OK) st = train_model_config(c, &info, &out->model, err);
  if (st != VKD_OK) return st;
  out->caps = *vkd_device_get_caps(r->dev);
  unsigned kinds = PARAMS_FOR_TRAINING | (config_accumulation(c) > 1 ? 1u << PARAMS_GRAD_SUM : 0);
  st = params_create(&r->params, r->dev, &out->model, kinds, err);
  if (st == VKD_OK) st = params_init(r->params, SEED, err);
  if (st == VKD_OK) st = step_create(&r->step, c, r->params, NULL, err);
  if (st != VKD_OK) return st;
  out->batch = c->train.batch;
  out->params = r->params->numel;
  out->tokens = dit_tokens(&out->model);
  out->formula = dit_token_flops(&out->model) * (double)out->tokens * out->batch;
  out->counted = step_flops(r->step);
  return random_batch_create(&r->batch, &out->model, out->batch, err);
}

static void close_run(struct run *r) {
  random_batch_free(&r->batch);
  step_destroy(&r->step);
  params_destroy(&r->params);
  vkd_device_destroy(&r->dev);
  dataset_close(&r->data);
  free(r->seconds);
}

static enum vkd_status submit(struct run *r, int64_t number, struct bench_train *out, struct vkd_error *err) {
  struct step_result results[2];
  int count;
  enum vkd_status st = step_submit(r->step, number, rate, &r->batch.data, results, &count, err);
  if (st == VKD_OK && count) out->loss = results[count - 1].loss;
  return st;
}

static enum vkd_status flush(struct run *r, struct bench_train *out, struct vkd_error *err) {
  struct step_result results[2];
  int count;
  enum vkd_status st = step_flush(r->step, results, &count, err);
  if (st == VKD_OK && count) out->loss = results[count - 1].loss;
  return st;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static enum vkd_status time_steps(struct run *r, struct bench_train *out, struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  double begin = 0, last = 0, waited = 0;
  int n = 0;
  for (int64_t number = 2; st == VKD_OK && n < r->p->runs; number++) {
    if (n >= BENCH_TRAIN_LEAST && r->p->budget > 0 && last - begin > r->p->budget) break;
    st = submit(r, number, out, err);
    double now = clock_seconds();
    if (number > STEADY) r->seconds[n++] = now - last;
    last = now;
    if (number > STEADY) continue;
    begin = now;
    waited = step_waited(r->step);
  }
  if (st != VKD_OK) return st;
  out->host = 1 - (step_waited(r->step) - waited) / (last - begin);
  qsort(r->seconds, (size_t)n, sizeof *r->seconds, by_value);
  out->runs = n;
  out->seconds = (r->seconds[(n - 1) / 2] + r->seconds[n / 2]) / 2;
  out->fastest = r->seconds[0];
  out->slowest = r->seconds[n - 1];
  return flush(r, out, err);
}

enum vkd_status bench_train_run(const struct bench_train_params *params, struct bench_train *out,
                                struct vkd_error *err) {
  struct run r = {.p = params};
  double start = clock_seconds();
  *out = (struct bench_train){.runs = 0};
  r.seconds = calloc((size_t)params->runs, sizeof *r.seconds);
  enum vkd_status st = r.seconds ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a benchmark");
  if (st == VKD_OK) st = open_run(&r, out, err);
  double first = clock_seconds();
  if (st == VKD_OK) st = submit(&r, 1, out, err);
  if (st == VKD_OK) st = flush(&r, out, err);
  out->first_s = clock_seconds() - first;
  out->startup_s = clock_seconds() - start;
  if (st == VKD_OK) st = time_steps(&r, out, err);
  if (st == VKD_OK) vkd_device_allocated(r.dev, &out->peak_bytes);
  if (st == VKD_OK && !isfinite(out->loss))
    st = vkd_fail(err, VKD_ERR_DIVERGED, "the loss is not finite, so the time of a step means nothing");
  close_run(&r);
  return st;
}
