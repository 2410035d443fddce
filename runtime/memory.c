// Buffers: one allocation each, with a device address, zeroed, and a pad behind the end for kernels that read ahead.
#include "device_internal.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// lavapipe 26 runs a loop's body once more with all lanes off, and still loads (Mesa 26.1, 26.2).
enum { PAD = 65536 };
enum { STAGING_BYTES = 16 << 20 };

// What was asked and what is free; from then on plans go by it.
static enum vkd_status no_memory(struct vkd_device *dev, VkResult r, uint64_t bytes, uint32_t type,
                                 struct vkd_error *err) {
  struct vkd_device_caps *caps = &dev->caps;
  if (type == UINT32_MAX)
    return vkd__vk_fail(err, r, "%.1f MiB: %s lists no memory for it", (double)bytes / 1048576, caps->name);
  uint32_t heap = caps->memory_types[type].heap;
  VkPhysicalDeviceMemoryBudgetPropertiesEXT now = {.sType =
                                                       VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
  VkPhysicalDeviceMemoryProperties2 m = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, .pNext = &now};
  if (caps->budget_known) vkGetPhysicalDeviceMemoryProperties2(dev->physical, &m);
  uint64_t left = now.heapBudget[heap] > now.heapUsage[heap] ? now.heapBudget[heap] - now.heapUsage[heap] : 0;
  bool told = caps->budget_known && left < bytes;
  if (!told) left = bytes - 1; // whatever the driver says, it was not to be had
  if (r == VK_ERROR_OUT_OF_DEVICE_MEMORY && caps->heaps[heap].device && caps->memory_budget > dev->allocated + left)
    caps->memory_budget = dev->allocated + left;
  char has[64] = "does not grant that much";
  if (told) snprintf(has, sizeof has, "has %.1f MiB free", (double)left / 1048576);
  return vkd__vk_fail(err, r, "%.1f MiB asked for, %s %s in heap %u of %.1f MiB (vkdit holds %.1f)",
                      (double)bytes / 1048576, caps->name, has, heap, (double)caps->heaps[heap].bytes / 1048576,
                      (double)dev->allocated / 1048576);
}

struct request {
  uint64_t bytes;
  VkBufferUsageFlags usage;
  uint32_t wants[2]; // flags of the memory, and those that will do
  void *pages;       // of this process, to import; NULL: the driver's
};

// Memory types that pages can be imported as.
static uint32_t types_of(struct vkd_device *dev, void *pages) {
  PFN_vkGetMemoryHostPointerPropertiesEXT get =
      (PFN_vkGetMemoryHostPointerPropertiesEXT)vkGetDeviceProcAddr(dev->handle, "vkGetMemoryHostPointerPropertiesEXT");
  VkMemoryHostPointerPropertiesEXT p = {.sType = VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT};
  bool known = get && get(dev->handle, VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT, pages, &p) == VK_SUCCESS;
  return known ? p.memoryTypeBits : 0;
}

static enum vkd_status allocate(struct vkd_device *dev, const struct request *q, VkBuffer *buffer,
                                VkDeviceMemory *memory, uint32_t *type, struct vkd_error *err) {
  const uint32_t families[] = {dev->compute.family, dev->uploads.family};
  bool shared = dev->uploads.handle && families[0] != families[1];
  VkExternalMemoryBufferCreateInfo external = {.sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO,
                                               .handleTypes = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT};
  VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                             .pNext = q->pages ? &external : NULL,
                             .size = q->bytes,
                             .usage = q->usage,
                             .sharingMode = shared ? VK_SHARING_MODE_CONCURRENT : VK_SHARING_MODE_EXCLUSIVE,
                             .queueFamilyIndexCount = shared ? 2 : 0,
                             .pQueueFamilyIndices = families};
  VkResult r = vkCreateBuffer(dev->handle, &info, NULL, buffer);
  if (r != VK_SUCCESS) {
    *buffer = VK_NULL_HANDLE;
    return vkd__vk_fail(err, r, "a buffer of %.1f MiB", (double)q->bytes / 1048576);
  }
  VkMemoryRequirements need;
  vkGetBufferMemoryRequirements(dev->handle, *buffer, &need);
  uint32_t allowed = need.memoryTypeBits & (q->pages ? types_of(dev, q->pages) : UINT32_MAX);
  *type = UINT32_MAX;
  for (int i = 0; i < 2 && *type == UINT32_MAX; i++) *type = vkd__memory_type(&dev->caps, allowed, q->wants[i]);
  VkMemoryAllocateFlagsInfo flags = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
                                     .flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT};
  VkImportMemoryHostPointerInfoEXT import = {.sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT,
                                             .handleType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT,
                                             .pHostPointer = q->pages};
  bool addressed = q->usage & VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT;
  VkMemoryAllocateInfo alloc = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                .pNext = q->pages    ? (const void *)&import
                                         : addressed ? &flags
                                                     : NULL,
                                .allocationSize = need.size,
                                .memoryTypeIndex = *type};
  if (q->pages && need.size > q->bytes) *type = UINT32_MAX; // more than there is
  r = *type == UINT32_MAX ? VK_ERROR_FEATURE_NOT_PRESENT : vkAllocateMemory(dev->handle, &alloc, NULL, memory);
  if (r == VK_SUCCESS) r = vkBindBufferMemory(dev->handle, *buffer, *memory, 0);
  return r == VK_SUCCESS ? VKD_OK : no_memory(dev, r, q->bytes, *type, err);
}

