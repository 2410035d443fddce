#include "exchange.h"

#include <stdlib.h>

#include "vkdm/clock.h"

struct exchange {
  struct comm *comm;
  const struct params *params;
  struct vkd_bucket *buckets;
  struct comm_sum **sums; // [count]
  uint32_t *order;        // [count]: in which they are sent; that of rank 0's device, once a step has begun
  uint32_t count;
  bool ordered;
  struct exchange_times times;
};

enum vkd_status exchange_create(struct exchange **out, struct comm *comm, const struct params *params,
                                enum params_kind kind, enum comm_sum_kind what, struct vkd_error *err) {
  struct exchange *e = *out = calloc(1, sizeof *e);
  enum vkd_status st = VKD_OK;
  if (e) {
    e->comm = comm;
    e->params = params;
    e->buckets = calloc(params->bucket_count + 1, sizeof *e->buckets);
    e->sums = calloc(params->bucket_count + 1, sizeof *e->sums);
    e->order = calloc(params->bucket_count + 1, sizeof *e->order);
  }
  if (!e || !e->buckets || !e->sums || !e->order)
    st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for buckets of gradients");
  for (uint32_t i = 0; i < params->bucket_count && st == VKD_OK; i++) {
    const struct params_bucket *b = &params->buckets[i];
    struct vkd_range own = {b->own * 4, b->own_count * 4};
    e->buckets[i] = (struct vkd_bucket){.buffer = params->buffers[kind][b->segment],
                                        .offset = b->first * 4,
                                        .bytes = b->count * 4,
                                        .take = what == COMM_GATHER ? own : (struct vkd_range){0},
                                        .give = what == COMM_SUM_PART ? own : (struct vkd_range){0}};
    st = comm_sum_create(&e->sums[e->count++], comm, what, b->count, err);
  }
  if (st != VKD_OK) exchange_destroy(out);
  return st;
}

void exchange_destroy(struct exchange **pe) {
  struct exchange *e = *pe;
  if (!e) return;
  for (uint32_t i = 0; e->sums && i < e->count; i++) comm_sum_destroy(&e->sums[i]);
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

double exchange_squares(const struct exchange *e) {
  double squares = 0;
  for (uint32_t i = 0; i < e->count; i++) squares += comm_sum_squares(e->sums[i]);
  return squares;
}

// One bucket after the other, through x [COMM_BUCKET].
static enum vkd_status gather(struct exchange *e, enum params_kind kind, float *x, struct vkd_error *err) {
  const struct params *p = e->params;
  bool parts = params_in_parts(p, kind);
  enum vkd_status st = VKD_OK, sent = VKD_OK;
  for (uint32_t i = 0; i < e->count && sent == VKD_OK; i++) {
    const struct params_bucket *b = &p->buckets[i];
    uint64_t at = parts ? b->at : b->first + b->own;
    unsigned idle = 0;
    if (st == VKD_OK && b->own_count)
      st = vkd_buffer_read(p->buffers[kind][b->segment], at * 4, x + b->own, b->own_count * 4, err);
    sent = comm_sum_begin(e->sums[i], x, err);
    while (sent == VKD_OK && !comm_sum_done(e->sums[i])) {
      sent = comm_progress(e->comm, err);
      comm_pause(&idle);
    }
    if (st == VKD_OK && sent == VKD_OK)
      st = vkd_buffer_write(p->buffers[PARAMS_GRAD][b->segment], b->first * 4, x, b->count * 4, err);
  }
  return sent == VKD_OK ? st : sent;
}

enum vkd_status exchange_gather(struct exchange *e, enum params_kind kind, struct vkd_error *err) {
  float *x = malloc(COMM_BUCKET * sizeof *x);
  enum vkd_status st = x ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for parts of an arena");
  st = comm_meet(e->comm, st, NULL, 0, err);
  if (st == VKD_OK) st = gather(e, kind, x, err);
  free(x);
  return st;
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
