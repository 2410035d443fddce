// What ranks keep and send in parts: buckets cover the arenas, the ranks' parts cover the buckets, and so do their
// bytes.
#include <stdlib.h>

#include "check.h"
#include "fake_gpu.h"
#include "models.h"
#include "vkdm/comm.h"
#include "vkdm/params.h"

enum { RANKS = 3, PIECE = 1024 };

static void check_cut(uint64_t n, uint64_t parts) {
  uint64_t at = 0, most = 0, least = UINT64_MAX;
  for (uint64_t k = 0; k < parts; k++) {
    uint64_t begin = comm_cut(n, k, parts), end = comm_cut(n, k + 1, parts);
    CHECK(begin == at && begin <= end && end <= n && (begin % PIECE == 0 || begin == n), "%d of %d: part %d", (int)n,
          (int)parts, (int)k);
    at = end;
    if (end - begin > most) most = end - begin;
    if (end - begin < least) least = end - begin;
  }
  CHECK(at == n && most - least < 2 * PIECE, "%d of %d: from %d to %d", (int)n, (int)parts, (int)least, (int)most);
}

static uint64_t bytes_of(const struct params *p, enum params_kind kind) {
  uint64_t bytes = 0;
  for (uint32_t s = 0; s < p->trainable_segments; s++) bytes += vkd_buffer_bytes(p->buffers[kind][s]);
  return bytes;
}

// Buckets of all ranks side by side.
static void check_buckets(struct params *const *ranks) {
  const struct params *p = ranks[0];
  uint64_t own[RANKS] = {0}, at = 0;
  uint32_t segment = 0;
  for (uint32_t i = 0; i < p->bucket_count; i++) {
    uint64_t part = 0;
    if (p->buckets[i].segment != segment) {
      CHECK(at * 4 == p->segment_bytes[segment], "segment %u is covered", segment);
      segment = p->buckets[i].segment;
      at = 0;
      for (int r = 0; r < RANKS; r++) own[r] = 0;
    }
    for (int r = 0; r < RANKS; r++) {
      const struct params_bucket *b = &ranks[r]->buckets[i];
      CHECK(b->first == at && b->count == p->buckets[i].count && b->count <= COMM_BUCKET, "bucket %u", i);
      CHECK(b->own == part && b->at == own[r], "bucket %u: the part of rank %d", i, r);
      part += b->own_count;
      own[r] += b->own_count;
    }
    CHECK(part == p->buckets[i].count, "bucket %u is covered", i);
    at += p->buckets[i].count;
  }
  CHECK(segment + 1 == p->trainable_segments && at * 4 == p->segment_bytes[segment], "the last segment is covered");
}

static void check_params(const struct dit_config *model, uint64_t max_allocation) {
  struct vkd_device_caps caps = fake_gpu(32, 1024, 48 << 10);
  caps.max_allocation = max_allocation;
  struct vkd_device *dev = NULL;
  struct params *whole = NULL, *ranks[RANKS] = {NULL};
  struct vkd_error err = {0};
  enum vkd_status st = vkd_device_create(&dev, &(struct vkd_device_params){.fake = &caps}, &err);
  if (st == VKD_OK) st = params_create(&whole, dev, model, PARAMS_FOR_TRAINING, &err);
  for (int r = 0; r < RANKS && st == VKD_OK; r++)
    st = params_create_part(&ranks[r], dev, model, PARAMS_FOR_TRAINING, r, RANKS, &err);
  CHECK(st == VKD_OK, "%s", err.what);
  if (st == VKD_OK) {
    check_buckets(ranks);
    for (int k = 0; k < PARAMS_KINDS; k++) {
      enum params_kind kind = (enum params_kind)k;
      bool parts = params_in_parts(ranks[0], kind);
      uint64_t bytes = 0, all = whole->buffers[k] ? bytes_of(whole, kind) : 0;
      for (int r = 0; r < RANKS && all; r++) bytes += bytes_of(ranks[r], kind);
      CHECK(parts == (kind == PARAMS_M || kind == PARAMS_V || kind == PARAMS_EMA), "kind %d", k);
      CHECK(!params_in_parts(whole, kind), "kind %d", k);
      // where few numbers are shared some ranks keep 64 bytes for nothing
      CHECK(bytes >= (parts ? 1 : RANKS) * all && bytes <= (parts ? 1 : RANKS) * all + 64 * RANKS * whole->segments,
            "kind %d: %d bytes of %d", k, (int)bytes, (int)all);
    }
  }
  for (int r = 0; r < RANKS; r++) params_destroy(&ranks[r]);
  params_destroy(&whole);
  vkd_device_destroy(&dev);
}

int main(void) {
  static const uint64_t sizes[] = {0, 1, 16, 1023, 1024, 1025, 5000, 36204, 1 << 20, (3 << 20) + 16};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    for (uint64_t parts = 1; parts < 10; parts++) check_cut(sizes[i], parts);
  struct dit_config large = small_cross;
  large.dim = 256;
  large.ffn = 1024;
  check_params(&small_cross, (uint64_t)1 << 30);
  check_params(&small_class, (uint64_t)1 << 30);
  check_params(&large, (uint64_t)1 << 30);
  check_params(&large, (uint64_t)5 << 20);
  return check_done();
}
