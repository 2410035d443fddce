#include "exchange.h"

#include <stdlib.h>

#include "vkdm/clock.h"

enum { BUCKET = 1 << 20 }; // numbers: 4 MiB, which take a network of 100 Gbit/s a third of a millisecond

struct exchange {
  struct comm *comm;
  struct vkd_bucket *buckets;
  struct comm_sum **sums; // [count]
  uint32_t *order;        // [count]: in which they are sent; that of rank 0's device, once a step has begun
  uint32_t count;
  bool ordered;
  struct exchange_times times;
};

static enum vkd_status cut(struct exchange *e, const struct params *p, enum params_kind kind, struct vkd_error *err) {
  uint64_t most = 0;
  for (uint32_t s = 0; s < p->trainable_segments; s++) most += p->segment_bytes[s] / 4 / BUCKET + 1;
  e->buckets = calloc(most, sizeof *e->buckets);
  e->sums = calloc(most, sizeof *e->sums);
  e->order = calloc(most, sizeof *e->order);
  if (!e->buckets || !e->sums || !e->order)
    return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for buckets of gradients");
  for (uint32_t s = 0; s < p->trainable_segments; s++) {
    uint64_t n = p->segment_bytes[s] / 4, parts = (n + BUCKET - 1) / BUCKET;
    for (uint64_t k = 0; k < parts; k++) {
      uint64_t first = n * k / parts, count = n * (k + 1) / parts - first;
      e->buckets[e->count] = (struct vkd_bucket){p->buffers[kind][s], first * 4, count * 4};
      enum vkd_status st = comm_sum_create(&e->sums[e->count++], e->comm, count, err);
      if (st != VKD_OK) return st;
    }
  }
  return VKD_OK;
}

enum vkd_status exchange_create(struct exchange **out, struct comm *comm, const struct params *params,
                                enum params_kind kind, struct vkd_error *err) {
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
  for (uint32_t i = 0; i < e->count; i++) comm_sum_destroy(&e->sums[i]);
  free(e->sums);
  free(e->order);
  free(e->buckets);
  free(e);
  *pe = NULL;
}

const struct vkd_bucket *exchange_buckets(const struct exchange *e, uint32_t *count) {
  *count = e ? e->count : 0;
  return e ? e->buckets : NULL;
}

struct exchange_times exchange_times(const struct exchange *e) {
  return e ? e->times : (struct exchange_times){0};
}

enum vkd_status exchange_run(struct exchange *e, struct vkd_program *program, enum vkd_status st,
                             struct vkd_error *err) {
  enum vkd_status sent = VKD_OK;
  if (!e->ordered) {
    if (st == VKD_OK) st = vkd_program_bucket_order(program, e->order, err);
    sent = comm_share(e->comm, e->order, e->count * sizeof *e->order, err);
    e->ordered = true;
  }
  uint32_t next = 0, back = 0; // buckets that were sent, and that came back
  unsigned idle = 0;
  double since = 0, last = 0; // sums are under way; the last bucket is there
  while (back < e->count && sent == VKD_OK) {
    bool there = st != VKD_OK; // then whatever is there will do
    if (next < e->count && !there)
      st = vkd_program_bucket_wait(program, e->order[next], back < next ? 1e-4 : 0.1, &there, err);
    if (next < e->count && (there || st != VKD_OK)) {
      last = clock_seconds();
      if (back == next) since = last;
      uint32_t i = e->order[next++];
      sent = comm_sum_begin(e->sums[i], vkd_program_bucket(program, i), err);
    }
    if (sent == VKD_OK) sent = comm_progress(e->comm, err);
    if (back < next && comm_sum_done(e->sums[e->order[back]])) {
      if (st == VKD_OK) st = vkd_program_bucket_return(program, e->order[back], err);
      back++;
      idle = 0;
      if (back == next) e->times.sums += clock_seconds() - since;
    } else if (next == e->count) {
      comm_pause(&idle);
    }
  }
  e->times.late += clock_seconds() - last;
  return sent == VKD_OK ? st : sent;
}
