#include "fill.h"

#include <pthread.h>
#include <stdatomic.h>

#include "vkd/half.h"
#include "vkd/parallel.h"

enum { PIECE = 1 << 14, THREADS = 8, PIECES_PER_THREAD = 64 };

struct work {
  const struct params_reader *reader;
  const struct fill *fills;
  int count;
  uint64_t pieces;
  atomic_uint_fast64_t next;
  atomic_bool failed;
  pthread_mutex_t lock; // of error
  struct vkd_error error;
};

static uint64_t pieces_of(const struct fill *f) { return (f->count + PIECE - 1) / PIECE; }

static enum vkd_status fill_piece(const struct work *w, uint64_t piece, struct vkd_error *err) {
  const struct fill *f = w->fills;
  while (piece >= pieces_of(f)) piece -= pieces_of(f++);
  uint64_t at = piece * PIECE, n = f->count - at < PIECE ? f->count - at : PIECE;
  if (f->dtype == VKD_F32)
    return w->reader->read(w->reader->user, f->index, f->first + at, n, (float *)f->dst + at, err);
  float values[PIECE];
  enum vkd_status st = w->reader->read(w->reader->user, f->index, f->first + at, n, values, err);
  uint16_t *bits = (uint16_t *)f->dst + at;
  for (uint64_t i = 0; i < n && st == VKD_OK; i++) bits[i] = vkd_half_bits(f->dtype, values[i]);
  return st;
}

static void run(void *user, int worker) {
  struct work *w = user;
  (void)worker;
  for (uint64_t piece; (piece = atomic_fetch_add(&w->next, 1)) < w->pieces && !atomic_load(&w->failed);) {
    struct vkd_error err = {0};
    if (fill_piece(w, piece, &err) == VKD_OK) continue;
    pthread_mutex_lock(&w->lock);
    if (!atomic_exchange(&w->failed, true)) w->error = err;
    pthread_mutex_unlock(&w->lock);
  }
}

enum vkd_status fill_run(const struct params_reader *reader, const struct fill *fills, int count,
                         struct vkd_error *err) {
  struct work w = {.reader = reader, .fills = fills, .count = count, .lock = PTHREAD_MUTEX_INITIALIZER};
  for (int i = 0; i < count; i++) w.pieces += pieces_of(&fills[i]);
  uint64_t want = w.pieces / PIECES_PER_THREAD;
  vkd_parallel(vkd_threads(want < THREADS ? (int)want : THREADS), run, &w);
  pthread_mutex_destroy(&w.lock);
  return atomic_load(&w.failed) ? vkd_fail(err, w.error.status, "%s", w.error.what) : VKD_OK;
}
