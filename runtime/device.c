// Instance, choice of device, the logical device.
#include "device_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "vkd/log.h"
#include "vkd/tune.h"

static const char *result_name(VkResult r) {
  switch (r) {
#define X(name)                                                                                                        \
  case name:                                                                                                           \
    return #name;
    X(VK_ERROR_OUT_OF_HOST_MEMORY)
    X(VK_ERROR_OUT_OF_DEVICE_MEMORY)
    X(VK_ERROR_INITIALIZATION_FAILED)
    X(VK_ERROR_DEVICE_LOST)
    X(VK_ERROR_MEMORY_MAP_FAILED)
    X(VK_ERROR_LAYER_NOT_PRESENT)
    X(VK_ERROR_EXTENSION_NOT_PRESENT)
    X(VK_ERROR_FEATURE_NOT_PRESENT)
    X(VK_ERROR_INCOMPATIBLE_DRIVER)
    X(VK_ERROR_TOO_MANY_OBJECTS)
    X(VK_ERROR_INVALID_SHADER_NV)
    X(VK_TIMEOUT)
#undef X
  default:
    return "VkResult";
  }
}

enum vkd_status vkd__vk_fail(struct vkd_error *err, VkResult result, const char *fmt, ...) {
  char text[512];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  enum vkd_status status = result == VK_ERROR_OUT_OF_DEVICE_MEMORY ? VKD_ERR_DEVICE_MEMORY
                           : result == VK_ERROR_OUT_OF_HOST_MEMORY ? VKD_ERR_HOST_MEMORY
                           : result == VK_ERROR_DEVICE_LOST        ? VKD_ERR_DEVICE_LOST
                                                                   : VKD_ERR_VULKAN;
  if (err && err->status == VKD_OK) err->vk_result = result;
  return vkd_fail(err, status, "%s: %s (%d)", text, result_name(result), (int)result);
}

const char *vkd_device_kind_name(enum vkd_device_kind kind) {
  static const char *const names[] = {"discrete", "integrated", "software", "other"};
  return names[kind];
}

static bool validate_wanted(void) {
  const char *s = getenv("VKD_VALIDATE");
  return s && *s && strcmp(s, "0") != 0;
}

static enum vkd_status create_instance(VkInstance *out, bool validate, struct vkd_error *err) {
  const char *layers[] = {"VK_LAYER_KHRONOS_validation"};
  const char *extensions[] = {VK_EXT_DEBUG_UTILS_EXTENSION_NAME};
  VkApplicationInfo app = {
      .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .pApplicationName = "vkdit", .apiVersion = VK_API_VERSION_1_2};
  VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                               .pApplicationInfo = &app,
                               .enabledLayerCount = validate,
                               .ppEnabledLayerNames = layers,
                               .enabledExtensionCount = validate,
                               .ppEnabledExtensionNames = extensions};
  VkResult r = vkCreateInstance(&info, NULL, out);
  if (r == VK_SUCCESS) return VKD_OK;
  *out = VK_NULL_HANDLE;
  if (r == VK_ERROR_INCOMPATIBLE_DRIVER)
    return vkd_fail(err, VKD_ERR_NO_DEVICE,
                    "no Vulkan driver found; install one (software: mesa-vulkan-drivers) or set VK_DRIVER_FILES");
  return vkd__vk_fail(
      err, r, validate ? "a Vulkan instance with the validation layer (is it installed?)" : "a Vulkan instance");
}

static enum vkd_status enumerate(VkInstance instance, VkPhysicalDevice **physical, struct vkd_device_caps **caps,
                                 uint32_t *count, struct vkd_error *err) {
  *count = 0;
  VkResult r = vkEnumeratePhysicalDevices(instance, count, NULL);
  *physical = calloc(*count + 1, sizeof **physical);
  *caps = calloc(*count + 1, sizeof **caps);
  if (!*physical || !*caps) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %u devices", *count);
  if (r == VK_SUCCESS) r = vkEnumeratePhysicalDevices(instance, count, *physical);
  if (r == VK_ERROR_INITIALIZATION_FAILED || (r == VK_SUCCESS && *count == 0))
    return vkd_fail(err, VKD_ERR_NO_DEVICE,
                    "no Vulkan device: a driver is installed but offers none (see VK_DRIVER_FILES)");
  if (r != VK_SUCCESS) return vkd__vk_fail(err, r, "listing Vulkan devices");
  for (uint32_t i = 0; i < *count; i++) vkd__caps_read(instance, (*physical)[i], i, &(*caps)[i]);
  return VKD_OK;
}

