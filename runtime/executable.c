// What the driver tells of a pipeline, through VK_KHR_pipeline_executable_properties.
#include <stdlib.h>
#include <string.h>

#include "device_internal.h"

struct vkd__executable_functions {
  PFN_vkGetPipelineExecutablePropertiesKHR properties;
  PFN_vkGetPipelineExecutableStatisticsKHR statistics;
};

bool vkd__executable_has(VkPhysicalDevice physical) {
  VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR feature = {
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR};
  VkPhysicalDeviceFeatures2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &feature};
  if (!vkd__has_extension(physical, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME)) return false;
  vkGetPhysicalDeviceFeatures2(physical, &all);
  return feature.pipelineExecutableInfo;
}

static double number_of(const VkPipelineExecutableStatisticKHR *s) {
  switch (s->format) {
  case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR:
    return (double)s->value.i64;
  case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR:
    return (double)s->value.u64;
  case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR:
    return s->value.f64;
  default:
    return s->value.b32;
  }
}

// Adds up what one executable tells; negative: nothing of the kind.
static void sum_up(const VkPipelineExecutableStatisticKHR *list, uint32_t count, double sums[VKD_STAT_COUNT]) {
  static const struct {
    enum vkd_stat stat;
    const char *name;
  } known[] = {
#define STATISTIC(stat, name) {VKD_STAT_##stat, name},
#include "statistics.def"
  };
  for (int k = 0; k < VKD_STAT_COUNT; k++) sums[k] = -1;
  for (uint32_t i = 0; i < count; i++)
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
      if (strcmp(known[k].name, list[i].name) != 0) continue;
      double *sum = &sums[known[k].stat];
      *sum = number_of(&list[i]) + (*sum > 0 ? *sum : 0);
    }
}

// Drivers that keep several executables for a pipeline, as for subgroups of several sizes, run any: the worst counts.
static void keep_worst(const double sums[VKD_STAT_COUNT], double worst[VKD_STAT_COUNT]) {
  for (int k = 0; k < VKD_STAT_COUNT; k++) {
    bool fewer_is_worse = k == VKD_STAT_WAVES;
    if (sums[k] >= 0 && (worst[k] < 0 || (fewer_is_worse ? sums[k] < worst[k] : sums[k] > worst[k])))
      worst[k] = sums[k];
  }
}

static VkResult read_executable(struct vkd_device *dev, const struct vkd__executable_functions *vk,
                                const VkPipelineExecutableInfoKHR *which, double worst[VKD_STAT_COUNT]) {
  uint32_t count = 0;
  double sums[VKD_STAT_COUNT];
  VkResult r = vk->statistics(dev->handle, which, &count, NULL);
  VkPipelineExecutableStatisticKHR *list = calloc((size_t)count + 1, sizeof *list);
  for (uint32_t i = 0; list && i < count; i++) list[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
  if (!list) return VK_ERROR_OUT_OF_HOST_MEMORY;
  if (r == VK_SUCCESS) r = vk->statistics(dev->handle, which, &count, list);
  if (r == VK_SUCCESS) {
    sum_up(list, count, sums);
    keep_worst(sums, worst);
  }
  free(list);
  return r;
}

enum vkd_status vkd__executable_read(struct vkd_device *dev, VkPipeline pipeline, struct vkd_compiled *out,
                                     struct vkd_error *err) {
  struct vkd__executable_functions vk = {(PFN_vkGetPipelineExecutablePropertiesKHR)vkGetDeviceProcAddr(
                                             dev->handle, "vkGetPipelineExecutablePropertiesKHR"),
                                         (PFN_vkGetPipelineExecutableStatisticsKHR)vkGetDeviceProcAddr(
                                             dev->handle, "vkGetPipelineExecutableStatisticsKHR")};
  VkPipelineInfoKHR info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR, .pipeline = pipeline};
  for (int k = 0; k < VKD_STAT_COUNT; k++) out->stats[k] = -1;
  out->subgroup = 0;
  if (!dev->statistics || !vk.properties || !vk.statistics) return VKD_OK;
  uint32_t count = 0;
  VkResult r = vk.properties(dev->handle, &info, &count, NULL);
  VkPipelineExecutablePropertiesKHR *list = calloc((size_t)count + 1, sizeof *list);
  for (uint32_t i = 0; list && i < count; i++) list[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR;
  if (!list) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for statistics");
  if (r == VK_SUCCESS) r = vk.properties(dev->handle, &info, &count, list);
  for (uint32_t i = 0; i < count && r == VK_SUCCESS; i++) {
    VkPipelineExecutableInfoKHR which = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, .pipeline = pipeline, .executableIndex = i};
    if (list[i].subgroupSize > out->subgroup) out->subgroup = list[i].subgroupSize;
    r = read_executable(dev, &vk, &which, out->stats);
  }
  free(list);
  return r == VK_SUCCESS ? VKD_OK : vkd__vk_fail(err, r, "statistics of kernel %s", out->kernel);
}