static enum vkd_status fill_zero(struct vkd_buffer *b, uint64_t bytes, struct vkd_error *err) {
  VkCommandBuffer cmd;
  enum vkd_status st =
      vkd__command_begin(b->dev, &b->dev->compute, &cmd, VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT, err);
  if (st != VKD_OK) return st;
  vkCmdFillBuffer(cmd, b->handle, 0, bytes, 0);
  vkd__barrier(cmd, VK_ACCESS_TRANSFER_WRITE_BIT,
               VKD__SHADERS | VKD__COPIES | VK_ACCESS_HOST_READ_BIT | VK_ACCESS_HOST_WRITE_BIT);
  VkResult r = vkEndCommandBuffer(cmd);
  uint64_t ticket = 0;
  st = r == VK_SUCCESS ? vkd__submit(b->dev, &cmd, 1, &ticket, err) : vkd__vk_fail(err, r, "recording a fill");
  if (st == VKD_OK) st = vkd__wait(b->dev, &b->dev->compute, ticket, err);
  vkd__command_free(b->dev, &b->dev->compute, &cmd);
  return st;
}

// What a driver maps for one thread may be pages that another one, with a device of its own, gave back: a driver orders
// the two, but ThreadSanitizer does not look into it.
static atomic_uint given_back;

static VkResult map_memory(struct vkd_device *dev, VkDeviceMemory memory, void **out) {
  VkResult r = vkMapMemory(dev->handle, memory, 0, VK_WHOLE_SIZE, 0, out);
  (void)atomic_load_explicit(&given_back, memory_order_acquire);
  return r;
}

static void give_back(struct vkd_device *dev, VkBuffer buffer, VkDeviceMemory memory) {
  vkDestroyBuffer(dev->handle, buffer, NULL);
  atomic_fetch_add_explicit(&given_back, 1, memory_order_release);
  vkFreeMemory(dev->handle, memory, NULL);
}

enum { READABLE = VKD_MEMORY_HOST | VKD_MEMORY_COHERENT | VKD_MEMORY_CACHED };

enum vkd_status vkd__buffer_map(struct vkd_buffer *b, struct vkd_error *err) {
  VkResult r = b->map ? VK_SUCCESS : map_memory(b->dev, b->memory, &b->map);
  return r == VK_SUCCESS ? VKD_OK : vkd__vk_fail(err, r, "mapping a buffer");
}

enum { BOTH = VKD_MEMORY_DEVICE | VKD_MEMORY_HOST | VKD_MEMORY_COHERENT };