enum vkd_status vkd_device_list(struct vkd_device_caps **list, uint32_t *count, struct vkd_error *err) {
  VkInstance instance = VK_NULL_HANDLE;
  VkPhysicalDevice *physical = NULL;
  *list = NULL;
  *count = 0;
  enum vkd_status st = create_instance(&instance, false, err);
  if (st == VKD_OK) st = enumerate(instance, &physical, list, count, err);
  free(physical);
  if (instance) vkDestroyInstance(instance, NULL);
  if (st != VKD_OK) {
    free(*list);
    *list = NULL;
  }
  return st;
}

static bool contains(const char *text, const char *part) {
  size_t n = strlen(part);
  for (; *text; text++)
    if (strncasecmp(text, part, n) == 0) return true;
  return false;
}

// The turn-th after the first one of its kind, as often around as there are.
static uint32_t take_turn(const struct vkd_device_caps *caps, uint32_t count, uint32_t first, uint32_t turn) {
  uint32_t same = 0, at = first;
  for (uint32_t i = first; i < count; i++) same += !*caps[i].unusable && caps[i].kind == caps[first].kind;
  if (!same) return first;
  for (turn %= same; turn > 0; at++) turn -= !*caps[at + 1].unusable && caps[at + 1].kind == caps[first].kind;
  return at;
}

static enum vkd_status choose(const struct vkd_device_caps *caps, uint32_t count,
                              const struct vkd_device_params *params, uint32_t *chosen, struct vkd_error *err) {
  const char *select = params->select;
  if (!select || !*select) select = getenv("VKD_DEVICE");
  uint32_t best = UINT32_MAX;
  if (select && *select) {
    char *end;
    unsigned long n = strtoul(select, &end, 10);
    for (uint32_t i = 0; i < count && best == UINT32_MAX; i++)
      if (*end ? contains(caps[i].name, select) : n == i) best = i;
  } else {
    for (uint32_t i = 0; i < count; i++)
      if (!*caps[i].unusable && (best == UINT32_MAX || caps[i].kind < caps[best].kind)) best = i;
    if (best != UINT32_MAX) best = take_turn(caps, count, best, params->turn);
  }
  if (best != UINT32_MAX && !*caps[best].unusable) {
    *chosen = best;
    return VKD_OK;
  }
  if (best != UINT32_MAX)
    return vkd_fail(err, VKD_ERR_NO_DEVICE, "device %u (%s) %s", best, caps[best].name, caps[best].unusable);
  char have[512] = "";
  for (uint32_t i = 0, at = 0; i < count && at < sizeof have - 1; i++)
    at += (uint32_t)snprintf(have + at, sizeof have - at, "%s%u: %.60s%s%.60s", i ? ", " : "", i, caps[i].name,
                             *caps[i].unusable ? " - " : "", caps[i].unusable);
  return vkd_fail(err, VKD_ERR_NO_DEVICE, "no device '%s'; there is %s",
                  select && *select ? select : "that can run vkdit", have);
}

// Messages that are no faults; docs/portability.md says why of each.
static const char *const passed_over[] = {"WARNING-Setting-Limit-Adjusted",
                                          "VUID-RuntimeSpirv-OpCooperativeMatrixLoadKHR-08986"};

static VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                                 VkDebugUtilsMessageTypeFlagsEXT types,
                                                 const VkDebugUtilsMessengerCallbackDataEXT *data, void *user) {
  (void)severity, (void)types;
  struct vkd_device *dev = user;
  for (size_t i = 0; i < sizeof passed_over / sizeof *passed_over; i++)
    if (data->pMessageIdName && !strcmp(data->pMessageIdName, passed_over[i])) return VK_FALSE;
  if (atomic_fetch_add(&dev->validation_count, 1) == 0)
    snprintf(dev->validation_first, sizeof dev->validation_first, "%s", data->pMessage);
  vkd_log(VKD_LOG_WARN, "validation: [%s] %s", data->pMessageIdName, data->pMessage);
  return VK_FALSE;
}

