// What ranks of one run have in common: the configuration, what they begin from, and the weights from then on.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train_internal.h"
#include "vkd/hash.h"
#include "vkdm/ckpt.h"

// Of what must be the same for all; data may lie elsewhere on another machine.
static enum vkd_status hash_config(const struct run *r, uint64_t *hash, struct vkd_error *err) {
  struct config *c = malloc(sizeof *c);
  char *text = NULL;
  if (c) {
    *c = r->config;
    if (*c->data.path) memcpy(c->data.path, "file", sizeof "file");
    text = config_to_string(c);
  }
  if (text) *hash = hash_xxh64(text, strlen(text), (uint64_t)r->p->resume);
  free(c);
  free(text);
  return text ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a configuration");
}

enum vkd_status train_join(struct run *r, struct vkd_error *err) {
  uint64_t hash = 0;
  r->local = r->config;
  if (!r->p->comm) return VKD_OK;
  enum vkd_status st = hash_config(r, &hash, err);
  st = comm_agree(r->p->comm, st, hash, VKD_ERR_INPUT, "another configuration or --resume", err);
  return st == VKD_OK ? step_share_batch(&r->local, comm_size(r->p->comm), err) : st;
}

// Room for the largest parameter.
static enum vkd_status make_room(const struct params *p, float **values, struct vkd_error *err) {
  int64_t most = 1;
  for (int i = 0; i < p->count; i++) most = p->rows[i].numel > most ? p->rows[i].numel : most;
  *values = malloc((size_t)most * sizeof **values);
  return *values ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a parameter of %lld", (long long)most);
}

// Of all that is trained.
static enum vkd_status hash_weights(const struct run *r, uint64_t *hash, struct vkd_error *err) {
  const struct params *p = r->params;
  float *values;
  enum vkd_status st = make_room(p, &values, err);
  if (st != VKD_OK) return st;
  struct hash_stream h;
  hash_begin(&h, 0);
  for (int i = 0; i < p->count && st == VKD_OK; i++) {
    if (p->rows[i].frozen) continue;
    st = params_read(p, PARAMS_WEIGHT, i, values, err);
    if (st == VKD_OK) hash_add(&h, values, (size_t)p->rows[i].numel * sizeof *values);
  }
  *hash = hash_end(&h);
  free(values);
  return st;
}

// A rank that fails goes on, since the others wait for it.
static enum vkd_status share_params(struct run *r, enum params_kind kind, float *values, struct vkd_error *err) {
  struct params *p = &r->whole;
  enum vkd_status st = VKD_OK, sent = VKD_OK;
  if (r->from && params_in_parts(r->params, kind)) st = ckpt_load(r->from, p, kind, kind, err);
  for (int i = 0; i < p->count && sent == VKD_OK && p->buffers[kind]; i++) {
    if (kind != PARAMS_WEIGHT && p->rows[i].frozen) continue;
    size_t bytes = (size_t)p->rows[i].numel * sizeof(float);
    if (st == VKD_OK && train_writes(r)) st = params_read(p, kind, i, values, err);
    sent = comm_share(r->p->comm, values, bytes, err);
    if (st == VKD_OK && sent == VKD_OK && !train_writes(r)) st = params_write(p, kind, i, values, err);
  }
  if (st == VKD_OK && sent == VKD_OK) st = params_keep_part(r->params, kind, err);
  return sent == VKD_OK ? st : sent;
}

enum vkd_status train_share(struct run *r, struct vkd_error *err) {
  struct {
    int64_t done, saved;
    struct skips skips;
    struct loss_scale scale;
    double last_heldout;
  } s = {r->done, r->saved, r->skips, *step_loss_scale(r->step), r->last_heldout};
  if (!r->p->comm) return VKD_OK;
  float *values = NULL;
  enum vkd_status st = comm_meet(r->p->comm, make_room(r->params, &values, err), NULL, 0, err);
  if (st == VKD_OK) st = comm_share(r->p->comm, &s, sizeof s, err);
  if (st != VKD_OK) goto done;
  r->done = s.done;
  r->saved = s.saved;
  r->skips = s.skips;
  r->last_heldout = s.last_heldout;
  *step_loss_scale(r->step) = s.scale;
  for (int i = 0; i < (s.done ? CKPT_FILES : 2); i++) {
    enum vkd_status sent = share_params(r, ckpt_kind(i), values, err);
    if (st == VKD_OK) st = sent;
  }
  uint64_t hash = 0;
  if (st == VKD_OK) st = hash_weights(r, &hash, err);
  st = comm_agree(r->p->comm, st, hash, VKD_ERR_MISMATCH, "other weights at the start", err);
done:
  free(values);
  return st;
}

enum vkd_status train_check_weights(struct run *r, enum vkd_status st, int64_t step, struct vkd_error *err) {
  const int64_t every = r->config.train.check_weights;
  if (!r->p->comm || !every || step % every || st != VKD_OK) return st;
  char what[48];
  uint64_t hash = 0;
  snprintf(what, sizeof what, "other weights at step %lld", (long long)step);
  st = hash_weights(r, &hash, err);
  return comm_agree(r->p->comm, st, hash, VKD_ERR_MISMATCH, what, err);
}
