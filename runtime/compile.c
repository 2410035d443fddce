// Kernel rows made into pipelines without running them.
#include <stdlib.h>
#include <string.h>

#include "device_internal.h"
#include "vkd/selftest.h"

enum vkd_status vkd_kernel_compile(struct vkd_device *dev, uint32_t row, struct vkd_error *err) {
  if (row >= VKD_K_COUNT) return vkd_fail(err, VKD_ERR_USAGE, "kernel row %u of %d", row, VKD_K_COUNT);
  if (dev->caps.fake) return vkd_fail(err, VKD_ERR_UNSUPPORTED, "a fake device compiles no kernels");
  VkPipeline pipeline;
  struct vkd_dispatch d = {.kernel = (enum vkd_kernel_id)row, .spec = {dev->caps.subgroup_size}, .spec_count = 1};
  if (vkd_kernel_blobs[row].needs & NEEDS_COOPMAT) {
    const struct vkd_coopmat *shape =
        vkd__coopmat_for(&dev->caps, vkd_kernel_blobs[row].needs & NEEDS_BF16 ? VKD_BF16 : VKD_F16);
    if (shape) {
      const uint32_t spec[] = {4 * dev->caps.subgroup_size, 0, 0, shape->m, shape->n, shape->k};
      memcpy(d.spec, spec, sizeof spec);
      d.spec_count = sizeof spec / sizeof spec[0];
    }
  }
  return vkd__pipeline(dev, &d, &pipeline, err);
}

enum vkd_status vkd_kernel_rows(const struct vkd_device_caps *caps, const char ***names, const char ***reasons,
                                uint32_t *count, struct vkd_error *err) {
  *count = VKD_K_COUNT;
  *names = calloc(VKD_K_COUNT, sizeof **names);
  *reasons = calloc(VKD_K_COUNT, sizeof **reasons);
  if (!*names || !*reasons) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for the kernel rows");
  for (int k = 0; k < VKD_K_COUNT; k++) {
    (*names)[k] = vkd_kernel_blobs[k].name;
    (*reasons)[k] = vkd__kernel_unusable(caps, (enum vkd_kernel_id)k);
  }
  return VKD_OK;
}