static void watch_validation(struct vkd_device *dev) {
  PFN_vkCreateDebugUtilsMessengerEXT create =
      (PFN_vkCreateDebugUtilsMessengerEXT)vkGetInstanceProcAddr(dev->instance, "vkCreateDebugUtilsMessengerEXT");
  VkDebugUtilsMessengerCreateInfoEXT info = {.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
                                             .messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT |
                                                                VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT,
                                             .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT,
                                             .pfnUserCallback = on_message,
                                             .pUserData = dev};
  if (create) create(dev->instance, &info, NULL, &dev->messenger);
}

uint32_t vkd_device_validation(const struct vkd_device *dev, char *first, size_t size) {
  if (first && size) snprintf(first, size, "%s", dev->validation_first);
  return dev->validation_count;
}

// As struct vkd_device has it.
static uint64_t import_unit(VkPhysicalDevice physical) {
  VkPhysicalDeviceExternalMemoryHostPropertiesEXT host = {
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT};
  VkPhysicalDeviceProperties2 p = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &host};
  if (!vkd__has_extension(physical, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME)) return 0;
  vkGetPhysicalDeviceProperties2(physical, &p);
  return host.minImportedHostPointerAlignment;
}

static enum vkd_status open_logical(struct vkd_device *dev, struct vkd_error *err) {
  struct vkd__queue_choice choice;
  if (!vkd__queues_find(&dev->caps, &choice))
    return vkd_fail(err, VKD_ERR_NO_DEVICE, "%s has no compute queue", dev->caps.name);
  bool families = choice.apart && choice.uploads != choice.compute;
  float priorities[] = {1, 1};
  VkDeviceQueueCreateInfo queues[2] = {{.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                        .queueFamilyIndex = choice.compute,
                                        .queueCount = choice.apart ? choice.index + 1 : 1,
                                        .pQueuePriorities = priorities},
                                       {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                        .queueFamilyIndex = choice.uploads,
                                        .queueCount = 1,
                                        .pQueuePriorities = priorities}};
  VkPhysicalDeviceVulkan11Features f11 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
                                          .storageBuffer16BitAccess = dev->caps.storage_16bit};
  VkPhysicalDeviceVulkan12Features f12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
                                          .pNext = &f11,
                                          .bufferDeviceAddress = VK_TRUE,
                                          .timelineSemaphore = VK_TRUE,
                                          .shaderFloat16 = dev->caps.shader_f16,
                                          .vulkanMemoryModel = dev->caps.coopmat};
  VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executable = {
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
      .pNext = &f12,
      .pipelineExecutableInfo = VK_TRUE};
  struct vkd__coopmat_features coopmat;
  const char *extensions[5];
  void *next = dev->statistics ? (void *)&executable : &f12;
  uint32_t extension_count = vkd__coopmat_enable(&dev->caps, &coopmat, &next, extensions);
  if (dev->statistics) extensions[extension_count++] = VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME;
  dev->import_unit = import_unit(dev->physical);
  if (dev->import_unit) extensions[extension_count++] = VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME;
  VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                             .pNext = next,
                             .enabledExtensionCount = extension_count,
                             .ppEnabledExtensionNames = extensions,
                             .queueCreateInfoCount = families ? 2 : 1,
                             .pQueueCreateInfos = queues};
  VkResult r = vkCreateDevice(dev->physical, &info, NULL, &dev->handle);
  if (r != VK_SUCCESS) return vkd__vk_fail(err, r, "opening %s", dev->caps.name);
  return dev->compile_only ? VKD_OK : vkd__queues_open(dev, &choice, err);
}

// No watchdog minds a CPU.
static enum vkd_status limit_time(struct vkd_device *dev, struct vkd_error *err) {
  const char *text = getenv("VKD_DISPATCH_MS");
  double ms = dev->caps.kind == VKD_DEVICE_SOFTWARE ? 0 : 100;
  if (text && *text) {
    char *end;
    ms = strtod(text, &end);
    if (*end || !(ms >= 0 && ms < 1e9))
      return vkd_fail(err, VKD_ERR_USAGE, "VKD_DISPATCH_MS is '%.40s', not a number of milliseconds, or 0 for no limit",
                      text);
  }
  dev->budget_s = ms * 1e-3;
  return VKD_OK;
}

