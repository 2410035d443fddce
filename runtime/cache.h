// Files that are kept from run to run in the cache folder, one of a kind per device and driver.  Their first line holds
// the number of bytes that follow, and their hash.  Internal to runtime/.
#ifndef VKD_CACHE_H
#define VKD_CACHE_H

#include "vkd/device.h"

enum { VKD_CACHE_PATH = 512 };

// "FOLDER/pipelines-<device and driver>.bin" of kind "pipelines" and ending "bin"; empty where there is no folder.
// dir: as vkd_device_params.cache_dir.  Nothing is created.
void vkd__cache_path(const struct vkd_device_caps *caps, const char *dir, const char *kind, const char *ending,
                     char path[VKD_CACHE_PATH]);

// What was written, in the memory that is returned, to be freed; NULL where there is no file, or (with a warning) it is
// damaged or has more than `limit` bytes.
void *vkd__cache_read(const char *path, size_t limit, const void **content, size_t *size);

// What is wrong with the bytes of a file; NULL: nothing, and *content points at what was written.
const char *vkd__cache_open(const void *file, size_t bytes, const void **content, size_t *size);

// What is wrong with pipelines that a driver is to be given back; NULL: nothing, they are from this device and driver.
const char *vkd__cache_check_pipelines(const void *data, size_t size, const struct vkd_device_caps *caps);

// Makes the folder; the file is replaced whole or not at all.
bool vkd__cache_write(const char *path, const void *data, size_t size);

#endif
