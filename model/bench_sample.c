#include "vkdm/bench_sample.h"

#include <math.h>
#include <stdlib.h>

#include "stream.h"
#include "vkd/log.h"
#include "vkdm/clock.h"
#include "vkdm/peak.h"
#include "vkdm/random_fill.h"

enum { TABLE = 65521, PIECE = 1 << 20 };

// ---- random weights ------------------------------------------------------------------------------------------------
// Normal draws, a table of them over and over: drawing billions takes longer than the benchmark.
struct random_weights {
  const struct dit_param *rows;
  int dim;
  float table[TABLE];
};

static double spread(const struct random_weights *w, const struct dit_param *row) {
  double first = (double)row->shape.dim[0], rest = (double)row->numel / first;
  switch (row->init) {
  case DIT_INIT_XAVIER:
    return sqrt(2 / (first + rest));
  case DIT_INIT_NORMAL:
    return row->init_scale;
  case DIT_INIT_MODULATION:
    return 1 / sqrt(w->dim);
  case DIT_INIT_POSITION:
    return sqrt(0.5);
  default:
    return 0.02;
  }
}

static enum vkd_status read_random(void *user, int index, uint64_t first, uint64_t count, float *dst,
                                   struct vkd_error *err) {
  const struct random_weights *w = user;
  const struct dit_param *row = &w->rows[index];
  float base = row->init == DIT_INIT_ONE ? 1 : 0, scale = (float)spread(w, row);
  uint64_t at = ((uint64_t)index * 7919 + first) % TABLE;
  (void)err;
  for (uint64_t done = 0; done < count; at = 0) {
    uint64_t n = count - done < TABLE - at ? count - done : TABLE - at;
    for (uint64_t i = 0; i < n; i++) dst[done + i] = base + scale * w->table[at + i];
    done += n;
  }
  return VKD_OK;
}

static enum vkd_status load(struct params *p, const struct params_reader *reader, struct vkd_error *err) {
  float *piece = malloc(PIECE * sizeof *piece);
  enum vkd_status st = piece ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory to load weights");
  for (int i = 0; i < p->count; i++)
    for (uint64_t at = 0, numel = (uint64_t)p->rows[i].numel; at < numel && st == VKD_OK; at += PIECE) {
      uint64_t n = numel - at < PIECE ? numel - at : PIECE;
      st = reader->read(reader->user, i, at, n, piece, err);
      if (st == VKD_OK) st = params_write_part(p, PARAMS_WEIGHT, i, at, n, piece, err);
    }
  free(piece);
  return st;
}

// ---- a step --------------------------------------------------------------------------------------------------------
struct bench {
  const struct bench_sample_params *p;
  struct params *params;
  struct vkd_buffer *x, *out;
  struct denoiser *denoiser;
  float *text, *latents;
  int32_t *labels;
};

static uint64_t latent_numel(const struct dit_config *c, int channels) {
  return (uint64_t)channels * (uint64_t)c->latent[0] * (uint64_t)c->latent[1] * (uint64_t)c->latent[2];
}

