// Video files in, through an `ffmpeg` child process that writes raw RGB frames into a pipe.  No shell is involved.
#ifndef VKDM_VIDEO_H
#define VKDM_VIDEO_H

#include <stdbool.h>
#include <stdint.h>

#include "vkd/status.h"

// Called per frame: rgb u8 [height, width, 3].  *stop = true ends the video early; an error status ends it with that
// error.
typedef enum vkd_status (*video_frame_fn)(void *user, const uint8_t *rgb, bool *stop, struct vkd_error *err);

// Frames of the first video stream, scaled to cover width x height and cropped at the centre.
// Errors: VKD_ERR_INPUT where the file is missing, holds no video or is broken, with ffmpeg's last line;
// VKD_ERR_UNSUPPORTED where no ffmpeg is on PATH.
enum vkd_status video_decode(const char *path, uint32_t width, uint32_t height, video_frame_fn fn, void *user,
                             struct vkd_error *err);

// Frames of the first video stream as the container tells them, without decoding (packets).  Same errors.
enum vkd_status video_count_frames(const char *path, uint64_t *frames, struct vkd_error *err);

#endif
