#include "bench_sample.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_arg.h"
#include "precision_arg.h"
#include "vkdm/bench_sample.h"
#include "vkdm/sampler.h"
#include "vkdm/shapes.h"
#include "vkdm/train.h"

// What is to be measured.
struct job {
  struct config config;
  struct dit_config model;
  int64_t params;
  double cfg;
  const struct sampler *sampler; // the usual one, for its number of steps
};

static enum vkd_status make_job(const struct cmd_args *args, struct job *job, struct vkd_error *err) {
  struct dataset *data = NULL;
  struct dataset_info info;
  struct dit_param *rows = NULL;
  int count = 0;
  const char *name = cmd_string(args, "config");
  if (!name)
    return vkd_fail(err, VKD_ERR_USAGE, "bench: sample needs --config, as in --config wan-1.3b (vkdit config --list)");
  enum vkd_status st = config_arg_named(name, args->pos + 1, (size_t)args->count - 1, &job->config, err);
  if (st == VKD_OK) st = shapes_open(&job->config, &data, &info, err);
  if (st == VKD_OK) st = train_model_config(&job->config, &info, &job->model, err);
  dataset_close(&data);
  if (st == VKD_OK) st = precision_arg(args, &job->model.compute, err);
  if (st == VKD_OK) st = dit_params(&job->model, &rows, &count, err);
  job->params = 0;
  for (int i = 0; st == VKD_OK && i < count; i++)
    if (rows[i].init != DIT_INIT_POSITION) job->params += rows[i].numel;
  free(rows);
  bool flow = job->config.train.objective == CONFIG_FLOW;
  if (st == VKD_OK) st = sampler_find(NULL, prediction_of(job->config.train.objective), &job->sampler, err);
  job->cfg = cmd_has(args, "cfg") ? cmd_real(args, "cfg") : flow ? 5 : 4;
  return st;
}

static double samples_per_hour(const struct job *job, const struct bench_sample *b, int count) {
  return 3600.0 * count / (b->seconds * sampler_default_steps(job->sampler));
}

static json_t *stream_json(const struct bench_sample *b) {
  if (!b->streamed) return json_null();
  double share = 1 - b->resident_seconds / b->seconds;
  return json_pack("{s:s,s:I,s:I,s:I,s:f,s:f,s:f,s:f}", "through",
                   b->info.mapped ? "mapped device memory" : "staging buffers", "block_bytes",
                   (json_int_t)b->info.block_bytes, "resident_bytes", (json_int_t)b->info.resident_bytes,
                   "bytes_per_step", (json_int_t)b->streamed_bytes, "gbytes_per_second",
                   (double)b->streamed_bytes / b->seconds * 1e-9, "host_fill_seconds", b->info.fill_s,
                   "seconds_without_uploads", b->resident_seconds, "share_of_step", share);
}

static json_t *report_json(const struct cmd_args *args, const struct job *job, const struct bench_sample *b,
                           const struct vkd_device_caps *caps) {
  const struct dit_config *m = &job->model;
  int count = (int)cmd_int(args, "count");
  const char *weights = cmd_string(args, "weights");
  json_t *root =
      json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:I}", "bench", "sample", "vkdit", VKDIT_VERSION, "device", caps->name,
                "driver", caps->driver, "driver_info", caps->driver_info, "config", cmd_string(args, "config"),
                "family", dit_family_name(m->family), "params", (json_int_t)job->params);
  json_object_update_new(
      root, json_pack("{s:[iiii],s:I,s:i,s:i,s:i,s:i,s:f,s:i,s:s,s:s,s:i}", "latent", m->in_channels, m->latent[0],
                      m->latent[1], m->latent[2], "tokens", (json_int_t)dit_tokens(m), "text_len", m->text_len,
                      "text_dim", m->text_dim, "classes", m->class_rows ? m->class_rows - 1 : 0, "count", count, "cfg",
                      job->cfg, "passes_per_step", b->passes, "precision", vkd_dtype_name(m->compute), "weights",
                      weights ? weights : "random", "steps_timed", (int)cmd_int(args, "steps")));
  json_object_update_new(root, json_pack("{s:f,s:f,s:f,s:f,s:f,s:f,s:s,s:f,s:f}", "seconds_per_step", b->seconds,
                                         "seconds_min", b->fastest, "seconds_max", b->slowest, "flops_per_step",
                                         b->flops, "tflops", b->flops / b->seconds * 1e-12, "peak_tflops",
                                         b->peak * 1e-12, "peak_is", "best square matmul of this run", "peak_percent",
                                         100 * b->flops / b->seconds / b->peak, "output_rms", b->output_rms));
  json_object_set_new(root, "peak_matmul", json_integer(b->peak_size));
  json_object_update_new(
      root, json_pack("{s:{s:I,s:I,s:I,s:I},s:s,s:i,s:f,s:b,s:o}", "memory", "allocated", (json_int_t)b->allocated,
                      "weights", (json_int_t)b->need.weights, "activations", (json_int_t)b->need.activations, "other",
                      (json_int_t)b->need.other, "sampler", sampler_name(job->sampler), "usual_steps",
                      sampler_default_steps(job->sampler), "samples_per_hour", samples_per_hour(job, b, count),
                      "streamed", b->streamed, "stream", stream_json(b)));
  json_object_set_new(root, "extrapolated_from_blocks",
                      b->timed_blocks[0] ? json_pack("[ii]", b->timed_blocks[0], b->timed_blocks[1]) : json_null());
  return root;
}

