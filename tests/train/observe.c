// Histograms and pictures of a run, against the weights of its checkpoint and the gradient norm that it told.
#include <unistd.h>

#include "device.h"
#include "events.h"
#include "temp.h"
#include "vkdm/ckpt.h"
#include "vkdm/fileio.h"
#include "vkdm/safetensors.h"
#include "vkdm/train.h"

enum { STEPS = 8, EVERY = 4, COUNT = 3, FRAMES = 2, SIDE = 8 };

static const char text[] = "model: {dim: 32, depth: 1, heads: 2, patch: [1, 2, 2]}\n"
                           "data: {synthetic: true, count: 24, frames: 2, size: [8, 8], codec: haar}\n"
                           "train: {steps: 8, batch: 4, lr: 3e-3, ema: 0.9}\n"
                           "eval: {every: 8, holdout: 2}\n"
                           "checkpoint: {every: 4, keep: 0}\n"
                           "log: {histograms: 4, samples: 4, sample_count: 3, sample_steps: 2}\n";

static enum vkd_status train(struct vkd_device *dev, const char *run, struct vkd_error *err) {
  struct config config;
  struct train_result result = {0};
  enum vkd_status st = config_from_string("observe.yaml", text, strlen(text), NULL, 0, &config, err);
  if (st == VKD_OK) st = train_run(&(struct train_params){.device = dev, .config = &config, .run = run}, &result, err);
  train_result_free(&result);
  return st;
}

// Of a tensor of the checkpoint of the event's step, in float64.
static void check_weights(const char *run, const struct event *e) {
  char path[512];
  struct st_file *file = NULL;
  struct vkd_error err = {0};
  snprintf(path, sizeof path, "%s/checkpoints/step-%09d/weights.safetensors", run, (int)e->step);
  CHECK(st_open(path, &file, &err) == VKD_OK, "%s", err.what);
  const struct st_tensor *tensor = file ? st_find(file, e->tag + strlen("weights/")) : NULL;
  CHECK(tensor != NULL, "%s has no %s", path, e->tag);
  if (tensor) {
    uint64_t n = tensor->numel;
    float *x = malloc(n * sizeof *x);
    double *y = malloc(n * sizeof *y);
    CHECK(x && y && st_read_f32(tensor, x, &err) == VKD_OK, "%s", err.what);
    for (uint64_t i = 0; x && y && i < n; i++) y[i] = (double)x[i];
    if (x && y) event_check_histogram(e, y, n);
    free(y);
    free(x);
  }
  st_close(&file);
}

static void check_gif(const char *run, int step) {
  char path[512], *data = NULL;
  size_t size = 0;
  struct vkd_error err = {0};
  snprintf(path, sizeof path, "%s/samples/step-%09d.gif", run, step);
  CHECK(fileio_read_whole(path, 1 << 20, &data, &size, &err) == VKD_OK, "%s", err.what);
  CHECK(size > 10 && !memcmp(data, "GIF89a", 6) && event_little((unsigned char *)data + 6, 2) == 2 * SIDE &&
            event_little((unsigned char *)data + 8, 2) == 2 * SIDE,
        "%s is no GIF of 2 x 2 samples", path);
  free(data);
}

int main(void) {
  char run[TEMP_SIZE], path[512];
  struct vkd_error err = {0};
  struct vkd_device *dev = device_or_skip(false);
  temp_folder(run);
  enum vkd_status st = train(dev, run, &err);
  CHECK(st == VKD_OK, "%s", err.what);
  size_t size;
  unsigned char *data = events_load(run, path, &size);
  const unsigned char *p = data;
  struct event e;
  int weights = 0, gradients = 0, images = 0;
  double squares[STEPS + 1] = {0}, norm[STEPS + 1] = {0};
  while (data && events_next(&p, data + size, &e)) {
    CHECK(e.step <= STEPS, "step %d", (int)e.step);
    if (e.step > STEPS) break;
    if (e.has_value && !strcmp(e.tag, "grad_norm")) norm[e.step] = (double)e.value;
    if (e.has_histogram && !strncmp(e.tag, "weights/", 8)) {
      check_weights(run, &e);
      weights++;
    }
    if (e.has_histogram && !strncmp(e.tag, "gradients/", 10)) {
      squares[e.step] += e.sum_squares;
      gradients++;
    }
    if (!e.has_image) continue;
    CHECK(e.step % EVERY == 0 && !strcmp(e.tag, "samples"), "a picture of step %d", (int)e.step);
    event_check_png(&e, COUNT * SIDE, FRAMES * SIDE);
    check_gif(run, (int)e.step);
    images++;
  }
  CHECK(images == STEPS / EVERY && weights == gradients && weights >= 2 * 15 && weights % 2 == 0,
        "%d pictures, %d histograms of weights, %d of gradients", images, weights, gradients);
  for (int s = EVERY; s <= STEPS; s += EVERY) // the device's norm is a sum of fp32
    CHECK(fabs(sqrt(squares[s]) - norm[s]) <= 1e-5 * norm[s], "step %d: gradients of norm %.9g, not %.9g", s,
          sqrt(squares[s]), norm[s]);
  free(data);
  char command[TEMP_SIZE + 16];
  snprintf(command, sizeof command, "rm -rf '%s'", run);
  CHECK(system(command) == 0, "%s", command);
  return device_done(&dev);
}