static enum vkd_status open_model(struct bench *b, const struct dit_config *c, const struct params_reader *reader,
                                  bool streamed, struct vkd_error *err) {
  uint64_t count = (uint64_t)b->p->count, in = count * latent_numel(c, c->in_channels);
  uint64_t text = c->class_rows ? 0 : count * (uint64_t)c->text_len * (uint64_t)c->text_dim;
  uint64_t out = count * latent_numel(c, c->out_channels), most = in > out ? in : out;
  struct vkd_device *dev = b->p->device;
  b->latents = malloc(most * sizeof *b->latents);
  b->text = malloc((text + 1) * sizeof *b->text);
  b->labels = calloc(count, sizeof *b->labels);
  if (!b->latents || !b->text || !b->labels) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for random latents");
  enum vkd_status st = params_create(&b->params, dev, c, streamed ? 0 : PARAMS_FOR_INFERENCE, err);
  if (st == VKD_OK && streamed) b->params->reader = reader;
  if (st == VKD_OK) st = vkd_buffer_create(&b->x, dev, in * sizeof(float), err);
  if (st == VKD_OK) st = vkd_buffer_create(&b->out, dev, out * sizeof(float), err);
  if (st != VKD_OK) return st;
  random_fill(b->latents, in, 1);
  random_fill(b->text, text, 2);
  for (int i = 0; c->class_rows && i < b->p->count; i++) b->labels[i] = i % c->class_rows;
  struct denoiser_params p = {.params = b->params,
                              .kind = PARAMS_WEIGHT,
                              .count = b->p->count,
                              .cfg = b->p->cfg,
                              .labels = b->labels,
                              .text = text ? b->text : NULL,
                              .x = b->x,
                              .out = b->out};
  st = vkd_buffer_write(b->x, 0, b->latents, in * sizeof(float), err);
  if (st == VKD_OK && !streamed) st = load(b->params, reader, err);
  return st == VKD_OK ? denoiser_create(&b->denoiser, &p, err) : st;
}