static enum vkd_status limit_memory(struct vkd_device *dev, uint64_t limit, struct vkd_error *err) {
  const char *text = getenv("VKD_MEMORY_LIMIT");
  if (!limit && text && *text) {
    char *end;
    double mib = strtod(text, &end);
    if (*end || !(mib > 0 && mib < 1e9))
      return vkd_fail(err, VKD_ERR_USAGE, "VKD_MEMORY_LIMIT is '%.40s', not a number of MiB above 0", text);
    limit = (uint64_t)(mib * 1048576);
  }
  if (limit && limit < dev->caps.memory_budget) dev->caps.memory_budget = limit;
  return VKD_OK;
}

enum vkd_status vkd_device_create(struct vkd_device **out, const struct vkd_device_params *params,
                                  struct vkd_error *err) {
  static const struct vkd_device_params none;
  if (!params) params = &none;
  VkPhysicalDevice *physical = NULL;
  struct vkd_device_caps *caps = NULL;
  uint32_t count, chosen = 0;
  enum vkd_status st;
  struct vkd_device *dev = *out = calloc(1, sizeof *dev);
  if (!dev) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a device");
  if (params->fake) {
    dev->caps = *params->fake;
    dev->caps.fake = true;
    return VKD_OK;
  }
  if ((st = create_instance(&dev->instance, validate_wanted(), err)) != VKD_OK) goto fail;
  if (validate_wanted()) watch_validation(dev);
  if ((st = enumerate(dev->instance, &physical, &caps, &count, err)) != VKD_OK) goto fail;
  for (uint32_t i = 0; i < count && params->compile_only; i++)
    if (vkd__caps_compiles(&caps[i])) *caps[i].unusable = 0;
  if ((st = choose(caps, count, params, &chosen, err)) != VKD_OK) goto fail;
  dev->caps = caps[chosen];
  dev->physical = physical[chosen];
  dev->compile_only = params->compile_only;
  dev->statistics = dev->compile_only && vkd__executable_has(dev->physical);
  if ((st = limit_memory(dev, params->memory_limit, err)) != VKD_OK) goto fail;
  if ((st = limit_time(dev, err)) != VKD_OK) goto fail;
  if ((st = open_logical(dev, err)) != VKD_OK) goto fail;
  const char *sync = getenv("VKD_SYNC");
  if (sync && strcmp(sync, "full") == 0) st = vkd__host_buffer_create(&dev->marks, dev, sizeof(uint32_t), err);
  if (st != VKD_OK || (st = vkd__kernels_open(dev, params->cache_dir, err)) != VKD_OK) goto fail;
  if ((st = vkd_tune_load(&dev->tune, &dev->caps, params->cache_dir, err)) != VKD_OK) goto fail;
  vkd_log(VKD_LOG_DEBUG, "device %u: %s (%s, %s)", chosen, dev->caps.name, vkd_device_kind_name(dev->caps.kind),
          dev->caps.driver_info);
fail:
  free(physical);
  free(caps);
  if (st != VKD_OK) vkd_device_destroy(out);
  return st;
}

void vkd_device_destroy(struct vkd_device **pdev) {
  struct vkd_device *dev = *pdev;
  if (!dev) return;
  if (dev->handle) {
    if (!dev->compile_only) vkDeviceWaitIdle(dev->handle); // a null device need not know how
    vkd__host_buffer_destroy(dev, &dev->staging);
    vkd__host_buffer_destroy(dev, &dev->marks);
    vkd__kernels_close(dev);
    vkd__queues_close(dev);
    vkDestroyDevice(dev->handle, NULL);
  }
  if (dev->messenger) {
    PFN_vkDestroyDebugUtilsMessengerEXT destroy =
        (PFN_vkDestroyDebugUtilsMessengerEXT)vkGetInstanceProcAddr(dev->instance, "vkDestroyDebugUtilsMessengerEXT");
    if (destroy) destroy(dev->instance, dev->messenger, NULL);
  }
  if (dev->instance) vkDestroyInstance(dev->instance, NULL);
  vkd_tune_destroy(&dev->tune);
  free(dev);
  *pdev = NULL;
}

const struct vkd_device_caps *vkd_device_get_caps(const struct vkd_device *dev) { return &dev->caps; }
