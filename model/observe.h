// What a run shows of its model now and then, in its event file: histograms, and pictures of samples.  Internal to
// model/.
#ifndef VKDM_OBSERVE_H
#define VKDM_OBSERVE_H

#include "tfevents.h"
#include "vkdm/config.h"
#include "vkdm/data.h"
#include "vkdm/params.h"

// Whether the data can do what config->log asks for.  Errors: VKD_ERR_INPUT where latents cannot become pictures.
enum vkd_status observe_check(const struct config *config, const struct dataset_info *data, struct vkd_error *err);

// "weights/NAME" and "gradients/NAME" of every trained tensor.  Gradients: as the last pass left them, before clipping,
// over `scale`, the factor of their loss.  Reads both arenas back, in pieces.
enum vkd_status observe_histograms(struct params *params, double scale, int64_t step, struct tfevents *events,
                                   struct vkd_error *err);

// Samples of the averaged weights where they are kept: RUN/samples/step-NNNNNNNNN.gif, and "samples", a sheet with a
// sample per row, in the event file.  Noise is the same every time, labels and texts those of held-out clips.  Where
// the device has no memory left for it, a warning tells, and nothing is drawn.
enum vkd_status observe_samples(const struct config *config, const struct dataset *data, struct params *params,
                                const char *run, int64_t step, struct tfevents *events, struct vkd_error *err);

#endif