static void close_model(struct bench *b) {
  denoiser_destroy(&b->denoiser);
  vkd_buffer_destroy(&b->x);
  vkd_buffer_destroy(&b->out);
  params_destroy(&b->params);
  free(b->latents);
  free(b->text);
  free(b->labels);
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

// Sorted seconds [p->steps].
static enum vkd_status time_steps(const struct bench *b, double *seconds, struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  for (int i = 0; i < b->p->steps && st == VKD_OK; i++) {
    double start = clock_seconds();
    st = denoiser_run(b->denoiser, 1000.0 * (b->p->steps - i) / (b->p->steps + 1), err);
    seconds[i] = clock_seconds() - start;
  }
  qsort(seconds, (size_t)b->p->steps, sizeof *seconds, by_value);
  return st;
}

static double median(const double *sorted, int n) { return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2; }

static enum vkd_status check_output(struct bench *b, struct bench_sample *out, struct vkd_error *err) {
  uint64_t bytes = vkd_buffer_bytes(b->out), n = bytes / sizeof(float);
  double sum = 0;
  enum vkd_status st = vkd_buffer_read(b->out, 0, b->latents, bytes, err);
  for (uint64_t i = 0; st == VKD_OK && i < n; i++) sum += (double)b->latents[i] * (double)b->latents[i];
  out->output_rms = sqrt(sum / (double)n);
  if (st == VKD_OK && !isfinite(out->output_rms))
    return vkd_fail(err, VKD_ERR_DIVERGED, "the model's output is not finite, so its time means nothing");
  return st;
}

// A model of `depth` blocks.
static enum vkd_status bench_depth(const struct bench_sample_params *p, const struct params_reader *reader, int depth,
                                   struct bench_sample *out, struct vkd_error *err) {
  struct dit_config c = *p->model;
  struct bench b = {.p = p};
  struct stream_info before;
  c.depth = depth;
  double *seconds = calloc((size_t)p->steps, sizeof *seconds);
  enum vkd_status st = seconds ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a benchmark");
  if (st == VKD_OK) st = open_model(&b, &c, reader, out->streamed, err);
  if (st == VKD_OK) out->allocated = vkd_device_allocated(p->device, NULL);
  if (st == VKD_OK) st = denoiser_run(b.denoiser, 1000, err); // a driver may compile at the first run
  if (st == VKD_OK && out->streamed) stream_get_info(denoiser_stream(b.denoiser), &before);
  if (st == VKD_OK) st = time_steps(&b, seconds, err);
  if (st == VKD_OK) {
    out->seconds = median(seconds, p->steps);
    out->fastest = seconds[0];
    out->slowest = seconds[p->steps - 1];
    st = check_output(&b, out, err);
  }
  if (st == VKD_OK && out->streamed) {
    stream_get_info(denoiser_stream(b.denoiser), &out->info);
    out->streamed_bytes = (out->info.uploaded - before.uploaded) / (uint64_t)p->steps;
    out->info.fill_s = (out->info.fill_s - before.fill_s) / p->steps;
    stream_keep(denoiser_stream(b.denoiser), true);
    st = time_steps(&b, seconds, err);
    out->resident_seconds = median(seconds, p->steps);
  }
  close_model(&b);
  free(seconds);
  return st;
}

// y at `depth` on the line through (k, a) and (2 k, b)
static double extend(double a, double b, int k, int depth) { return b + (b - a) / k * (depth - 2 * k); }

static enum vkd_status bench_part(const struct bench_sample_params *p, const struct params_reader *reader,
                                  struct bench_sample *out, struct vkd_error *err) {
  struct bench_sample few = *out;
  // Two slots keep two blocks: only from three on does every block stream.
  int k = out->streamed && p->blocks < 3 ? 3 : p->blocks, depth = p->model->depth;
  if (2 * k >= depth) return bench_depth(p, reader, depth, out, err);
  enum vkd_status st = bench_depth(p, reader, k, &few, err);
  if (st == VKD_OK) st = bench_depth(p, reader, 2 * k, out, err);
  if (st != VKD_OK) return st;
  out->timed_blocks[0] = k;
  out->timed_blocks[1] = 2 * k;
  out->seconds = extend(few.seconds, out->seconds, k, depth);
  out->fastest = extend(few.fastest, out->fastest, k, depth);
  out->slowest = extend(few.slowest, out->slowest, k, depth);
  out->resident_seconds = extend(few.resident_seconds, out->resident_seconds, k, depth);
  out->info.fill_s = extend(few.info.fill_s, out->info.fill_s, k, depth);
  out->streamed_bytes = (uint64_t)extend((double)few.streamed_bytes, (double)out->streamed_bytes, k, depth);
  return VKD_OK;
}

static double mib(uint64_t bytes) { return (double)bytes / 1048576; }

enum vkd_status bench_sample_run(const struct bench_sample_params *p, struct bench_sample *out, struct vkd_error *err) {
  struct params_reader random = {.read = read_random}, reader;
  struct random_weights *w = calloc(1, sizeof *w);
  struct dit_param *rows = NULL;
  int count;
  *out = (struct bench_sample){.passes = p->cfg == 1 ? 1 : 2};
  enum vkd_status st = w ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for random weights");
  if (st == VKD_OK) st = dit_params(p->model, &rows, &count, err);
  if (st == VKD_OK) st = stream_need(p->device, p->model, (int64_t)out->passes * p->count, &out->need, err);
  if (st == VKD_OK) st = peak_products(p->device, p->model->compute, &out->peak, &out->peak_size, err);
  if (st != VKD_OK) goto done;
  w->rows = rows;
  w->dim = p->model->dim;
  random_fill(w->table, TABLE, 0);
  random.user = w;
  reader = p->reader ? *p->reader : random;
  out->flops = out->need.flops;
  out->streamed = p->stream || out->need.streamed;
  vkd_log(VKD_LOG_INFO, "a step is %.4g TFLOP; at the matmul peak of %.4g TFLOP/s it would take %.3g s",
          out->flops * 1e-12, out->peak * 1e-12, out->flops / out->peak);
  if (out->streamed)
    vkd_log(VKD_LOG_INFO, "the weights (%.0f MiB, beside %.0f MiB of activations) %s: they are streamed block by block",
            mib(out->need.weights), mib(out->need.activations),
            out->need.streamed ? "do not fit the device" : "fit the device, but --stream was given");
  st = p->blocks > 0 ? bench_part(p, &reader, out, err) : bench_depth(p, &reader, p->model->depth, out, err);
done:
  free(rows);
  free(w);
  return st;
}
