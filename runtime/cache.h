// Files that are kept from run to run in the cache folder, one of a kind per device and driver.  Internal to runtime/.
#ifndef VKD_CACHE_H
#define VKD_CACHE_H

#include "vkd/device.h"

enum { VKD_CACHE_PATH = 512 };

// "FOLDER/pipelines-<device and driver>.bin" of kind "pipelines" and ending "bin"; empty where there is no folder.
// dir: as vkd_device_params.cache_dir.  Nothing is created.
void vkd__cache_path(const struct vkd_device_caps *caps, const char *dir, const char *kind, const char *ending,
                     char path[VKD_CACHE_PATH]);

// The whole file, to be freed; NULL where there is none, it is empty, or it has more than `limit` bytes.
void *vkd__cache_read(const char *path, size_t limit, size_t *size);

// Makes the folder; the file is replaced whole or not at all.
bool vkd__cache_write(const char *path, const void *data, size_t size);

#endif
