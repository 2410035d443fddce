#include "vkdm/video.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vkdm/process.h"
#include "vkd/log.h"

// "file:" keeps ffmpeg from reading a protocol or an option into a file's name.
static char *input_name(const char *path, struct vkd_error *err) {
  struct stat st;
  if (stat(path, &st)) {
    vkd_fail(err, VKD_ERR_INPUT, "%s: %s", path, strerror(errno));
    return NULL;
  }
  if (!S_ISREG(st.st_mode)) {
    vkd_fail(err, VKD_ERR_INPUT, "%s: is no regular file", path);
    return NULL;
  }
  const size_t room = strlen(path) + 6;
  char *name = malloc(room);
  if (!name) vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory for its name", path);
  if (name) snprintf(name, room, "file:%s", path);
  return name;
}

// Ends the child and turns its failure into one message.
static enum vkd_status finish(struct process *p, const char *path, uint64_t frames, struct vkd_error *err) {
  int code = 0;
  enum vkd_status status = process_finish(p, &code, err);
  if (status != VKD_OK) return status;
  const char *line = process_last_line(p);
  if (code >= 256) return vkd_fail(err, VKD_ERR_IO, "%s: ffmpeg was ended by signal %d", path, code - 256);
  if (code) return vkd_fail(err, VKD_ERR_INPUT, "%s: no readable video; ffmpeg says: %s", path, line);
  if (!frames)
    return vkd_fail(err, VKD_ERR_INPUT, "%s: no video frames in it%s%s", path, *line ? "; ffmpeg says: " : "", line);
  if (*line)
    vkd_log(VKD_LOG_WARN, "%s: damaged; %llu frames were read; ffmpeg says: %s", path, (unsigned long long)frames,
            line);
  return VKD_OK;
}

enum vkd_status video_decode(const char *path, uint32_t width, uint32_t height, video_frame_fn fn, void *user,
                             struct vkd_error *err) {
  struct vkd_error local = {0};
  if (!err) err = &local;
  enum vkd_status status = VKD_OK;
  const size_t frame_bytes = (size_t)width * height * 3;
  struct process child = {0};
  uint64_t frames = 0;
  bool stop = false;
  uint8_t *rgb = NULL;
  char filter[256];
  snprintf(filter, sizeof filter,
           "scale=%u:%u:force_original_aspect_ratio=increase:flags=area+accurate_rnd+bitexact,crop=%u:%u", width,
           height, width, height);
  char *name = input_name(path, err);
  if (!name) return err->status;
  char *const argv[] = {"ffmpeg",      "-nostdin", "-hide_banner", "-loglevel", "error",    "-flags:v", "+bitexact",
                        "-i",          name,       "-map",         "0:v:0",     "-vf",      filter,     "-fps_mode",
                        "passthrough", "-pix_fmt", "rgb24",        "-f",        "rawvideo", "pipe:1",   NULL};
  if (!(rgb = malloc(frame_bytes))) {
    status = vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory for a frame of %ux%u", path, height, width);
    goto done;
  }
  if ((status = process_start(&child, argv, PROCESS_STDOUT, err)) != VKD_OK) goto done;
  while (!stop) {
    size_t got;
    if ((status = process_read(&child, rgb, frame_bytes, &got, err)) != VKD_OK) goto done;
    if (got < frame_bytes) break; // a part of a frame is dropped; ffmpeg's exit status tells why
    if ((status = fn(user, rgb, &stop, err)) != VKD_OK) goto done;
    frames++;
  }
  if (!stop) status = finish(&child, path, frames, err);
done:
  process_kill(&child);
  free(rgb);
  free(name);
  return status;
}

enum vkd_status video_count_frames(const char *path, uint64_t *frames, struct vkd_error *err) {
  struct vkd_error local = {0};
  if (!err) err = &local;
  enum vkd_status status = VKD_OK;
  struct process child = {0};
  *frames = 0;
  char *name = input_name(path, err);
  if (!name) return err->status;
  // "-progress" prints blocks of key=value lines; the last "frame=" counts.
  char *const argv[] = {"ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-progress", "pipe:1", "-i", name,
                        "-map",   "0:v:0",    "-c",           "copy",      "-f",    "null",      "-",      NULL};
  char line[128], buffer[1024];
  size_t used = 0, got;
  if ((status = process_start(&child, argv, PROCESS_STDOUT, err)) != VKD_OK) goto done;
  do {
    if ((status = process_read(&child, buffer, sizeof buffer - 1, &got, err)) != VKD_OK) goto done;
    if (got < sizeof buffer - 1) buffer[got++] = '\n'; // the last line may have no end
    for (size_t i = 0; i < got; i++) {
      if (buffer[i] != '\n' && used < sizeof line - 1) line[used++] = buffer[i];
      if (buffer[i] != '\n') continue;
      line[used] = 0;
      used = 0;
      if (!strncmp(line, "frame=", 6)) *frames = strtoull(line + 6, NULL, 10);
    }
  } while (got == sizeof buffer - 1);
  status = finish(&child, path, *frames, err);
done:
  process_kill(&child);
  free(name);
  return status;
}
