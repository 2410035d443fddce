// Queues: one for compute, and where there is another one, that for uploads; command buffers, submits, waits, barriers.
#include <stdlib.h>
#include <string.h>

#include "device_internal.h"

// The family whose engines do nothing but copy, else a second queue beside the computing one, else any other family.
static bool find_uploads(const struct vkd_queue_family *f, uint32_t n, struct vkd__queue_choice *c) {
  const VkQueueFlags work = VK_QUEUE_GRAPHICS_BIT | VK_QUEUE_COMPUTE_BIT;
  for (uint32_t i = 0; i < n; i++) {
    const VkQueueFlags copies = VK_QUEUE_TRANSFER_BIT | VK_QUEUE_SPARSE_BINDING_BIT | VK_QUEUE_PROTECTED_BIT;
    if (!(f[i].flags & VK_QUEUE_TRANSFER_BIT) || (f[i].flags & ~copies)) continue;
    c->uploads = i;
    return true;
  }
  c->uploads = c->compute;
  if (f[c->compute].count > 1) {
    c->index = 1;
    return true;
  }
  for (uint32_t i = 0; i < n; i++) {
    if (i == c->compute || !(f[i].flags & work)) continue;
    c->uploads = i;
    return true;
  }
  return false;
}

bool vkd__queues_find(const struct vkd_device_caps *caps, struct vkd__queue_choice *c) {
  const struct vkd_queue_family *families = caps->queue_families;
  uint32_t n = caps->queue_family_count;
  *c = (struct vkd__queue_choice){.compute = UINT32_MAX};
  for (uint32_t i = 0; i < n && c->compute == UINT32_MAX; i++)
    if (families[i].flags & VKD_QUEUE_COMPUTE) c->compute = i;
  if (c->compute == UINT32_MAX) return false;
  const char *wanted = getenv("VKD_UPLOAD_QUEUE");
  c->apart = find_uploads(families, n, c);
  if (wanted && *wanted) c->apart = strcmp(wanted, "0") != 0;
  return true;
}

static enum vkd_status open_queue(struct vkd_device *dev, struct vkd__queue *q, uint32_t index, struct vkd_error *err) {
  vkGetDeviceQueue(dev->handle, q->family, index, &q->handle);
  VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                  .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                  .queueFamilyIndex = q->family};
  VkResult r = vkCreateCommandPool(dev->handle, &pool, NULL, &q->pool);
  if (r != VK_SUCCESS) return vkd__vk_fail(err, r, "a command pool");
  VkSemaphoreTypeCreateInfo type = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                                    .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE};
  VkSemaphoreCreateInfo semaphore = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &type};
  r = vkCreateSemaphore(dev->handle, &semaphore, NULL, &q->timeline);
  return r == VK_SUCCESS ? VKD_OK : vkd__vk_fail(err, r, "a semaphore");
}

enum vkd_status vkd__queues_open(struct vkd_device *dev, const struct vkd__queue_choice *c, struct vkd_error *err) {
  dev->compute.family = c->compute;
  dev->uploads.family = c->uploads;
  enum vkd_status st = open_queue(dev, &dev->compute, 0, err);
  return st == VKD_OK && c->apart ? open_queue(dev, &dev->uploads, c->index, err) : st;
}

void vkd__queues_close(struct vkd_device *dev) {
  struct vkd__queue *queues[] = {&dev->compute, &dev->uploads};
  for (int i = 0; i < 2; i++) {
    vkDestroySemaphore(dev->handle, queues[i]->timeline, NULL);
    vkDestroyCommandPool(dev->handle, queues[i]->pool, NULL);
    free(queues[i]->spare);
  }
}

struct vkd__queue *vkd__upload_queue(struct vkd_device *dev) {
  return dev->uploads.handle ? &dev->uploads : &dev->compute;
}

enum vkd_status vkd__command_begin(struct vkd_device *dev, struct vkd__queue *q, VkCommandBuffer *out,
                                   VkCommandBufferUsageFlags usage, struct vkd_error *err) {
  VkCommandBufferAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                      .commandPool = q->pool,
                                      .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                      .commandBufferCount = 1};
  VkResult r = VK_SUCCESS;
  *out = VK_NULL_HANDLE;
  if (q->spare_count)
    *out = q->spare[--q->spare_count];
  else
    r = vkAllocateCommandBuffers(dev->handle, &info, out);
  VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO, .flags = usage};
  if (r == VK_SUCCESS) r = vkBeginCommandBuffer(*out, &begin);
  if (r == VK_SUCCESS) return VKD_OK;
  vkd__command_free(dev, q, out);
  return vkd__vk_fail(err, r, "a command buffer");
}

static bool keep(struct vkd__queue *q, VkCommandBuffer command) {
  if (q->spare_count == q->spare_room) {
    uint32_t room = 2 * q->spare_room + 8;
    VkCommandBuffer *more = realloc(q->spare, room * sizeof(VkCommandBuffer));
    if (!more) return false;
    q->spare = more;
    q->spare_room = room;
  }
  q->spare[q->spare_count++] = command;
  return true;
}

