// Where every tensor lies: lifetimes -> offsets.  Internal to runtime/.
#ifndef VKD_PLAN_H
#define VKD_PLAN_H

#include "form.h"
#include "fuse.h"
#include "vkd/exec.h"

enum vkd_space { VKD_SPACE_NONE, VKD_SPACE_TEMP, VKD_SPACE_INPUT, VKD_SPACE_CONSTANT, VKD_SPACE_BOUND };

struct vkd_place {
  enum vkd_space space;
  uint32_t chunk;                  // of temporaries
  const struct vkd_buffer *buffer; // of a bound tensor
  uint64_t offset, bytes;
};

struct vkd_copy {
  vkd_tensor tensor;
  uint64_t offset; // in the output block
};

struct vkd_plan {
  uint8_t *needed;               // per node
  const struct vkd_form **forms; // per node; NULL: its op has one way alone
  struct vkd_fused *fused;       // per node: what its kernel computes beside it
  uint8_t *done;                 // per node: another node's kernel computes it
  uint8_t *hidden;               // per tensor: its kernel hands it on and does not store it
  struct vkd_place *tensors;     // per tensor
  struct vkd_place *scratch;     // per node
  uint64_t *chunk_bytes;         // temporaries
  uint32_t chunks;
  uint64_t temporaries_raw, input_bytes, constant_bytes, output_bytes;
  struct vkd_copy *outputs;
  uint32_t output_count;
};

// choice: of forms, which tell the scratch they want.  max_chunk: most bytes of one allocation.  Without reuse every
// temporary has storage of its own.
enum vkd_status vkd__plan_create(struct vkd_plan **out, const struct vkd_graph *g, const struct vkd_form_choice *choice,
                                 uint64_t max_chunk, bool reuse, struct vkd_error *err);
void vkd__plan_destroy(struct vkd_plan **plan);

// First and last node between which a temporary must keep its storage.  Tests check that no two live ranges overlap.
struct vkd_lifetime {
  vkd_tensor tensor; // id 0: scratch of node `first`
  uint32_t first, last;
  struct vkd_place place;
};
enum vkd_status vkd__plan_lifetimes(const struct vkd_graph *g, const struct vkd_form_choice *choice,
                                    struct vkd_lifetime **out, uint32_t *count, struct vkd_error *err);

#endif
