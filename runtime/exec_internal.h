// A program's data, for exec.c and profile.c.
#ifndef VKD_EXEC_INTERNAL_H
#define VKD_EXEC_INTERNAL_H

#include "device_internal.h"
#include "record.h"
#include "vkd/exec.h"

// Where inputs lie, and the run that reads them there.  One for all slots; where uploads have a queue of their own, one
// for each, so that the next run's inputs arrive while this one computes.
struct vkd_region {
  struct vkd_buffer *inputs;
  struct vkd_tape tape;
  VkCommandBuffer main;
};

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
  struct vkd_buffer **chunks, *constants;
  uint32_t chunk_count;
  bool chunks_lent;    // they belong to another program
  uint64_t *addresses; // of chunks
  struct vkd_slot *slots;
  int slot_count;
  struct vkd_region *regions; // of slot s: s % region_count
  int region_count;
  uint32_t generation; // dev->generation when the regions' commands were recorded
};

// The tape into `cmd`; with a query pool, a timestamp before each node and one at the end.
enum vkd_status vkd__encode(struct vkd_program *p, const struct vkd_tape *tape, VkCommandBuffer cmd,
                            VkQueryPool timestamps, struct vkd_error *err);

// The tape of a program that is not made, with made-up addresses; *tape is empty before, and freed by the caller either
// way.
enum vkd_status vkd__plan_tape(const struct vkd_program_params *params, struct vkd_tape *tape, struct vkd_error *err);

// A slot's inputs on their way: through the uploads' queue, or as a command buffer to submit before the run, which is
// added to commands[*count].
enum vkd_status vkd__send_inputs(struct vkd_program *p, int slot, VkCommandBuffer *commands, uint32_t *count,
                                 struct vkd_error *err);

#endif
