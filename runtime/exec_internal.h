// A program's data, for exec.c and profile.c.
#ifndef VKD_EXEC_INTERNAL_H
#define VKD_EXEC_INTERNAL_H

#include "device_internal.h"
#include "record.h"

struct vkd_slot {
  struct vkd__host_buffer *in, *out;
  VkCommandBuffer upload, download;
  uint64_t ticket; // of the last submit
};

struct vkd_program {
  struct vkd_device *dev;
  struct vkd_graph *graph;
  struct vkd_plan *plan;
  struct vkd_plan_info info;
  struct vkd_tape tape;
  struct vkd_buffer **chunks, *inputs, *constants;
  uint32_t chunk_count;
  bool chunks_lent; // they belong to another program
  uint64_t *addresses; // of chunks
  struct vkd_slot *slots;
  int slot_count;
  VkCommandBuffer main;
};

// The tape into `cmd`; with a query pool, a timestamp before each node and one at the end.
enum vkd_status vkd__encode(struct vkd_program *p, VkCommandBuffer cmd, VkQueryPool timestamps, struct vkd_error *err);

#endif
