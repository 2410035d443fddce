#include "vkdm/media.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vkdm/process.h"
#include "stb_image_write.h"
#include "vkdm/fileio.h"

enum { MAX_SIDE = 65535 };

// A growing buffer that a PNG is written to.
struct sink {
  unsigned char *data;
  size_t size, room;
  bool failed;
};

static void sink_write(void *context, void *data, int size) {
  struct sink *sink = context;
  const size_t n = (size_t)size;
  if (n > sink->room - sink->size) {
    const size_t room = 2 * sink->room + n;
    unsigned char *more = realloc(sink->data, room);
    sink->failed |= !more;
    if (!more) return;
    sink->data = more;
    sink->room = room;
  }
  memcpy(sink->data + sink->size, data, n);
  sink->size += n;
}

void media_tile(const uint8_t *videos, uint32_t count, uint32_t t, uint32_t h, uint32_t w, uint32_t columns,
                uint8_t *out) {
  if (columns < 1 || columns > count) columns = count;
  const size_t rows = (count + columns - 1) / columns, row_bytes = (size_t)w * 3, out_row = columns * row_bytes;
  memset(out, 0, t * rows * h * out_row);
  for (size_t i = 0; i < count; i++)
    for (size_t f = 0; f < t; f++)
      for (size_t y = 0; y < h; y++)
        memcpy(out + ((f * rows + i / columns) * h + y) * out_row + i % columns * row_bytes,
               videos + ((i * t + f) * h + y) * row_bytes, row_bytes);
}

enum vkd_status media_from_latents(const struct latent_codec *codec, const float *latents, uint32_t count,
                                   uint32_t columns, uint8_t **out, struct vkd_error *err) {
  const size_t bytes = latent_frame_bytes(codec), numel = latent_count(codec);
  const uint32_t rows = (count + columns - 1) / columns;
  uint8_t *videos = malloc(count * bytes);
  *out = malloc((size_t)rows * columns * bytes);
  enum vkd_status st = videos && *out ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %u videos", count);
  for (uint32_t i = 0; i < count && st == VKD_OK; i++)
    st = latent_decode(codec, latents + i * numel, videos + i * bytes, err);
  if (st == VKD_OK) media_tile(videos, count, codec->frames, codec->height, codec->width, columns, *out);
  free(videos);
  if (st == VKD_OK) return st;
  free(*out);
  *out = NULL;
  return st;
}

enum vkd_status media_png(const uint8_t *frames, uint32_t t, uint32_t h, uint32_t w, uint32_t columns,
                          struct media_picture *out, struct vkd_error *err) {
  *out = (struct media_picture){.data = NULL};
  if (columns < 1 || columns > t) columns = t;
  const uint64_t rows = columns ? (t + (uint64_t)columns - 1) / columns : 0;
  const uint64_t width = (uint64_t)columns * w, height = rows * h;
  if (!width || !height || width > MAX_SIDE || height > MAX_SIDE || width * height > INT32_MAX / 4)
    return vkd_fail(err, VKD_ERR_USAGE, "a sheet of %llux%llu pixels cannot be written; use fewer frames",
                    (unsigned long long)height, (unsigned long long)width);
  uint8_t *sheet = malloc((size_t)(width * height * 3));
  if (!sheet) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for the sheet");
  media_tile(frames, t, 1, h, w, columns, sheet);
  struct sink sink = {.data = NULL};
  const int ok = stbi_write_png_to_func(sink_write, &sink, (int)width, (int)height, 3, sheet, (int)(width * 3));
  free(sheet);
  *out = (struct media_picture){sink.data, sink.size, (uint32_t)height, (uint32_t)width};
  if (ok && !sink.failed) return VKD_OK;
  free(out->data);
  out->data = NULL;
  return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory to compress the sheet");
}

