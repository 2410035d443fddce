// What a device can do, as public data; and what follows from it alone, so that made-up devices may be asked.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device_internal.h"

bool vkd__has_extension(VkPhysicalDevice physical, const char *name) {
  uint32_t n = 0;
  bool found = false;
  vkEnumerateDeviceExtensionProperties(physical, NULL, &n, NULL);
  VkExtensionProperties *list = calloc(n + 1, sizeof *list);
  if (list && vkEnumerateDeviceExtensionProperties(physical, NULL, &n, list) == VK_SUCCESS)
    for (uint32_t i = 0; i < n; i++) found |= strcmp(list[i].extensionName, name) == 0;
  free(list);
  return found;
}

static void read_memory(VkPhysicalDevice physical, struct vkd_device_caps *caps) {
  VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
  caps->budget_known = vkd__has_extension(physical, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  VkPhysicalDeviceMemoryProperties2 m = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2,
                                         .pNext = caps->budget_known ? &budget : NULL};
  vkGetPhysicalDeviceMemoryProperties2(physical, &m);
  const VkPhysicalDeviceMemoryProperties *p = &m.memoryProperties;
  caps->heap_count = p->memoryHeapCount;
  caps->memory_type_count = p->memoryTypeCount;
  for (uint32_t i = 0; i < p->memoryTypeCount; i++)
    caps->memory_types[i] = (struct vkd_memory_type){p->memoryTypes[i].heapIndex, p->memoryTypes[i].propertyFlags};
  for (uint32_t i = 0; i < p->memoryHeapCount; i++) {
    struct vkd_memory_heap *heap = &caps->heaps[i];
    heap->bytes = p->memoryHeaps[i].size;
    heap->budget = caps->budget_known && budget.heapBudget[i] ? budget.heapBudget[i] : heap->bytes;
    heap->device = p->memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT;
    if (!heap->device || heap->bytes <= caps->memory_bytes) continue;
    caps->memory_bytes = heap->bytes;
    caps->memory_budget = heap->budget;
  }
}

static void read_queues(VkPhysicalDevice physical, double period_ns, struct vkd_device_caps *caps) {
  VkQueueFamilyProperties families[VKD_QUEUE_FAMILIES];
  uint32_t n = VKD_QUEUE_FAMILIES;
  vkGetPhysicalDeviceQueueFamilyProperties(physical, &n, families);
  caps->queue_family_count = n;
  for (uint32_t i = 0; i < n; i++)
    caps->queue_families[i] =
        (struct vkd_queue_family){families[i].queueFlags, families[i].queueCount, families[i].timestampValidBits};
  vkd__caps_queues(caps, period_ns);
}

void vkd__caps_queues(struct vkd_device_caps *caps, double period_ns) {
  struct vkd__queue_choice queues;
  if (!vkd__queues_find(caps, &queues)) return;
  uint32_t bits = caps->queue_families[queues.compute].timestamp_bits;
  caps->has_compute_queue = true;
  caps->compute_family = queues.compute;
  caps->upload_family = queues.apart ? queues.uploads : queues.compute;
  caps->upload_queue = queues.apart;
  caps->timestamp_mask = bits < 64 ? ((uint64_t)1 << bits) - 1 : UINT64_MAX;
  // a driver that compiles for no card has no clock, and a period without end
  caps->timestamp_ns = bits && period_ns > 0 && isfinite(period_ns) ? period_ns : 0;
}

// Bytes of the largest buffer that the driver makes, where it says.
static uint64_t largest_buffer(VkPhysicalDevice physical, const struct vkd_device_caps *caps) {
  VkPhysicalDeviceMaintenance4Properties m = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES};
  VkPhysicalDeviceProperties2 p = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &m};
  if (caps->api_version < VK_API_VERSION_1_3 && !vkd__has_extension(physical, VK_KHR_MAINTENANCE_4_EXTENSION_NAME))
    return UINT64_MAX;
  vkGetPhysicalDeviceProperties2(physical, &p);
  return m.maxBufferSize ? m.maxBufferSize : UINT64_MAX;
}

