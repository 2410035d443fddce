// A denoiser for weights that do not fit the device: the forward pass in stages, the blocks' weights read from the host
// into two slots on the device by turns.  The same operations in the same order as a whole graph's: the same bits.
// Internal to model/.
#ifndef VKDM_STREAM_H
#define VKDM_STREAM_H

#include "denoiser.h"
#include "vkdm/streaming.h"

// params->params: without storage, and with a reader.  Errors: VKD_ERR_DEVICE_MEMORY where not even this fits.
enum vkd_status stream_create(struct stream **out, const struct denoiser_params *params, struct vkd_error *err);
void stream_destroy(struct stream **stream); // NULL inside is fine

// As denoiser_run().
enum vkd_status stream_run(struct stream *stream, double timestep, struct vkd_error *err);

// With keep, every block computes with the weights that its slot holds: what a run costs without its uploads.
void stream_keep(struct stream *stream, bool keep);

void stream_get_info(const struct stream *stream, struct stream_info *info);

#endif