static double mib(uint64_t bytes) { return (double)bytes / 1048576; }

static void print_text(const struct cmd_args *args, const struct job *job, const struct bench_sample *b,
                       const struct vkd_device_caps *caps) {
  const struct dit_config *m = &job->model;
  int count = (int)cmd_int(args, "count");
  printf("%s, %s: %lld parameters (%s), %s, on %s, %s\n", cmd_string(args, "config"), dit_family_name(m->family),
         (long long)job->params, cmd_string(args, "weights") ? cmd_string(args, "weights") : "random weights",
         vkd_dtype_name(m->compute), caps->name, caps->driver_info);
  printf("%d x %d x %d x %d x %d latents, %lld tokens each, cfg %g: %d forward pass%s per step\n", count,
         m->in_channels, m->latent[0], m->latent[1], m->latent[2], (long long)dit_tokens(m), job->cfg, b->passes,
         b->passes > 1 ? "es" : "");
  if (b->timed_blocks[0])
    printf("extrapolated to %d blocks from %d and %d\n", m->depth, b->timed_blocks[0], b->timed_blocks[1]);
  printf("%-22s %12.6g s  (%.6g to %.6g, median of %d)\n", "step", b->seconds, b->fastest, b->slowest,
         (int)cmd_int(args, "steps"));
  printf("%-22s %12.6g TFLOP\n", "FLOPs per step", b->flops * 1e-12);
  printf("%-22s %12.6g TFLOP/s  (%.1f %% of %.6g, the best square matmul of this run, of %d)\n", "rate",
         b->flops / b->seconds * 1e-12, 100 * b->flops / b->seconds / b->peak, b->peak * 1e-12, b->peak_size);
  printf("%-22s %12.6g per hour, at %d steps of %s each\n", "samples", samples_per_hour(job, b, count),
         sampler_default_steps(job->sampler), sampler_name(job->sampler));
  printf("%-22s %12.1f MiB allocated%s\n", "device memory", mib(b->allocated),
         b->timed_blocks[0] ? ", with the blocks that were timed" : "");
  printf("%-22s %12.1f MiB weights, %.1f activations, %.1f inputs and outputs\n", "all of the model",
         mib(b->need.weights), mib(b->need.activations), mib(b->need.other));
  if (!b->streamed) return;
  printf("%-22s %12.1f MiB per step, %.3g GB/s, through %s\n", "streamed weights", mib(b->streamed_bytes),
         (double)b->streamed_bytes / b->seconds * 1e-9, b->info.mapped ? "mapped device memory" : "staging buffers");
  double share = 100 * (1 - b->resident_seconds / b->seconds);
  printf("%-22s %12.6g s without uploads: streaming takes ", "", b->resident_seconds);
  printf(share > 0 ? "%.1f %% of the step\n" : "less than the times vary\n", share);
}

enum vkd_status bench_sample_command(const struct cmd_args *args, struct vkd_error *err) {
  struct vkd_device *dev = NULL;
  struct weights *weights = NULL;
  struct source *source = NULL;
  struct bench_sample result;
  struct params_reader reader;
  const char *path = cmd_string(args, "weights");
  struct job *job = calloc(1, sizeof *job);
  if (!job) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "bench: out of memory");
  enum vkd_status st = VKD_OK;
  if (path && cmd_has(args, "random-weights"))
    st = vkd_fail(err, VKD_ERR_USAGE, "bench: give --random-weights or --weights, not both");
  else if (cmd_has(args, "runs"))
    st = vkd_fail(err, VKD_ERR_USAGE, "bench: sample has --steps in place of --runs");
  if (st == VKD_OK) st = make_job(args, job, err);
  if (st == VKD_OK && path) st = weights_open(&weights, path, err);
  if (st == VKD_OK && path) st = source_open(&source, weights, &job->model, err);
  reader = streamed_reader(source);
  struct vkd_device_params wanted = {.select = cmd_string(args, "device"), .memory_limit = streamed_limit(args)};
  if (st == VKD_OK) st = vkd_device_create(&dev, &wanted, err);
  struct bench_sample_params params = {.device = dev,
                                       .model = &job->model,
                                       .reader = source ? &reader : NULL,
                                       .count = (int)cmd_int(args, "count"),
                                       .cfg = job->cfg,
                                       .steps = (int)cmd_int(args, "steps"),
                                       .stream = cmd_has(args, "stream"),
                                       .blocks = (int)cmd_int(args, "blocks")};
  if (st == VKD_OK) st = bench_sample_run(&params, &result, err);
  if (st == VKD_OK && cmd_has(args, "json")) {
    json_t *root = report_json(args, job, &result, vkd_device_get_caps(dev));
    if (!root || json_dumpf(root, stdout, JSON_COMPACT) || printf("\n") < 0)
      st = vkd_fail(err, VKD_ERR_IO, "bench: cannot print JSON");
    json_decref(root);
  } else if (st == VKD_OK) {
    print_text(args, job, &result, vkd_device_get_caps(dev));
  }
  vkd_device_destroy(&dev);
  source_close(&source);
  weights_close(&weights);
  free(job);
  return st;
}
