// TensorBoard event files with scalars.  Format: TFRecord framing and event.proto of tensorflow.  Internal to model/.
#ifndef VKDM_TFEVENTS_H
#define VKDM_TFEVENTS_H

#include <stdint.h>

#include "vkd/status.h"

struct tfevents;

// RUN/events.out.tfevents.SECONDS.PID; a resumed run adds another file, as TensorBoard expects.
enum vkd_status tfevents_open(struct tfevents **out, const char *run, struct vkd_error *err);
enum vkd_status tfevents_close(struct tfevents **events, struct vkd_error *err); // NULL inside is fine
enum vkd_status tfevents_scalar(struct tfevents *events, int64_t step, const char *tag, float value,
                                struct vkd_error *err);

uint32_t tfevents_crc32c(const void *data, uint32_t size); // Castagnoli

#endif
