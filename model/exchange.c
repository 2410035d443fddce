#include "exchange.h"

#include <stdlib.h>

enum { BUCKET = 1 << 20 }; // numbers

struct bucket {
  struct vkd_buffer *buffer;
  uint64_t offset, count; // offset in bytes
  float *x;
  struct comm_sum *sum;
};

struct exchange {
  struct comm *comm;
  struct bucket *buckets;
  uint32_t count;
};

// From the end of the arena, whose gradients come first in the backward pass, to its beginning.
static enum vkd_status cut(struct exchange *e, const struct params *p, enum params_kind kind, struct vkd_error *err) {
  uint64_t most = 0;
  for (uint32_t s = 0; s < p->trainable_segments; s++) most += p->segment_bytes[s] / 4 / BUCKET + 1;
  e->buckets = calloc(most, sizeof *e->buckets);
  if (!e->buckets) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for buckets of gradients");
  for (uint32_t s = p->trainable_segments; s-- > 0;) {
    uint64_t n = p->segment_bytes[s] / 4, parts = (n + BUCKET - 1) / BUCKET;
    for (uint64_t k = parts; k-- > 0;) {
      struct bucket *b = &e->buckets[e->count++];
      uint64_t first = n * k / parts, end = n * (k + 1) / parts;
      *b = (struct bucket){.buffer = p->buffers[kind][s], .offset = first * 4, .count = end - first};
      b->x = malloc(b->count * sizeof *b->x);
      if (!b->x) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %llu gradients", (unsigned long long)n);
      enum vkd_status st = comm_sum_create(&b->sum, e->comm, b->count, err);
      if (st != VKD_OK) return st;
    }
  }
  return VKD_OK;
}

enum vkd_status exchange_create(struct exchange **out, struct comm *comm, struct params *params, enum params_kind kind,
                                struct vkd_error *err) {
  struct exchange *e = *out = calloc(1, sizeof *e);
  if (!e) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory to exchange gradients");
  e->comm = comm;
  enum vkd_status st = cut(e, params, kind, err);
  if (st != VKD_OK) exchange_destroy(out);
  return st;
}

void exchange_destroy(struct exchange **pe) {
  struct exchange *e = *pe;
  if (!e) return;
  for (uint32_t i = 0; i < e->count; i++) {
    comm_sum_destroy(&e->buckets[i].sum);
    free(e->buckets[i].x);
  }
  free(e->buckets);
  free(e);
  *pe = NULL;
}

enum vkd_status exchange_run(struct exchange *e, enum vkd_status st, double *loss, struct vkd_error *err) {
  // A rank that failed sends whatever it has: the others wait for it, and hear of it at the end.
  enum vkd_status sent = VKD_OK;
  for (uint32_t i = 0; i < e->count && sent == VKD_OK; i++) {
    struct bucket *b = &e->buckets[i];
    if (st == VKD_OK) st = vkd_buffer_read(b->buffer, b->offset, b->x, b->count * 4, err);
    sent = comm_sum_begin(b->sum, b->x, err);
    if (sent == VKD_OK) sent = comm_progress(e->comm, err);
  }
  for (uint32_t i = 0; i < e->count && sent == VKD_OK; i++) {
    struct bucket *b = &e->buckets[i];
    unsigned idle = 0;
    for (; sent == VKD_OK && !comm_sum_done(b->sum); comm_pause(&idle)) sent = comm_progress(e->comm, err);
    if (st == VKD_OK) st = sent;
    if (st == VKD_OK) st = vkd_buffer_write(b->buffer, b->offset, b->x, b->count * 4, err);
  }
  if (sent != VKD_OK) return sent;
  return comm_meet(e->comm, st, loss, 1, err);
}