enum vkd_status media_write_png_strip(const char *path, const uint8_t *frames, uint32_t t, uint32_t h, uint32_t w,
                                      uint32_t columns, struct vkd_error *err) {
  struct media_picture png;
  enum vkd_status status = media_png(frames, t, h, w, columns, &png, err);
  if (status != VKD_OK) return vkd_error_prefix(err, "%s", path);
  status = fileio_write_whole(path, png.data, png.size, err);
  free(png.data);
  return status;
}

// A name beside `path` that keeps its ending, by which ffmpeg chooses the container.
static char *temp_name(const char *path) {
  const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
  const size_t room = strlen(path) + 40;
  char *name = malloc(room);
  if (name) snprintf(name, room, "%.*s.tmp-%ld-%s", (int)(base - path), path, (long)getpid(), base);
  return name;
}

static enum vkd_status put_in_place(const char *temp, const char *path, struct vkd_error *err) {
  const int fd = open(temp, O_RDONLY | O_CLOEXEC);
  const bool synced = fd >= 0 && fsync(fd) == 0;
  const bool failed = !synced || rename(temp, path);
  const int code = errno;
  if (fd >= 0) close(fd);
  if (failed) return vkd_fail(err, VKD_ERR_IO, "%s: cannot be put in place: %s", path, strerror(code));
  const char *slash = strrchr(path, '/');
  char *folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
  if (!folder) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", path);
  enum vkd_status status = fileio_sync_dir(folder, err);
  free(folder);
  return status;
}

enum vkd_status media_write_mp4(const char *path, const uint8_t *frames, uint32_t t, uint32_t h, uint32_t w, double fps,
                                struct vkd_error *err) {
  if (t < 1 || h < 1 || w < 1 || h > 16384 || w > 16384 || !(fps > 0 && fps <= 1000))
    return vkd_fail(err, VKD_ERR_USAGE, "%s: cannot write %u frames of %ux%u at %g per second", path, t, h, w, fps);
  // Tells at once whether the place can be written, in the words that other files use.
  struct fileio probe = {0};
  enum vkd_status status = fileio_begin(&probe, path, err);
  fileio_abort(&probe);
  if (status != VKD_OK) return status;
  struct process child = {0};
  char size[32], rate[32];
  snprintf(size, sizeof size, "%ux%u", w, h);
  snprintf(rate, sizeof rate, "%.6g", fps);
  char *temp = temp_name(path), *url = temp ? malloc(strlen(temp) + 6) : NULL;
  if (!url) {
    status = vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory for its name", path);
    goto done;
  }
  sprintf(url, "file:%s", temp);
  char *const argv[] = {"ffmpeg",
                        "-nostdin",
                        "-hide_banner",
                        "-loglevel",
                        "error",
                        "-f",
                        "rawvideo",
                        "-pix_fmt",
                        "rgb24",
                        "-video_size",
                        size,
                        "-framerate",
                        rate,
                        "-i",
                        "pipe:0",
                        "-vf",
                        "pad=ceil(iw/2)*2:ceil(ih/2)*2",
                        "-pix_fmt",
                        "yuv420p",
                        "-movflags",
                        "+faststart",
                        "-y",
                        "-f",
                        "mp4",
                        url,
                        NULL};
  if ((status = process_start(&child, argv, PROCESS_STDIN, err)) != VKD_OK) goto done;
  size_t written;
  const size_t bytes = (size_t)t * h * w * 3;
  if ((status = process_write(&child, frames, bytes, &written, err)) != VKD_OK) goto done;
  int code;
  if ((status = process_finish(&child, &code, err)) != VKD_OK) goto done;
  if (code || written < bytes) {
    status = vkd_fail(err, VKD_ERR_IO, "%s: ffmpeg could not write it: %s", path, process_last_line(&child));
    goto done;
  }
  status = put_in_place(temp, path, err);
done:
  process_kill(&child);
  if (temp) unlink(temp);
  free(temp);
  free(url);
  return status;
}
