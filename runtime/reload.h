// Kernels compiled again while programs run, for working on them: debug builds with libshaderc, where $VKD_SHADER_DIR
// names a folder like shaders/.  Elsewhere these do nothing.  Internal to runtime/.
#ifndef VKD_RELOAD_H
#define VKD_RELOAD_H

#include "device_internal.h"

#ifdef VKD_RELOAD
enum vkd_status vkd__reload_open(struct vkd_device *dev, struct vkd_error *err);
void vkd__reload_close(struct vkd_device *dev);
// A row's SPIR-V from the folder in place of what the build embedded, which stays where the folder's does not compile.
void vkd__reload_code(struct vkd_device *dev, enum vkd_kernel_id id, const uint32_t **code, size_t *bytes);
// Looks for changed files of rows in use, and rebuilds their pipelines: dev->generation then counts on, the device is
// idle, and command buffers of before must not be submitted again.  A shader that does not compile changes nothing; the
// compiler's words go to the log, once per change.
void vkd__reload_poll(struct vkd_device *dev);
#else
static inline enum vkd_status vkd__reload_open(struct vkd_device *dev, struct vkd_error *err) {
  (void)dev, (void)err;
  return VKD_OK;
}
static inline void vkd__reload_close(struct vkd_device *dev) { (void)dev; }
static inline void vkd__reload_code(struct vkd_device *dev, enum vkd_kernel_id id, const uint32_t **code,
                                    size_t *bytes) {
  (void)dev, (void)id, (void)code, (void)bytes;
}
static inline void vkd__reload_poll(struct vkd_device *dev) { (void)dev; }
#endif

#endif
