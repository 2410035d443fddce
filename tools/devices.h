// What `vkdit devices` tells as text and as JSON.
#ifndef VKDIT_DEVICES_H
#define VKDIT_DEVICES_H

#include "cmd.h"
#include "vkd/device.h"

// field of struct vkd_device_caps, name, what is lost without it
#define DEVICES_FEATURE_MAP(X)                                                                                         \
  X(buffer_device_address, "buffer device address", "vkdit does not run")                                              \
  X(timeline_semaphore, "timeline semaphore", "vkdit does not run")                                                    \
  X(subgroup_arithmetic, "subgroup arithmetic", "vkdit does not run")                                                  \
  X(storage_16bit, "16-bit storage", "precision fp16 and bf16 are refused")                                            \
  X(shader_f16, "16-bit float arithmetic", "fp16 products run on ordinary arithmetic")                                 \
  X(bf16, "bfloat16", "bf16 products run on ordinary arithmetic")                                                      \
  X(coopmat, "cooperative matrix", "16-bit products run on ordinary arithmetic")                                       \
  X(budget_known, "memory budget", "memory that other programs use counts as free")                                    \
  X(upload_queue, "queue for uploads", "uploads wait for the step before")

struct devices_flag {
  uint32_t bit;
  const char *name; // NULL ends a table
};
extern const struct devices_flag devices_memory_flags[], devices_queue_flags[];

// "device, host, coherent"
void devices_flags(const struct devices_flag *table, uint32_t flags, char *text, size_t size);
void devices_api_version(uint32_t version, char text[32]);
void devices_driver_version(const struct vkd_device_caps *caps, char text[32]);

// An array of an object per device, to stdout.
enum vkd_status devices_print_json(const struct vkd_device_caps *list, uint32_t count, struct vkd_error *err);

#endif
