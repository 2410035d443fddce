// The device's data.  Internal to runtime/.
#ifndef VKD_DEVICE_INTERNAL_H
#define VKD_DEVICE_INTERNAL_H

#include <vulkan/vulkan.h>

#include "lower.h"
#include "vkd/device.h"
#include "vulkan_newer.h"

struct vkd_pipeline; // kernel.c

struct vkd_device {
  struct vkd_device_caps caps;
  VkInstance instance;
  VkDebugUtilsMessengerEXT messenger;
  VkPhysicalDevice physical;
  VkDevice handle;
  VkQueue queue;
  uint32_t queue_family;
  VkCommandPool pool;
  VkSemaphore timeline; // counts submits
  uint64_t submitted;
  VkPhysicalDeviceMemoryProperties memory;
  uint64_t allocated, peak;
  uint32_t validation_count;
  char validation_first[512];
  struct vkd__host_buffer *staging; // created at the first write or read
  // kernel.c
  char cache_path[512];
  VkPipelineCache cache;
  VkPipelineLayout layout;
  struct vkd_pipeline *pipelines;
  uint32_t pipeline_count, pipeline_cap;
};

// "vkCreateBuffer for 12.0 MiB of temporaries": fails with the VkResult's name.
enum vkd_status vkd__vk_fail(struct vkd_error *err, VkResult result, const char *fmt, ...) VKD_PRINTF(3, 4);

bool vkd__has_extension(VkPhysicalDevice physical, const char *name);

// coopmat.c: fills caps->bf16 and the coopmat* members, the others being known.
void vkd__coopmat_read(VkInstance instance, VkPhysicalDevice physical, struct vkd_device_caps *caps);
// What a logical device enables for them: chains `f` before *next, and gives 0 to 2 names of extensions.
struct vkd__coopmat_features {
  VkPhysicalDeviceCooperativeMatrixFeaturesKHR coopmat;
  VkPhysicalDeviceShaderBfloat16FeaturesKHR bf16;
};
uint32_t vkd__coopmat_enable(const struct vkd_device_caps *caps, struct vkd__coopmat_features *f, void **next,
                             const char **names);

// A mapped, coherent buffer for transfers.
struct vkd__host_buffer {
  VkBuffer handle;
  VkDeviceMemory memory;
  void *map;
  uint64_t bytes;
};
enum vkd_status vkd__host_buffer_create(struct vkd__host_buffer **out, struct vkd_device *dev, uint64_t bytes,
                                        struct vkd_error *err);
void vkd__host_buffer_destroy(struct vkd_device *dev, struct vkd__host_buffer **buffer);

struct vkd_buffer {
  struct vkd_device *dev;
  uint64_t bytes;
  VkBuffer handle;
  VkDeviceMemory memory;
  uint64_t address; // a made-up one on a fake device
  void *map;        // NULL: not mapped
};

// As vkd_buffer_create(), and mapped where there is a large enough heap that is the device's own and the host's too.
enum vkd_status vkd__buffer_create_mapped(struct vkd_buffer **out, struct vkd_device *dev, uint64_t bytes,
                                          struct vkd_error *err);

// Submits command buffers; *ticket is what vkd__wait() waits for.
enum vkd_status vkd__submit(struct vkd_device *dev, const VkCommandBuffer *commands, uint32_t count, uint64_t *ticket,
                            struct vkd_error *err);
enum vkd_status vkd__wait(struct vkd_device *dev, uint64_t ticket, struct vkd_error *err);
enum vkd_status vkd__command_begin(struct vkd_device *dev, VkCommandBuffer *out, VkCommandBufferUsageFlags usage,
                                   struct vkd_error *err);
void vkd__command_free(struct vkd_device *dev, VkCommandBuffer *command);
// Everything before it is visible to everything after it.
void vkd__full_barrier(VkCommandBuffer command);

// kernel.c
enum vkd_status vkd__kernels_open(struct vkd_device *dev, const char *cache_dir, struct vkd_error *err);
void vkd__kernels_close(struct vkd_device *dev);
enum vkd_status vkd__pipeline(struct vkd_device *dev, const struct vkd_dispatch *d, VkPipeline *out,
                              struct vkd_error *err);
// Why the device cannot run a kernel row; NULL if it can.
const char *vkd__kernel_unusable(const struct vkd_device_caps *caps, enum vkd_kernel_id id);

#endif