void vkd__caps_read(VkInstance instance, VkPhysicalDevice physical, uint32_t index, struct vkd_device_caps *caps) {
  VkPhysicalDeviceVulkan11Properties p11 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES};
  VkPhysicalDeviceVulkan12Properties p12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES,
                                            .pNext = &p11};
  VkPhysicalDeviceProperties2 p = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
  vkGetPhysicalDeviceProperties(physical, &p.properties);
  memset(caps, 0, sizeof *caps);
  caps->index = index;
  caps->api_version = p.properties.apiVersion;
  snprintf(caps->name, sizeof caps->name, "%s", p.properties.deviceName);
  if (caps->api_version < VK_API_VERSION_1_2) {
    snprintf(caps->unusable, sizeof caps->unusable, "Vulkan %u.%u, 1.2 is needed",
             VK_API_VERSION_MAJOR(caps->api_version), VK_API_VERSION_MINOR(caps->api_version));
    return;
  }
  p.pNext = &p12;
  vkGetPhysicalDeviceProperties2(physical, &p);
  VkPhysicalDeviceVulkan11Features f11 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES};
  VkPhysicalDeviceVulkan12Features f12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
                                          .pNext = &f11};
  VkPhysicalDeviceFeatures2 f = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &f12};
  vkGetPhysicalDeviceFeatures2(physical, &f);
  const VkPhysicalDeviceLimits *lim = &p.properties.limits;
  snprintf(caps->driver, sizeof caps->driver, "%s", p12.driverName);
  snprintf(caps->driver_info, sizeof caps->driver_info, "%s", p12.driverInfo);
  caps->vendor_id = p.properties.vendorID;
  caps->device_id = p.properties.deviceID;
  caps->driver_version = p.properties.driverVersion;
  memcpy(caps->uuid, p.properties.pipelineCacheUUID, sizeof caps->uuid);
  caps->kind = p.properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU     ? VKD_DEVICE_DISCRETE
               : p.properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU ? VKD_DEVICE_INTEGRATED
               : p.properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU            ? VKD_DEVICE_SOFTWARE
                                                                                   : VKD_DEVICE_OTHER;
  caps->subgroup_size = p11.subgroupSize;
  // Measured on lavapipe as of Mesa 26; what Mesa 25 makes of such kernels is slow, and takes seconds to compile.
  caps->cpu_lanes = caps->kind == VKD_DEVICE_SOFTWARE && caps->subgroup_size == 8 && caps->driver_version >> 22 >= 26;
  const VkSubgroupFeatureFlags operations = VK_SUBGROUP_FEATURE_ARITHMETIC_BIT | VK_SUBGROUP_FEATURE_BALLOT_BIT;
  caps->subgroup_arithmetic = (p11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) &&
                              (p11.subgroupSupportedOperations & operations) == operations;
  caps->max_workgroup_invocations = lim->maxComputeWorkGroupInvocations;
  memcpy(caps->max_workgroup_size, lim->maxComputeWorkGroupSize, sizeof caps->max_workgroup_size);
  memcpy(caps->max_workgroup_count, lim->maxComputeWorkGroupCount, sizeof caps->max_workgroup_count);
  caps->max_shared_bytes = lim->maxComputeSharedMemorySize;
  caps->max_push_bytes = lim->maxPushConstantsSize;
  uint64_t largest = largest_buffer(physical, caps);
  if (largest > p11.maxMemoryAllocationSize) largest = p11.maxMemoryAllocationSize;
  caps->max_allocation = (largest & ~(uint64_t)63) - (1 << 17); // less the pad behind every buffer
  caps->shader_f16 = f12.shaderFloat16;
  caps->storage_16bit = f11.storageBuffer16BitAccess;
  caps->buffer_device_address = f12.bufferDeviceAddress;
  caps->timeline_semaphore = f12.timelineSemaphore;
  vkd__coopmat_read(instance, physical, caps);
  read_memory(physical, caps);
  read_queues(physical, lim->timestampPeriod, caps);
  vkd__caps_judge(caps);
}

uint32_t vkd__memory_type(const struct vkd_device_caps *caps, uint32_t allowed, uint32_t want) {
  const uint32_t known = VKD_MEMORY_DEVICE | VKD_MEMORY_HOST | VKD_MEMORY_COHERENT | VKD_MEMORY_CACHED;
  uint32_t best = UINT32_MAX;
  for (uint32_t i = 0; i < caps->memory_type_count; i++) {
    const struct vkd_memory_type *t = &caps->memory_types[i];
    if (!(allowed >> i & 1) || (t->flags & want) != want || (t->flags & ~known)) continue;
    if (best == UINT32_MAX) best = i;
    // the device's own: where most of it is, not in a window of it
    if ((want & VKD_MEMORY_DEVICE) && caps->heaps[t->heap].bytes > caps->heaps[caps->memory_types[best].heap].bytes)
      best = i;
  }
  return best;
}

bool vkd__can_map(const struct vkd_device_caps *caps) {
  uint32_t type = vkd__memory_type(caps, UINT32_MAX, VKD_MEMORY_DEVICE | VKD_MEMORY_HOST | VKD_MEMORY_COHERENT);
  return type != UINT32_MAX && caps->heaps[caps->memory_types[type].heap].bytes >= caps->memory_bytes / 2;
}

static const char *lacks_for_kernels(const struct vkd_device_caps *caps) {
  return !caps->buffer_device_address ? "bufferDeviceAddress"
         : !caps->timeline_semaphore  ? "timelineSemaphore"
         : !caps->subgroup_arithmetic ? "subgroup arithmetic in compute"
         : !caps->has_compute_queue   ? "a queue that computes"
                                      : NULL;
}

bool vkd__caps_compiles(const struct vkd_device_caps *caps) {
  return caps->api_version >= VK_API_VERSION_1_2 && !lacks_for_kernels(caps);
}

void vkd__caps_judge(struct vkd_device_caps *caps) {
  const uint32_t host = VKD_MEMORY_HOST | VKD_MEMORY_COHERENT; // so that nothing has to be flushed
  const char *kernels = lacks_for_kernels(caps);
  const char *lacks = kernels                                                               ? kernels
                      : vkd__memory_type(caps, UINT32_MAX, VKD_MEMORY_DEVICE) == UINT32_MAX ? "memory of its own"
                      : vkd__memory_type(caps, UINT32_MAX, host) == UINT32_MAX
                          ? "memory that is coherent with the host's"
                          : NULL;
  if (lacks) snprintf(caps->unusable, sizeof caps->unusable, "lacks %s", lacks);
}
