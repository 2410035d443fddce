// Whether a model's weights must be streamed, and what streaming costs.
#ifndef VKDM_STREAMING_H
#define VKDM_STREAMING_H

#include "vkd/device.h"
#include "vkdm/dit.h"

struct stream_info {
  bool mapped;             // the host writes into device memory; else staging buffers, copied in between the programs
  uint64_t block_bytes;    // of one block's weights, that is of one slot
  uint64_t resident_bytes; // of the weights outside the blocks
  uint64_t uploaded;       // bytes, by all runs so far
  double fill_s;           // seconds that the host spent reading and converting them
  uint64_t runs;
};

// What a forward pass of `batch` samples takes on the device when all of it lies there.
struct stream_need {
  uint64_t weights, activations, other; // bytes; other: inputs, outputs, constants, latents
  double flops;                         // of the pass, as the op table counts
  bool streamed;                        // it does not fit what the device has left
};
enum vkd_status stream_need(const struct vkd_device *dev, const struct dit_config *config, int64_t batch,
                            struct stream_need *need, struct vkd_error *err);

#endif
