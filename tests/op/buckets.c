// Buckets reach the host with what the run left in them, in the order of their last uses, and go back changed, whole or
// in parts: through staging memory and in place, in every order of dispatches between barriers.
#include <stdlib.h>

#include "device.h"
#include "vkd/exec.h"
#include "vkd/ops.h"

enum { N = 960, PARTS = 3 };

// Waits a moment at a time.
static float *take(struct vkd_program *p, uint32_t i) {
  struct vkd_error err = {0};
  bool there = false;
  for (int tries = 0; !there && tries < 100000; tries++)
    if (vkd_program_bucket_wait(p, i, 1e-4, &there, &err) != VKD_OK) break;
  CHECK(there, "bucket %u: %s", i, err.what);
  return vkd_program_bucket(p, i);
}

static bool holds(struct vkd_range part, int i) {
  return !part.bytes || ((uint64_t)i * 4 >= part.offset && (uint64_t)i * 4 < part.offset + part.bytes);
}

// A run of the program: each bucket holds `want` times x, and one more once it is back.  in_place: what is given back
// is all of it.
static void run(struct vkd_program *p, const struct vkd_bucket *buckets, bool in_place, vkd_tensor x, float scale,
                const uint32_t *order) {
  static const float want[PARTS] = {4, 3, 2};
  struct vkd_error err = {0};
  float *in = vkd_program_input(p, 0, x), got[PARTS * N];
  for (int i = 0; i < N; i++) in[i] = scale * (float)i;
  enum vkd_status st = vkd_program_submit_buckets(p, 0, &err);
  CHECK(st == VKD_OK, "%s", err.what);
  for (int k = 0; k < PARTS && st == VKD_OK; k++) {
    uint32_t part = order[k], wrong = 0;
    float *bucket = take(p, part);
    for (int i = 0; i < N; i++) {
      wrong += holds(buckets[part].take, i) && bucket[i] != want[part] * scale * (float)i;
      bucket[i] = want[part] * scale * (float)i + 1;
    }
    CHECK(wrong == 0, "bucket %u: %u numbers are wrong", part, wrong);
    st = vkd_program_bucket_return(p, part, &err);
    CHECK(st == VKD_OK, "%s", err.what);
  }
  st = vkd_program_wait(p, 0, &err);
  if (st == VKD_OK) st = vkd_buffer_read(buckets->buffer, 0, got, sizeof got, &err);
  CHECK(st == VKD_OK, "%s", err.what);
  int wrong = 0;
  for (int i = 0; i < PARTS * N; i++) {
    float more = in_place || holds(buckets[i / N].give, i % N) ? 1 : 0;
    wrong += got[i] != want[i / N] * scale * (float)(i % N) + more;
  }
  CHECK(wrong == 0, "%d numbers came back wrong", wrong);
}

static void trial(struct vkd_device *dev, const char *upload, const char *sync) {
  struct vkd_error err = {0};
  struct vkd_graph *g;
  struct vkd_buffer *buffer = NULL;
  struct vkd_program *p = NULL;
  vkd_tensor parts[PARTS];
  struct vkd_bucket buckets[PARTS];
  uint32_t order[PARTS] = {0};
  setenv("VKD_UPLOAD", upload, 1);
  setenv("VKD_SYNC", sync, 1);
  enum vkd_status st = vkd_buffer_create(&buffer, dev, PARTS * N * sizeof(float), &err);
  if (st == VKD_OK) st = vkd_graph_create(&g, &err);
  CHECK(st == VKD_OK, "%s", err.what);
  if (st != VKD_OK) return;
  for (int i = 0; i < PARTS; i++) {
    buckets[i] = (struct vkd_bucket){.buffer = buffer, .offset = i * N * sizeof(float), .bytes = N * sizeof(float)};
    if (i == 1) buckets[i].take = (struct vkd_range){0, 640 * sizeof(float)};
    if (i > 0) buckets[i].give = (struct vkd_range){320 * sizeof(float), 600 * sizeof(float)};
    parts[i] = vkd_bound(g, "part", VKD_F32, VKD_SHAPE(N), buffer, buckets[i].offset);
  }
  vkd_tensor x = vkd_input(g, "x", VKD_F32, VKD_SHAPE(N));
  vkd_tensor twice = vkd_add(g, x, x), thrice = vkd_add(g, twice, x), more = vkd_add(g, thrice, x);
  vkd_place(g, twice, parts[2]);
  vkd_place(g, thrice, parts[1]);
  vkd_place(g, vkd_reshape(g, more, VKD_SHAPE(N / 10, 10)), parts[0]); // another shape of it is placed too
  vkd_output(g, vkd_sum_squares(g, thrice));                           // touches the second part last
  st = vkd_program_create(
      &p, &(struct vkd_program_params){.device = dev, .graph = g, .buckets = buckets, .bucket_count = PARTS}, &err);
  CHECK(st == VKD_OK, "%s", err.what);
  if (st == VKD_OK) {
    CHECK(vkd_program_bucket_order(p, order, &err) == VKD_OK, "%s", err.what);
    CHECK(order[0] == 2 && order[1] == 0 && order[2] == 1, "order %u %u %u", order[0], order[1], order[2]);
    CHECK(vkd_program_plan(p)->pieces >= (*sync ? 2 : PARTS), "%u pieces", vkd_program_plan(p)->pieces);
    bool in_place = vkd_device_get_caps(dev)->kind == VKD_DEVICE_SOFTWARE && !*upload;
    run(p, buckets, in_place, x, 1, order);
    run(p, buckets, in_place, x, 3, order);
  }
  vkd_program_destroy(&p);
  vkd_graph_destroy(&g);
  vkd_buffer_destroy(&buffer);
}

int main(void) {
  setenv("VKD_DISPATCH_MS", "0", 1);
  struct vkd_device *dev = device_or_skip(false);
  trial(dev, "", "");
  trial(dev, "staging", "");
  trial(dev, "", "reverse");
  trial(dev, "staging", "full");
  return device_done(&dev);
}
