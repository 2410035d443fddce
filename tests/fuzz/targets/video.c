// An ffmpeg that writes whatever the input says: its exit status, its error output, its output.
#include <string.h>
#include <sys/stat.h>

#include "targets.h"
#include "vkdm/video.h"

static const char script[] = "#!/bin/sh\n"
                             "cd \"${0%/*}\" || exit 9\n"
                             "[ ! -s stderr ] || cat stderr >&2\n"
                             "[ ! -s failed ] || exit 1\n"
                             "exec cat stdout\n";

static void make_ffmpeg(void) {
  static bool made;
  if (made) return;
  const char *path = target_write("ffmpeg", script, sizeof script - 1);
  size_t room = strlen(target_folder()) + strlen(getenv("PATH")) + 2;
  char *paths = malloc(room);
  HOLDS(paths && chmod(path, 0755) == 0, "no ffmpeg");
  snprintf(paths, room, "%s:%s", target_folder(), getenv("PATH"));
  HOLDS(setenv("PATH", paths, 1) == 0, "no PATH");
  free(paths);
  made = true;
}

static enum vkd_status take(void *user, const uint8_t *rgb, bool *stop, struct vkd_error *err) {
  uint64_t *frames = user;
  (void)err;
  *stop = rgb[0] == 0xfe;
  ++*frames;
  return VKD_OK;
}

bool target_video(const uint8_t *data, size_t size) {
  enum { SIDE = 4 };
  struct target_part parts[TARGET_PARTS];
  struct vkd_error err = {0};
  uint64_t counted = 0, frames = 0;
  make_ffmpeg();
  target_split(data, size, parts);
  target_write("failed", "!", size && data[0] == '!');
  target_write("stdout", parts[0].data ? parts[0].data : data, parts[0].size);
  target_write("stderr", parts[1].data ? parts[1].data : (const uint8_t *)"", parts[1].size);
  const char *path = target_write("v.mp4", "", 0);
  enum vkd_status st = video_count_frames(path, &counted, &err);
  if (st != VKD_OK) target_refused(st, &err, path, false);
  bool taken = st == VKD_OK;
  err = (struct vkd_error){0};
  st = video_decode(path, SIDE, SIDE, take, &frames, &err);
  if (st != VKD_OK) target_refused(st, &err, path, false);
  HOLDS(frames <= parts[0].size / (SIDE * SIDE * 3), "%llu frames of %zu bytes", (unsigned long long)frames,
        parts[0].size);
  return taken || st == VKD_OK;
}
