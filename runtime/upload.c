#include "vkd/upload.h"

#include <stdlib.h>

#include "device_internal.h"

struct vkd_upload {
  struct vkd_device *dev;
  struct vkd_buffer *buffer;
  struct vkd__host_buffer *staging; // NULL: the buffer itself is mapped
  VkCommandBuffer copy;             // staging -> buffer
  uint64_t used;                    // the last submit that reads the buffer
  uint64_t copied;                  // the last copy
};

static enum vkd_status record_copy(struct vkd_upload *u, struct vkd_error *err) {
  struct vkd__queue *queue = vkd__upload_queue(u->dev);
  bool apart = queue != &u->dev->compute; // then semaphores keep copies and programs apart
  enum vkd_status st = vkd__command_begin(u->dev, queue, &u->copy, 0, err);
  if (st != VKD_OK) return st;
  VkBufferCopy all = {.size = u->buffer->bytes};
  if (!apart) vkd__barrier(u->copy, VKD__SHADERS | VKD__COPIES, VK_ACCESS_TRANSFER_WRITE_BIT);
  vkCmdCopyBuffer(u->copy, u->staging->handle, u->buffer->handle, 1, &all);
  VkResult r = vkEndCommandBuffer(u->copy);
  return r == VK_SUCCESS ? VKD_OK : vkd__vk_fail(err, r, "recording an upload");
}

enum vkd_status vkd_upload_create(struct vkd_upload **out, struct vkd_device *dev, uint64_t bytes,
                                  struct vkd_error *err) {
  struct vkd_upload *u = *out = calloc(1, sizeof *u);
  if (!u) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for an upload");
  u->dev = dev;
  enum vkd_status st = vkd__buffer_create_mapped(&u->buffer, dev, bytes, err);
  if (st == VKD_OK && !u->buffer->map && !dev->caps.fake) {
    st = vkd__host_buffer_create(&u->staging, dev, bytes, err);
    if (st == VKD_OK) st = record_copy(u, err);
  }
  if (st != VKD_OK) vkd_upload_destroy(out);
  return st;
}

void vkd_upload_destroy(struct vkd_upload **pu) {
  struct vkd_upload *u = *pu;
  if (!u) return;
  if (u->dev->handle) vkDeviceWaitIdle(u->dev->handle);
  vkd__command_free(u->dev, vkd__upload_queue(u->dev), &u->copy);
  vkd__host_buffer_destroy(u->dev, &u->staging);
  vkd_buffer_destroy(&u->buffer);
  free(u);
  *pu = NULL;
}

struct vkd_buffer *vkd_upload_buffer(const struct vkd_upload *u) {
  return u->buffer;
}
bool vkd_upload_mapped(const struct vkd_upload *u) { return u->buffer->map != NULL; }

enum vkd_status vkd_upload_wait(struct vkd_upload *u, void **map, struct vkd_error *err) {
  *map = u->staging ? u->staging->map : u->buffer->map;
  if (u->staging) return u->copied ? vkd__wait(u->dev, vkd__upload_queue(u->dev), u->copied, err) : VKD_OK;
  return u->used ? vkd__wait(u->dev, &u->dev->compute, u->used, err) : VKD_OK;
}

enum vkd_status vkd_upload_flush(struct vkd_upload *u, struct vkd_error *err) {
  // Writes to mapped memory are visible to whatever is submitted after them.
  return u->staging ? vkd__submit_upload(u->dev, u->copy, u->used, &u->copied, err) : VKD_OK;
}

void vkd_upload_used(struct vkd_upload *u) { u->used = u->dev->compute.submitted; }
