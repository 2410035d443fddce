// Kernel rows made into pipelines without running them.
#include "device_internal.h"
#include "vkd/selftest.h"

enum vkd_status vkd_kernel_compile(struct vkd_device *dev, uint32_t row, struct vkd_error *err) {
  if (row >= VKD_K_COUNT) return vkd_fail(err, VKD_ERR_USAGE, "kernel row %u of %d", row, VKD_K_COUNT);
  if (dev->caps.fake) return vkd_fail(err, VKD_ERR_UNSUPPORTED, "a fake device compiles no kernels");
  VkPipeline pipeline;
  struct vkd_dispatch d = {.kernel = (enum vkd_kernel_id)row, .spec = {dev->caps.subgroup_size}, .spec_count = 1};
  return vkd__pipeline(dev, &d, &pipeline, err);
}
