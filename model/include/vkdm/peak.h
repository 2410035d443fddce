// What a device can do at most, as measured: the measure of what it does.
#ifndef VKDM_PEAK_H
#define VKDM_PEAK_H

#include "vkd/device.h"
#include "vkd/graph.h"

// FLOP/s of the best of a few square matmuls of `dtype` operands, and its size.  Errors: VKD_ERR_UNSUPPORTED where the
// device has no timestamps; VKD_ERR_DEVICE_MEMORY where not even the smallest fits.
enum vkd_status peak_products(struct vkd_device *dev, enum vkd_dtype dtype, double *rate, int *size,
                              struct vkd_error *err);

// Bytes/s of the best of a few sums of two arrays that no cache holds (192 MiB read and written).
enum vkd_status peak_copy(struct vkd_device *dev, double *rate, struct vkd_error *err);

#endif
