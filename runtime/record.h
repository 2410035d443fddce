// The tape: every dispatch of a program in order, with the barriers that what they touch calls for.  Internal to
// runtime/.
#ifndef VKD_RECORD_H
#define VKD_RECORD_H

#include <vulkan/vulkan.h>

#include "lower.h"
#include "plan.h"

// Device addresses of a program's own storage; those of bound tensors are their buffers'.
struct vkd_bases {
  uint64_t input, constant;
  const uint64_t *chunks;
};

struct vkd_tape_entry {
  enum vkd_kernel_id kernel;
  uint32_t node;
  bool barrier; // before this dispatch
  uint8_t push_size, spec_count;
  uint32_t spec[VKD_MAX_SPEC], groups[3];
  unsigned char push[128];
};

// Of a program, with the dispatch that touches it last.
struct vkd__bucket {
  struct vkd_bucket range;
  uint32_t last;                 // entry of the tape
  uint32_t piece;                // that ends there
  uint64_t ticket;               // of its last submit that handed buckets out
  struct vkd__host_buffer *host; // NULL: the buffer itself is mapped
  VkCommandBuffer give;          // host -> range
};

struct vkd_tape {
  struct vkd_tape_entry *entries;
  uint32_t count, cap, barriers;
  struct vkd__bucket *buckets; // [bucket_count], `last` is filled in
  uint32_t bucket_count;
};

enum vkd_status vkd__record(struct vkd_tape *tape, const struct vkd_graph *g, const struct vkd_plan *plan,
                            const struct vkd_device_caps *caps, const struct vkd_bases *bases, struct vkd_error *err);
// With made-up addresses, for what can be known without memory.
enum vkd_status vkd__record_dry(struct vkd_tape *tape, const struct vkd_graph *g, const struct vkd_plan *plan,
                                const struct vkd_device_caps *caps, struct vkd_error *err);
void vkd__tape_free(struct vkd_tape *tape);

#endif