static enum vkd_status create(struct vkd_buffer **out, struct vkd_device *dev, uint64_t bytes, bool mapped,
                              struct vkd_error *err) {
  *out = NULL;
  if (dev->compile_only) return vkd_fail(err, VKD_ERR_UNSUPPORTED, "a device to compile for holds no data");
  if (bytes > dev->caps.max_allocation)
    return vkd_fail(err, VKD_ERR_DEVICE_MEMORY, "a buffer of %.1f MiB: %s allocates at most %.1f MiB at once",
                    (double)bytes / 1048576, dev->caps.name, (double)dev->caps.max_allocation / 1048576);
  struct vkd_buffer *b = calloc(1, sizeof *b);
  if (!b) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a buffer");
  *b = (struct vkd_buffer){.dev = dev, .bytes = bytes};
  enum vkd_status st = VKD_OK;
  if (dev->caps.fake) {
    b->address = (dev->fake_buffers += 1) << 40;
  } else {
    const struct request q = {.bytes = ((bytes + 63) & ~(uint64_t)63) + PAD,
                              .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                                       VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT,
                              .wants = {mapped ? BOTH : VKD_MEMORY_DEVICE, mapped ? BOTH : 0}};
    uint32_t type = 0;
    st = allocate(dev, &q, &b->handle, &b->memory, &type, err);
    if (st == VKD_OK) {
      b->readable = (dev->caps.memory_types[type].flags & READABLE) == READABLE;
      VkBufferDeviceAddressInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO, .buffer = b->handle};
      b->address = vkGetBufferDeviceAddress(dev->handle, &info);
      st = fill_zero(b, q.bytes, err);
      if (st == VKD_OK && mapped) st = vkd__buffer_map(b, err);
    }
  }
  dev->allocated += bytes;
  if (dev->allocated > dev->peak) dev->peak = dev->allocated;
  *out = b;
  if (st != VKD_OK) vkd_buffer_destroy(out);
  return st;
}

enum vkd_status vkd_buffer_create(struct vkd_buffer **out, struct vkd_device *dev, uint64_t bytes,
                                  struct vkd_error *err) {
  return create(out, dev, bytes, false, err);
}

enum vkd_status vkd__buffer_create_mapped(struct vkd_buffer **out, struct vkd_device *dev, uint64_t bytes,
                                          struct vkd_error *err) {
  const char *upload = getenv("VKD_UPLOAD");
  bool staging = upload && strcmp(upload, "staging") == 0;
  return create(out, dev, bytes, !dev->caps.fake && !staging && vkd__can_map(&dev->caps), err);
}

void vkd_buffer_destroy(struct vkd_buffer **pb) {
  struct vkd_buffer *b = *pb;
  if (!b) return;
  if (!b->dev->caps.fake) give_back(b->dev, b->handle, b->memory);
  b->dev->allocated -= b->bytes;
  free(b);
  *pb = NULL;
}

uint64_t vkd_buffer_bytes(const struct vkd_buffer *b) { return b->bytes; }
uint64_t vkd_device_allocated(const struct vkd_device *dev, uint64_t *peak) {
  if (peak) *peak = dev->peak;
  return dev->allocated;
}

static struct request staging(uint64_t bytes, void *pages) {
  const uint32_t host = VKD_MEMORY_HOST | VKD_MEMORY_COHERENT;
  return (struct request){.bytes = bytes,
                          .usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT,
                          .wants = {host | VKD_MEMORY_CACHED, host},
                          .pages = pages};
}

enum vkd_status vkd__host_buffer_create(struct vkd__host_buffer **out, struct vkd_device *dev, uint64_t bytes,
                                        struct vkd_error *err) {
  struct vkd__host_buffer *b = *out = calloc(1, sizeof *b);
  if (!b) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a buffer");
  b->bytes = bytes ? bytes : 64;
  uint32_t type;
  const struct request q = staging(b->bytes, NULL);
  enum vkd_status st = allocate(dev, &q, &b->handle, &b->memory, &type, err);
  if (st == VKD_OK) {
    VkResult r = map_memory(dev, b->memory, &b->map);
    if (r != VK_SUCCESS)
      st = vkd__vk_fail(err, r, "mapping a staging buffer");
    else
      memset(b->map, 0, b->bytes);
  }
  if (st != VKD_OK) vkd__host_buffer_destroy(dev, out);
  return st;
}

