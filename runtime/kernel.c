// Manifest rows -> pipelines, made on demand and kept; the driver's pipeline cache on disk.
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "device_internal.h"
#include "record.h"
#include "reload.h"
#include "vkd/log.h"
#include "vkd/parallel.h"

struct vkd_pipeline {
  enum vkd_kernel_id kernel;
  uint32_t spec[VKD_MAX_SPEC], spec_count;
  VkPipeline handle;
};

enum { CACHE_LIMIT = 48 << 20 }; // some hundred kernels; what a file may make us take

const char *vkd__kernel_unusable(const struct vkd_device_caps *caps, enum vkd_kernel_id id) {
  const struct vkd_kernel_blob *blob = &vkd_kernel_blobs[id];
  if (!blob->code) return blob->skip_reason;
  if ((blob->needs & NEEDS_F16) && !(caps->shader_f16 && caps->storage_16bit)) return "the device lacks 16-bit floats";
  if ((blob->needs & NEEDS_STORAGE16) && !caps->storage_16bit) return "the device lacks storageBuffer16BitAccess";
  if ((blob->needs & NEEDS_SUBGROUP) && !caps->subgroup_arithmetic) return "the device lacks subgroup arithmetic";
  if ((blob->needs & (NEEDS_COOPMAT | NEEDS_COOPMAT2)) && !caps->coopmat)
    return "the device lacks VK_KHR_cooperative_matrix";
  if ((blob->needs & NEEDS_BF16) && !caps->bf16) return "the device lacks VK_KHR_shader_bfloat16";
  if ((blob->needs & NEEDS_COOPMAT) && !vkd__coopmat_for(caps, blob->needs & NEEDS_BF16 ? VKD_BF16 : VKD_F16))
    return "the device lists no cooperative matrices of that type with fp32 sums that the kernel can use";
  uint32_t lanes = caps->subgroup_size;
  if ((blob->needs & NEEDS_SOFTWARE) &&
      !(caps->kind == VKD_DEVICE_SOFTWARE && (lanes == 4 || lanes == 8 || lanes == 16)))
    return "the device is no CPU with subgroups of 4, 8 or 16";
  if ((blob->needs & NEEDS_CPU_LANES) && !caps->cpu_lanes)
    return "the device is no CPU with subgroups of 8 (lavapipe of Mesa 26)";
  return NULL;
}

static void write_cache(struct vkd_device *dev) {
  size_t size = 0;
  if (!*dev->cache_path || vkGetPipelineCacheData(dev->handle, dev->cache, &size, NULL) != VK_SUCCESS || !size ||
      size > CACHE_LIMIT)
    return;
  void *data = malloc(size);
  if (data && vkGetPipelineCacheData(dev->handle, dev->cache, &size, data) == VK_SUCCESS &&
      !vkd__cache_write(dev->cache_path, data, size))
    vkd_log(VKD_LOG_DEBUG, "pipeline cache %s not written", dev->cache_path);
  free(data);
}

enum vkd_status vkd__kernels_open(struct vkd_device *dev, const char *cache_dir, struct vkd_error *err) {
  vkd__cache_path(&dev->caps, cache_dir, "pipelines", "bin", dev->cache_path);
  size_t size;
  const void *data;
  void *file = vkd__cache_read(dev->cache_path, CACHE_LIMIT, &data, &size);
  const char *wrong = file ? vkd__cache_check_pipelines(data, size, &dev->caps) : NULL;
  if (wrong) vkd_log(VKD_LOG_WARN, "%s is not used and made anew: %s", dev->cache_path, wrong);
  VkPipelineCacheCreateInfo info = {
      .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO, .initialDataSize = wrong ? 0 : size, .pInitialData = data};
  VkResult r = vkCreatePipelineCache(dev->handle, &info, NULL, &dev->cache);
  if (r != VK_SUCCESS && info.initialDataSize) { // it went wrong for a reason of the driver's own
    info.initialDataSize = 0;
    r = vkCreatePipelineCache(dev->handle, &info, NULL, &dev->cache);
  }
  free(file);
  if (r != VK_SUCCESS) return vkd__vk_fail(err, r, "a pipeline cache");
  VkPushConstantRange range = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT, .size = 128};
  VkPipelineLayoutCreateInfo layout = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                       .pushConstantRangeCount = 1,
                                       .pPushConstantRanges = &range};
  r = vkCreatePipelineLayout(dev->handle, &layout, NULL, &dev->layout);
  return r == VK_SUCCESS ? vkd__reload_open(dev, err) : vkd__vk_fail(err, r, "a pipeline layout");
}

