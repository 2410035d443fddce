// Buckets: ranges of bound buffers that the host has while the rest of a run goes on.  A piece of the run ends where a
// bucket is touched for the last time, and what takes it to the host goes with that piece: its ticket tells the host.
#include <stdlib.h>
#include <string.h>

#include "exec_internal.h"

// A software device's memory is the host's: nothing is copied.  What other drivers map, an integrated GPU's too, can
// often be read neither by network cards nor by other processes.  $VKD_UPLOAD=staging: as on a card.
static bool in_place(const struct vkd_buffer *b) {
  const char *upload = getenv("VKD_UPLOAD");
  return b->readable && b->dev->caps.kind == VKD_DEVICE_SOFTWARE && !(upload && strcmp(upload, "staging") == 0);
}

// Of a bucket's bytes, those that `part` tells of.
static struct vkd_range range_of(const struct vkd_bucket *b, struct vkd_range part) {
  return part.bytes ? part : (struct vkd_range){.bytes = b->bytes};
}

static enum vkd_status record_give(struct vkd_program *p, struct vkd__bucket *b, struct vkd_error *err) {
  struct vkd__queue *queue = vkd__upload_queue(p->dev);
  enum vkd_status st = vkd__command_begin(p->dev, queue, &b->give, 0, err);
  if (st != VKD_OK) return st;
  // Between queues semaphores keep it apart from what touched the bucket.
  if (queue == &p->dev->compute) vkd__barrier(b->give, VKD__SHADERS | VKD__COPIES, VK_ACCESS_TRANSFER_WRITE_BIT);
  struct vkd_range part = range_of(&b->range, b->range.give);
  VkBufferCopy copy = {.srcOffset = part.offset, .dstOffset = b->range.offset + part.offset, .size = part.bytes};
  vkCmdCopyBuffer(b->give, b->host->handle, b->range.buffer->handle, 1, &copy);
  VkResult r = vkEndCommandBuffer(b->give);
  return r == VK_SUCCESS ? VKD_OK : vkd__vk_fail(err, r, "recording a bucket");
}

enum vkd_status vkd__buckets_create(struct vkd_program *p, const struct vkd_bucket *ranges, uint32_t count,
                                    struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  p->buckets = calloc((size_t)count + 1, sizeof *p->buckets);
  if (!p->buckets) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %u buckets", count);
  for (uint32_t i = 0; i < count && st == VKD_OK; i++) {
    struct vkd__bucket *b = &p->buckets[p->bucket_count++];
    b->range = ranges[i];
    if (in_place(b->range.buffer)) {
      st = vkd__buffer_map(b->range.buffer, err);
    } else {
      st = vkd__host_buffer_import(&b->host, p->dev, b->range.bytes, err);
      if (st == VKD_OK) st = record_give(p, b, err);
    }
  }
  return st;
}

static void free_takes(struct vkd_program *p) {
  for (uint32_t i = 0; p->takes && i < p->take_count; i++) vkd__command_free(p->dev, &p->dev->compute, &p->takes[i]);
  free(p->takes);
  p->takes = NULL;
  p->take_count = 0;
}

void vkd__buckets_free(struct vkd_program *p) {
  free_takes(p);
  for (uint32_t i = 0; i < p->bucket_count; i++) {
    vkd__command_free(p->dev, vkd__upload_queue(p->dev), &p->buckets[i].give);
    vkd__host_buffer_destroy(p->dev, &p->buckets[i].host);
  }
  free(p->buckets);
  p->buckets = NULL;
  p->bucket_count = 0;
}

