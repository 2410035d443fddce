// Image files in (PNG, JPEG, BMP, TGA, PNM, PSD, first GIF frame).
#ifndef VKDM_IMAGE_H
#define VKDM_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "vkd/status.h"

bool image_has_name(const char *path); // by the file name's extension

// rgb: u8 [height, width, 3], scaled to cover (triangle filter, widened where it shrinks) and cropped at the centre.
// Errors: VKD_ERR_INPUT where the file is missing, is no image or is broken.
enum vkd_status image_load(const char *path, uint32_t width, uint32_t height, uint8_t *rgb, struct vkd_error *err);

#endif
