// A model whose blocks' weights are streamed from the host gives the same bits as one that lies on the device.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "normal.h"
#include "stream.h"

enum { COUNT = 2, RUNS = 3 };

struct weights {
  const struct dit_config *config;
  const struct dit_param *rows;
};

// No tensor is zero, else there would be nothing to see.
static float value(int index, uint64_t i, const struct dit_param *row) {
  double scale = 1 / sqrt((double)row->shape.dim[row->shape.rank - 1]);
  return (float)((row->init == DIT_INIT_ONE ? 1 : 0) + 0.7 * scale * normal_at(7, 0, (uint32_t)index, (int64_t)i));
}

static enum vkd_status read_weights(void *user, int index, uint64_t first, uint64_t count, float *dst,
                                    struct vkd_error *err) {
  const struct weights *w = user;
  (void)err;
  for (uint64_t i = 0; i < count; i++) dst[i] = value(index, first + i, &w->rows[index]);
  return VKD_OK;
}

static void fill_buffer(struct vkd_buffer *buffer, uint32_t which) {
  uint64_t n = vkd_buffer_bytes(buffer) / sizeof(float);
  float *x = malloc(n * sizeof *x);
  normal_fill(x, (int64_t)n, 3, 0, which);
  CHECK(vkd_buffer_write(buffer, 0, x, n * sizeof *x, NULL) == VKD_OK, "latents");
  free(x);
}

static int64_t latent_numel(const struct dit_config *c, int channels) {
  return (int64_t)channels * c->latent[0] * c->latent[1] * c->latent[2];
}

// RUNS evaluations of a model, each at a timestep of its own, into out [RUNS][bytes].
static void evaluate(struct params *params, double cfg, const int32_t *labels, const float *text, bool streamed,
                     bool mapped, char *out, uint64_t bytes) {
  struct vkd_error err = {0};
  struct vkd_buffer *x = NULL, *y = NULL;
  struct denoiser *d = NULL;
  const struct dit_config *c = &params->config;
  CHECK(vkd_buffer_create(&x, params->dev, COUNT * (uint64_t)latent_numel(c, c->in_channels) * 4, &err) == VKD_OK &&
            vkd_buffer_create(&y, params->dev, bytes, &err) == VKD_OK,
        "%s", err.what);
  fill_buffer(x, 11);
  struct denoiser_params p = {.params = params,
                              .kind = PARAMS_WEIGHT,
                              .count = COUNT,
                              .cfg = cfg,
                              .labels = labels,
                              .text = text,
                              .x = x,
                              .out = y};
  enum vkd_status st = denoiser_create(&d, &p, &err);
  CHECK(st == VKD_OK, "%s", err.what);
  CHECK(st != VKD_OK || (denoiser_stream(d) != NULL) == streamed, "streamed or not");
  for (int i = 0; i < RUNS && st == VKD_OK; i++) {
    st = denoiser_run(d, 900 - 300 * i, &err);
    if (st == VKD_OK) st = vkd_buffer_read(y, 0, out + (uint64_t)i * bytes, bytes, &err);
    CHECK(st == VKD_OK, "%s", err.what);
  }
  if (st == VKD_OK && streamed) {
    struct stream_info info;
    stream_get_info(denoiser_stream(d), &info);
    uint64_t each = 0;
    for (int kind = 0, first, count; kind < 2; kind++) {
      (kind ? dit_block_adapter_rows : dit_block_rows)(c, 0, &first, &count);
      for (int k = first; k < first + count; k++)
        each += (uint64_t)params->rows[k].numel * vkd_dtype_bytes(params_dtype(params, k));
    }
    // Two slots keep two blocks; more are uploaded once a run, and the first one for the run to come.
    uint64_t want = c->depth > 2 ? (uint64_t)(RUNS * c->depth + 1) : 2;
    CHECK(mapped || !info.mapped, "through a staging buffer");
    CHECK(info.runs == RUNS && info.uploaded == want * each, "%llu of %llu bytes uploaded",
          (unsigned long long)info.uploaded, (unsigned long long)(want * each));
  }
  denoiser_destroy(&d);
  vkd_buffer_destroy(&x);
  vkd_buffer_destroy(&y);
}