void vkd__kernels_close(struct vkd_device *dev) {
  if (dev->pipeline_count && !dev->reload) write_cache(dev);
  vkd__reload_close(dev);
  for (uint32_t i = 0; i < dev->pipeline_count; i++) vkDestroyPipeline(dev->handle, dev->pipelines[i].handle, NULL);
  free(dev->pipelines);
  vkDestroyPipelineLayout(dev->handle, dev->layout, NULL);
  vkDestroyPipelineCache(dev->handle, dev->cache, NULL);
}

static enum vkd_status create(struct vkd_device *dev, struct vkd_pipeline *p, struct vkd_error *err) {
  const struct vkd_kernel_blob *blob = &vkd_kernel_blobs[p->kernel];
  const char *unusable = vkd__kernel_unusable(&dev->caps, p->kernel);
  if (unusable) return vkd_fail(err, VKD_ERR_UNSUPPORTED, "kernel %s: %s", blob->name, unusable);
  VkShaderModuleCreateInfo module_info = {
      .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = blob->bytes, .pCode = blob->code};
  vkd__reload_code(dev, p->kernel, &module_info.pCode, &module_info.codeSize);
  VkShaderModule module;
  VkResult r = vkCreateShaderModule(dev->handle, &module_info, NULL, &module);
  if (r != VK_SUCCESS) return vkd__vk_fail(err, r, "kernel %s", blob->name);
  VkSpecializationMapEntry entries[VKD_MAX_SPEC];
  for (uint32_t i = 0; i < p->spec_count; i++) entries[i] = (VkSpecializationMapEntry){i, i * 4, 4};
  VkSpecializationInfo spec = {p->spec_count, entries, p->spec_count * 4, p->spec};
  VkPipelineCreateFlags flags = (dev->budget_s > 0 ? VK_PIPELINE_CREATE_DISPATCH_BASE_BIT : 0) |
                                (dev->statistics ? VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR : 0);
  VkPipelineShaderStageCreateFlags stage_flags =
      blob->needs & NEEDS_COOPMAT ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT : 0;
  VkComputePipelineCreateInfo info = {.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
                                      .flags = flags,
                                      .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                                                .flags = stage_flags,
                                                .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                                                .module = module,
                                                .pName = "main",
                                                .pSpecializationInfo = &spec},
                                      .layout = dev->layout};
  r = vkCreateComputePipelines(dev->handle, dev->cache, 1, &info, NULL, &p->handle);
  vkDestroyShaderModule(dev->handle, module, NULL);
  return r == VK_SUCCESS ? VKD_OK : vkd__vk_fail(err, r, "compiling kernel %s", blob->name);
}

void vkd__pipelines_rebuild(struct vkd_device *dev, const bool changed[VKD_K_COUNT]) {
  for (uint32_t i = 0; i < dev->pipeline_count; i++) {
    struct vkd_pipeline *p = &dev->pipelines[i], made = *p;
    struct vkd_error err = {0};
    if (!changed[p->kernel]) continue;
    if (create(dev, &made, &err) != VKD_OK) {
      vkd_log(VKD_LOG_WARN, "kernel %s stays as it was: %s", vkd_kernel_blobs[p->kernel].name, err.what);
      continue;
    }
    vkDestroyPipeline(dev->handle, p->handle, NULL);
    *p = made;
    vkd_log(VKD_LOG_INFO, "kernel %s was rebuilt", vkd_kernel_blobs[p->kernel].name);
  }
}