// What ends piece `piece`, if any bucket does.
static enum vkd_status record_take(struct vkd_program *p, uint32_t piece, struct vkd_error *err) {
  VkCommandBuffer *cmd = &p->takes[piece];
  for (uint32_t i = 0; i < p->bucket_count; i++) {
    const struct vkd__bucket *b = &p->buckets[i];
    if (b->piece != piece) continue;
    if (!*cmd) {
      enum vkd_status st = vkd__command_begin(p->dev, &p->dev->compute, cmd, 0, err);
      if (st != VKD_OK) return st;
      vkd__barrier(*cmd, VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
                   VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_HOST_READ_BIT);
    }
    struct vkd_range part = range_of(&b->range, b->range.take);
    VkBufferCopy copy = {.srcOffset = b->range.offset + part.offset, .dstOffset = part.offset, .size = part.bytes};
    if (b->host) vkCmdCopyBuffer(*cmd, b->range.buffer->handle, b->host->handle, 1, &copy);
  }
  if (!*cmd) return VKD_OK;
  vkd__barrier(*cmd, VK_ACCESS_TRANSFER_WRITE_BIT, VK_ACCESS_HOST_READ_BIT);
  VkResult r = vkEndCommandBuffer(*cmd);
  return r == VK_SUCCESS ? VKD_OK : vkd__vk_fail(err, r, "recording buckets");
}

enum vkd_status vkd__buckets_record(struct vkd_program *p, struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  free_takes(p);
  if (!p->bucket_count) return VKD_OK;
  p->takes = calloc(p->pieces.count, sizeof *p->takes);
  if (!p->takes) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %u buckets", p->bucket_count);
  p->take_count = p->pieces.count;
  for (uint32_t i = 0; i < p->pieces.count && st == VKD_OK; i++) st = record_take(p, i, err);
  return st;
}

void vkd__buckets_cut(struct vkd_program *p, uint32_t entry, uint32_t piece) {
  for (uint32_t i = 0; i < p->bucket_count; i++)
    if (p->buckets[i].last == entry) p->buckets[i].piece = piece;
}

bool vkd__buckets_end(const struct vkd_program *p, uint32_t entry) {
  for (uint32_t i = 0; i < p->bucket_count; i++)
    if (p->buckets[i].last == entry) return true;
  return false;
}

void vkd__buckets_taken(struct vkd_program *p, uint32_t piece, uint64_t ticket) {
  for (uint32_t i = 0; i < p->bucket_count; i++)
    if (p->buckets[i].piece == piece) p->buckets[i].ticket = ticket;
}

static int by_end(const void *a, const void *b) {
  const struct vkd__bucket *x = *(struct vkd__bucket *const *)a, *y = *(struct vkd__bucket *const *)b;
  if (x->last != y->last) return x->last < y->last ? -1 : 1;
  return x < y ? -1 : x > y;
}

enum vkd_status vkd_program_bucket_order(const struct vkd_program *p, uint32_t *order, struct vkd_error *err) {
  const struct vkd__bucket **sorted = calloc((size_t)p->bucket_count + 1, sizeof *sorted);
  if (!sorted) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %u buckets", p->bucket_count);
  for (uint32_t i = 0; i < p->bucket_count; i++) sorted[i] = &p->buckets[i];
  qsort(sorted, p->bucket_count, sizeof *sorted, by_end);
  for (uint32_t i = 0; i < p->bucket_count; i++) order[i] = (uint32_t)(sorted[i] - p->buckets);
  free(sorted);
  return VKD_OK;
}

void *vkd_program_bucket(struct vkd_program *p, uint32_t i) {
  const struct vkd__bucket *b = &p->buckets[i];
  return b->host ? b->host->map : (char *)b->range.buffer->map + b->range.offset;
}

enum vkd_status vkd_program_bucket_wait(struct vkd_program *p, uint32_t i, double seconds, bool *there,
                                        struct vkd_error *err) {
  return vkd__wait_for(p->dev, &p->dev->compute, p->buckets[i].ticket, seconds, there, err);
}

enum vkd_status vkd_program_bucket_return(struct vkd_program *p, uint32_t i, struct vkd_error *err) {
  const struct vkd__bucket *b = &p->buckets[i];
  uint64_t ticket;
  // What the host writes in place is seen by all that is submitted later.
  return b->host ? vkd__submit_upload(p->dev, b->give, b->ticket, &ticket, err) : VKD_OK;
}