static void check_model(struct vkd_device *dev, const struct dit_config *c, double cfg, bool mapped) {
  struct vkd_error err = {0};
  struct params *resident = NULL, *hollow = NULL;
  enum vkd_status st = params_create(&resident, dev, c, PARAMS_FOR_INFERENCE, &err);
  if (st == VKD_OK) st = params_create(&hollow, dev, c, 0, &err);
  CHECK(st == VKD_OK, "%s", err.what);
  if (st != VKD_OK) return;
  struct weights weights = {c, hollow->rows};
  struct params_reader reader = {read_weights, &weights};
  hollow->reader = &reader;
  for (int i = 0; i < resident->count; i++) {
    float *values = calloc((size_t)resident->rows[i].numel, sizeof *values);
    read_weights(&weights, i, 0, (uint64_t)resident->rows[i].numel, values, &err);
    CHECK(params_write(resident, PARAMS_WEIGHT, i, values, &err) == VKD_OK, "%s", err.what);
    free(values);
  }
  CHECK(params_write(hollow, PARAMS_WEIGHT, 0, (float[1]){0}, &err) == VKD_ERR_UNSUPPORTED, "nothing to write to");
  err = (struct vkd_error){0};
  int32_t labels[COUNT] = {2, 0};
  size_t text_numel = COUNT * (size_t)c->text_len * (size_t)c->text_dim;
  float *text = calloc(text_numel + 1, sizeof *text);
  for (size_t i = 0; i < text_numel; i++) text[i] = (float)((double)((i * 37) % 101) / 50 - 1);
  uint64_t bytes = COUNT * (uint64_t)latent_numel(c, c->out_channels) * 4;
  char *a = malloc(RUNS * bytes), *b = malloc(RUNS * bytes);
  evaluate(resident, cfg, labels, c->class_rows ? NULL : text, false, mapped, a, bytes);
  evaluate(hollow, cfg, labels, c->class_rows ? NULL : text, true, mapped, b, bytes);
  CHECK(memcmp(a, b, RUNS * bytes) == 0, "%s of depth %d, cfg %g: streamed differs from resident",
        dit_family_name(c->family), c->depth, cfg);
  CHECK(memcmp(a, a + bytes, bytes) != 0, "the timestep makes no difference");
  double sum = 0;
  for (uint64_t i = 0; i < RUNS * bytes / 4; i++) sum += fabs((double)((float *)(void *)a)[i]);
  CHECK(isfinite(sum) && sum > 0, "sum of the output's magnitudes %g", sum);
  free(a);
  free(b);
  free(text);
  params_destroy(&resident);
  params_destroy(&hollow);
}

// The need is told, and a device that is too small for all of the weights is large enough for a part of them.
static void check_need(const struct dit_config *c) {
  struct vkd_error err = {0};
  struct vkd_device *dev = NULL;
  struct stream_need need, again;
  struct params *params = NULL;
  enum vkd_status st = vkd_device_create(&dev, NULL, &err);
  if (st == VKD_OK) st = stream_need(dev, c, COUNT, &need, &err);
  CHECK(st == VKD_OK, "%s", err.what);
  CHECK(!need.streamed && need.weights > 0 && need.activations > 0, "a small model fits");
  vkd_device_destroy(&dev);
  uint64_t limit = need.activations + need.other + need.weights / 2;
  st = vkd_device_create(&dev, &(struct vkd_device_params){.memory_limit = limit}, &err);
  if (st == VKD_OK) st = stream_need(dev, c, COUNT, &again, &err);
  CHECK(st == VKD_OK, "%s", err.what);
  CHECK(again.streamed && again.weights == need.weights, "half of its memory is not enough");
  if (need.weights > limit)
    CHECK(params_create(&params, dev, c, PARAMS_FOR_INFERENCE, &err) == VKD_ERR_DEVICE_MEMORY, "it is refused");
  vkd_device_destroy(&dev);
}

int main(void) {
  struct vkd_device *dev = device_or_skip(false);
  const struct dit_config cross = {.family = DIT_CROSS,
                                   .dim = 48,
                                   .depth = 5,
                                   .heads = 2,
                                   .ffn = 80,
                                   .freq_dim = 32,
                                   .text_dim = 24,
                                   .text_len = 7,
                                   .in_channels = 4,
                                   .out_channels = 4,
                                   .patch = {1, 2, 2},
                                   .latent = {3, 6, 4},
                                   .eps = 1e-6f};
  const struct dit_config image = {.family = DIT_CLASS,
                                   .dim = 48,
                                   .depth = 3,
                                   .heads = 3,
                                   .ffn = 192,
                                   .freq_dim = 32,
                                   .class_rows = 4,
                                   .in_channels = 4,
                                   .out_channels = 8,
                                   .patch = {1, 2, 2},
                                   .latent = {1, 8, 6},
                                   .eps = 1e-6f};
  const int depths[] = {5, 4, 2, 1};
  for (int i = 0; i < 4; i++) {
    struct dit_config c = cross;
    c.depth = depths[i];
    check_model(dev, &c, i % 2 ? 1 : 4.5, true);
  }
  check_model(dev, &image, 4, true);
  check_model(dev, &image, 1, true);
  struct dit_config adapters = cross;
  adapters.lora.rank = 3;
  adapters.lora.alpha = 3;
  adapters.lora.targets = DIT_LORA_ALL;
  adapters.depth = 3;
  check_model(dev, &adapters, 4.5, true);
  if (vkd_device_get_caps(dev)->storage_16bit) {
    struct dit_config half = image;
    half.compute = VKD_F16;
    check_model(dev, &half, 4, true);
    adapters.compute = VKD_BF16;
    check_model(dev, &adapters, 4.5, true);
  }
  setenv("VKD_UPLOAD", "staging", 1);
  check_model(dev, &adapters, 4.5, false);
  check_model(dev, &image, 4, false);
  check_need(&cross);
  return device_done(&dev);
}