// Used again rather than freed: a copy needs no new one, and the validation layer's GPU-assisted part still looks at one
// whose work was waited for (https://github.com/KhronosGroup/Vulkan-ValidationLayers/issues/12956).
void vkd__command_free(struct vkd_device *dev, struct vkd__queue *q, VkCommandBuffer *command) {
  if (*command && (vkResetCommandBuffer(*command, 0) != VK_SUCCESS || !keep(q, *command)))
    vkFreeCommandBuffers(dev->handle, q->pool, 1, command);
  *command = VK_NULL_HANDLE;
}

static VkPipelineStageFlags stages_of(VkAccessFlags access) {
  VkPipelineStageFlags stages = 0;
  if (access & (VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT)) stages |= VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT;
  if (access & (VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT)) stages |= VK_PIPELINE_STAGE_TRANSFER_BIT;
  if (access & (VK_ACCESS_HOST_READ_BIT | VK_ACCESS_HOST_WRITE_BIT)) stages |= VK_PIPELINE_STAGE_HOST_BIT;
  return stages;
}

void vkd__barrier(VkCommandBuffer command, VkAccessFlags before, VkAccessFlags after) {
  const VkAccessFlags writes = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT | VK_ACCESS_HOST_WRITE_BIT;
  // What was only read is done once its stage is: nothing needs to be made visible.
  VkMemoryBarrier barrier = {
      .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER, .srcAccessMask = before & writes, .dstAccessMask = after};
  vkCmdPipelineBarrier(command, stages_of(before), stages_of(after), 0, 1, &barrier, 0, NULL, 0, NULL);
}

static enum vkd_status check_validation(const struct vkd_device *dev, struct vkd_error *err) {
  if (!dev->validation_count) return VKD_OK;
  return vkd_fail(err, VKD_ERR_VULKAN, "the validation layer complained %u times, first: %.400s", dev->validation_count,
                  dev->validation_first);
}

// After `after` of the other queue's timeline; 0: after nothing.
static enum vkd_status submit(struct vkd_device *dev, struct vkd__queue *q, const VkCommandBuffer *commands,
                              uint32_t count, const struct vkd__queue *other, uint64_t after, uint64_t *ticket,
                              struct vkd_error *err) {
  const VkPipelineStageFlags transfer = VK_PIPELINE_STAGE_TRANSFER_BIT,
                             stages = q == &dev->compute ? transfer | VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT : transfer;
  uint64_t value = q->submitted + 1;
  VkTimelineSemaphoreSubmitInfo values = {.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
                                          .waitSemaphoreValueCount = after > 0,
                                          .pWaitSemaphoreValues = &after,
                                          .signalSemaphoreValueCount = 1,
                                          .pSignalSemaphoreValues = &value};
  VkSubmitInfo info = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                       .pNext = &values,
                       .waitSemaphoreCount = after > 0,
                       .pWaitSemaphores = after ? &other->timeline : NULL,
                       .pWaitDstStageMask = &stages,
                       .commandBufferCount = count,
                       .pCommandBuffers = commands,
                       .signalSemaphoreCount = 1,
                       .pSignalSemaphores = &q->timeline};
  VkResult r = vkQueueSubmit(q->handle, 1, &info, VK_NULL_HANDLE);
  if (r != VK_SUCCESS) return vkd__queue_fail(dev, r, "submitting work to", err);
  q->submitted = *ticket = value;
  return VKD_OK; // a complaint is told after the wait: who hears of an error here takes the work for not submitted
}

enum vkd_status vkd__submit(struct vkd_device *dev, const VkCommandBuffer *commands, uint32_t count, uint64_t *ticket,
                            struct vkd_error *err) {
  uint64_t after = dev->uploads.submitted > dev->uploads_awaited ? dev->uploads.submitted : 0;
  enum vkd_status st = submit(dev, &dev->compute, commands, count, &dev->uploads, after, ticket, err);
  dev->uploads_awaited = dev->uploads.submitted;
  return st;
}

enum vkd_status vkd__submit_upload(struct vkd_device *dev, VkCommandBuffer command, uint64_t after, uint64_t *ticket,
                                   struct vkd_error *err) {
  if (!dev->uploads.handle) return submit(dev, &dev->compute, &command, 1, NULL, 0, ticket, err);
  return submit(dev, &dev->uploads, &command, 1, &dev->compute, after, ticket, err);
}

enum vkd_status vkd__wait_for(struct vkd_device *dev, struct vkd__queue *q, uint64_t ticket, double seconds, bool *done,
                              struct vkd_error *err) {
  VkSemaphoreWaitInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
                              .semaphoreCount = 1,
                              .pSemaphores = &q->timeline,
                              .pValues = &ticket};
  VkResult r = vkWaitSemaphores(dev->handle, &info, (uint64_t)(seconds * 1e9));
  *done = r == VK_SUCCESS;
  return *done || r == VK_TIMEOUT ? VKD_OK : vkd__queue_fail(dev, r, "waiting for", err);
}

enum vkd_status vkd__wait(struct vkd_device *dev, struct vkd__queue *q, uint64_t ticket, struct vkd_error *err) {
  VkSemaphoreWaitInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
                              .semaphoreCount = 1,
                              .pSemaphores = &q->timeline,
                              .pValues = &ticket};
  VkResult r = vkWaitSemaphores(dev->handle, &info, UINT64_MAX);
  if (r != VK_SUCCESS) return vkd__queue_fail(dev, r, "waiting for", err);
  if (ticket > q->awaited) q->awaited = ticket;
  return check_validation(dev, err);
}
