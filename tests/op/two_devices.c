// Two threads, each with a device of its own, as in the self-test: mapped pages go back and forth between them.
// PRESET=tsan tells whether the accesses are ordered.
#include <string.h>

#include "device.h"
#include "device_internal.h"
#include "vkd/parallel.h"

enum { THREADS = 2, ROUNDS = 60, BYTES = 50000 };

struct thread {
  struct vkd_error err;
  int done, wrong; // rounds; bytes that are not what was written
  uint32_t complaints;
};

static void take_and_give(void *user, int worker) {
  struct thread *t = &((struct thread *)user)[worker];
  const struct vkd_device_params params = {.cache_dir = ""};
  struct vkd_device *dev = NULL;
  enum vkd_status st = vkd_device_create(&dev, &params, &t->err);
  for (int i = 0; i < ROUNDS && st == VKD_OK; i++) {
    const uint64_t bytes = (uint64_t)(1 + i % 7) * BYTES;
    struct vkd__host_buffer *b = NULL;
    st = vkd__host_buffer_create(&b, dev, bytes, &t->err);
    if (st != VKD_OK) break;
    unsigned char *p = memset(b->map, worker + 1, bytes);
    for (uint64_t k = 0; k < bytes; k++) t->wrong += p[k] != worker + 1;
    vkd__host_buffer_destroy(dev, &b);
    t->done++;
  }
  if (dev) t->complaints = vkd_device_validation(dev, NULL, 0);
  vkd_device_destroy(&dev);
}

int main(void) {
  struct vkd_device *dev = device_or_skip(false);
  struct thread threads[THREADS] = {0};
  vkd_parallel(THREADS, take_and_give, threads);
  for (int i = 0; i < THREADS; i++) {
    CHECK(threads[i].done == ROUNDS, "thread %d: %d rounds: %s", i, threads[i].done, threads[i].err.what);
    CHECK(!threads[i].wrong, "thread %d: %d bytes are not its own", i, threads[i].wrong);
    CHECK(!threads[i].complaints, "thread %d: %u complaints", i, threads[i].complaints);
  }
  return device_done(&dev);
}
