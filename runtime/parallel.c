#include "vkd/parallel.h"

#include <pthread.h>
#include <unistd.h>

struct thread {
  pthread_t handle;
  void (*fn)(void *user, int worker);
  void *user;
  int worker;
};

int vkd_threads(int most) {
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online < 1 || most < 1 ? 1 : online < most ? (int)online : most;
}

static void *start(void *thread) {
  const struct thread *t = thread;
  t->fn(t->user, t->worker);
  return NULL;
}

void vkd_parallel(int threads, void (*fn)(void *user, int worker), void *user) {
  struct thread others[VKD_THREADS_MAX];
  int started = 0;
  while (started + 1 < threads && started < VKD_THREADS_MAX) {
    others[started] = (struct thread){.fn = fn, .user = user, .worker = started + 1};
    if (pthread_create(&others[started].handle, NULL, start, &others[started]) != 0) break;
    started++;
  }
  fn(user, 0);
  for (int i = 0; i < started; i++) pthread_join(others[i].handle, NULL);
}