enum vkd_status vkd__host_buffer_import(struct vkd__host_buffer **out, struct vkd_device *dev, uint64_t bytes,
                                        struct vkd_error *err) {
  uint64_t unit = dev->import_unit, whole = unit ? (bytes + unit - 1) / unit * unit : 0;
  struct vkd__host_buffer *b = *out = calloc(1, sizeof *b);
  uint32_t type;
  if (!b) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a buffer");
  if (whole && posix_memalign(&b->pages, unit, whole) == 0) {
    const struct request q = staging(b->bytes = whole, b->pages);
    if (allocate(dev, &q, &b->handle, &b->memory, &type, NULL) == VKD_OK) {
      b->map = memset(b->pages, 0, whole);
      return VKD_OK;
    }
  }
  vkd__host_buffer_destroy(dev, out);
  return vkd__host_buffer_create(out, dev, bytes, err);
}

void vkd__host_buffer_destroy(struct vkd_device *dev, struct vkd__host_buffer **pb) {
  if (!*pb) return;
  give_back(dev, (*pb)->handle, (*pb)->memory);
  free((*pb)->pages);
  free(*pb);
  *pb = NULL;
}

// One piece through the staging buffer, which holds it before (write) or after (read).
static enum vkd_status move_piece(struct vkd_buffer *b, uint64_t offset, uint64_t bytes, bool write,
                                  struct vkd_error *err) {
  struct vkd_device *dev = b->dev;
  VkCommandBuffer cmd;
  enum vkd_status st = vkd__command_begin(dev, &dev->compute, &cmd, VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT, err);
  if (st != VKD_OK) return st;
  vkd__barrier(cmd, VKD__SHADERS | VKD__COPIES, VKD__COPIES);
  VkBufferCopy copy = {.srcOffset = write ? 0 : offset, .dstOffset = write ? offset : 0, .size = bytes};
  vkCmdCopyBuffer(cmd, write ? dev->staging->handle : b->handle, write ? b->handle : dev->staging->handle, 1, &copy);
  vkd__barrier(cmd, VKD__COPIES, VKD__SHADERS | VKD__COPIES | VK_ACCESS_HOST_READ_BIT);
  VkResult r = vkEndCommandBuffer(cmd);
  uint64_t ticket = 0;
  st = r == VK_SUCCESS ? vkd__submit(dev, &cmd, 1, &ticket, err) : vkd__vk_fail(err, r, "recording a copy");
  if (st == VKD_OK) st = vkd__wait(dev, &dev->compute, ticket, err);
  vkd__command_free(dev, &dev->compute, &cmd);
  return st;
}

static enum vkd_status check_range(const struct vkd_buffer *b, uint64_t offset, uint64_t bytes, struct vkd_error *err) {
  if (b->dev->caps.fake) return vkd_fail(err, VKD_ERR_UNSUPPORTED, "a fake device moves no data");
  if (offset > b->bytes || bytes > b->bytes - offset)
    return vkd_fail(err, VKD_ERR_INTERNAL, "bytes %llu..%llu of a buffer of %llu", (unsigned long long)offset,
                    (unsigned long long)(offset + bytes), (unsigned long long)b->bytes);
  return b->dev->staging ? VKD_OK : vkd__host_buffer_create(&b->dev->staging, b->dev, STAGING_BYTES, err);
}

enum vkd_status vkd_buffer_write(struct vkd_buffer *b, uint64_t offset, const void *src, uint64_t bytes,
                                 struct vkd_error *err) {
  enum vkd_status st = check_range(b, offset, bytes, err);
  for (uint64_t at = 0; st == VKD_OK && at < bytes; at += STAGING_BYTES) {
    uint64_t n = bytes - at < STAGING_BYTES ? bytes - at : STAGING_BYTES;
    memcpy(b->dev->staging->map, (const char *)src + at, n);
    st = move_piece(b, offset + at, n, true, err);
  }
  return st;
}

enum vkd_status vkd_buffer_read(struct vkd_buffer *b, uint64_t offset, void *dst, uint64_t bytes,
                                struct vkd_error *err) {
  enum vkd_status st = check_range(b, offset, bytes, err);
  for (uint64_t at = 0; st == VKD_OK && at < bytes; at += STAGING_BYTES) {
    uint64_t n = bytes - at < STAGING_BYTES ? bytes - at : STAGING_BYTES;
    st = move_piece(b, offset + at, n, false, err);
    if (st == VKD_OK) memcpy((char *)dst + at, b->dev->staging->map, n);
  }
  return st;
}