static const struct vkd_pipeline *find(const struct vkd_pipeline *list, uint32_t count, enum vkd_kernel_id kernel,
                                       const uint32_t *spec, uint32_t spec_count) {
  for (uint32_t i = 0; i < count; i++)
    if (list[i].kernel == kernel && list[i].spec_count == spec_count && memcmp(list[i].spec, spec, spec_count * 4) == 0)
      return &list[i];
  return NULL;
}

static enum vkd_status make_room(struct vkd_device *dev, uint32_t more, struct vkd_error *err) {
  uint32_t cap = dev->pipeline_cap ? dev->pipeline_cap : 64;
  while (cap < dev->pipeline_count + more) cap *= 2;
  struct vkd_pipeline *bigger =
      cap > dev->pipeline_cap ? realloc(dev->pipelines, cap * sizeof *bigger) : dev->pipelines;
  if (!bigger) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %u pipelines", cap);
  dev->pipelines = bigger;
  dev->pipeline_cap = cap;
  return VKD_OK;
}

enum vkd_status vkd__pipeline(struct vkd_device *dev, const struct vkd_dispatch *d, VkPipeline *out,
                              struct vkd_error *err) {
  const struct vkd_pipeline *made = find(dev->pipelines, dev->pipeline_count, d->kernel, d->spec, d->spec_count);
  if (!made) {
    enum vkd_status st = make_room(dev, 1, err);
    struct vkd_pipeline *p = &dev->pipelines[dev->pipeline_count];
    if (st != VKD_OK) return st;
    *p = (struct vkd_pipeline){.kernel = d->kernel, .spec_count = d->spec_count};
    memcpy(p->spec, d->spec, d->spec_count * 4);
    if ((st = create(dev, p, err)) != VKD_OK) return st;
    dev->pipeline_count++;
    made = p;
  }
  *out = made->handle;
  return VKD_OK;
}

// Pipelines that several threads create.
struct creation {
  struct vkd_device *dev;
  struct vkd_pipeline *list;
  struct vkd_error *errors;
  uint32_t count;
  atomic_uint next;
};

static void create_some(void *user, int worker) {
  struct creation *c = user;
  (void)worker;
  for (uint32_t i; (i = atomic_fetch_add(&c->next, 1)) < c->count;) create(c->dev, &c->list[i], &c->errors[i]);
}

enum vkd_status vkd__pipelines_make(struct vkd_device *dev, const struct vkd_tape *tape, struct vkd_error *err) {
  enum { THREADS = 8 };
  enum vkd_status st = make_room(dev, tape->count, err);
  if (st != VKD_OK) return st;
  struct creation c = {.dev = dev, .list = &dev->pipelines[dev->pipeline_count]};
  for (uint32_t i = 0; i < tape->count; i++) {
    const struct vkd_tape_entry *e = &tape->entries[i];
    if (find(dev->pipelines, dev->pipeline_count + c.count, e->kernel, e->spec, e->spec_count)) continue;
    struct vkd_pipeline *p = &c.list[c.count++];
    *p = (struct vkd_pipeline){.kernel = e->kernel, .spec_count = e->spec_count};
    memcpy(p->spec, e->spec, e->spec_count * 4U);
  }
  if (!c.count) return VKD_OK;
  c.errors = calloc(c.count, sizeof *c.errors);
  if (!c.errors) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory to make %u pipelines", c.count);
  // kernels that are compiled here go through one compiler
  vkd_parallel(dev->reload ? 1 : vkd_threads(c.count < THREADS ? (int)c.count : THREADS), create_some, &c);
  for (uint32_t i = 0; i < c.count; i++) {
    if (c.errors[i].status == VKD_OK) {
      dev->pipelines[dev->pipeline_count++] = c.list[i];
    } else if (st == VKD_OK) {
      st = c.errors[i].status;
      if (err && err->status == VKD_OK) *err = c.errors[i];
    }
  }
  free(c.errors);
  return st;
}
