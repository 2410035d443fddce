// TensorBoard event files.  Format: TFRecord framing, event.proto and summary.proto of tensorflow.  Internal to model/.
#ifndef VKDM_TFEVENTS_H
#define VKDM_TFEVENTS_H

#include <stdint.h>

#include "histogram.h"
#include "vkd/status.h"

struct tfevents;

// RUN/events.out.tfevents.SECONDS.PID; a resumed run adds another file, as TensorBoard expects.
enum vkd_status tfevents_open(struct tfevents **out, const char *run, struct vkd_error *err);
enum vkd_status tfevents_close(struct tfevents **events, struct vkd_error *err); // NULL inside is fine
enum vkd_status tfevents_scalar(struct tfevents *events, int64_t step, const char *tag, float value,
                                struct vkd_error *err);
enum vkd_status tfevents_histogram(struct tfevents *events, int64_t step, const char *tag, const struct histogram *h,
                                   struct vkd_error *err);
// png [size]: an RGB picture of height x width.
enum vkd_status tfevents_image(struct tfevents *events, int64_t step, const char *tag, const void *png, size_t size,
                               uint32_t height, uint32_t width, struct vkd_error *err);
enum vkd_status tfevents_flush(struct tfevents *events, struct vkd_error *err); // for who reads while it is written

uint32_t tfevents_crc32c(const void *data, uint32_t size); // Castagnoli

#endif
