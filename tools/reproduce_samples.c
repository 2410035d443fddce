#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reproduce.h"
#include "vkdm/fileio.h"
#include "vkdm/media.h"
#include "vkdm/sample.h"

enum { GIF_LIMIT = 64 << 20, COLUMNS = 4 };
#define FRAMES_PER_SECOND 6.0

static char *data_uri(const unsigned char *data, size_t size) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
                    head[] = "data:image/gif;base64,";
  char *text = malloc(sizeof head + (size + 2) / 3 * 4), *p = text;
  if (!text) return NULL;
  memcpy(p, head, sizeof head - 1);
  p += sizeof head - 1;
  for (size_t i = 0; i < size; i += 3) {
    size_t left = size - i;
    unsigned bits =
        (unsigned)data[i] << 16 | (left > 1 ? (unsigned)data[i + 1] << 8 : 0) | (left > 2 ? data[i + 2] : 0);
    *p++ = digits[bits >> 18];
    *p++ = digits[bits >> 12 & 63];
    *p++ = (char)(left > 1 ? digits[bits >> 6 & 63] : '=');
    *p++ = (char)(left > 2 ? digits[bits & 63] : '=');
  }
  *p = 0;
  return text;
}

// videos: u8 [count, T, H, W, 3], tiled into DIR/NAME and returned as a data URI too.
static enum vkd_status write_gif(const struct reproduce *r, const char *name, const uint8_t *videos, int count,
                                 const struct latent_codec *codec, char **uri, struct vkd_error *err) {
  uint32_t columns = count < COLUMNS ? (uint32_t)count : COLUMNS, rows = ((uint32_t)count + columns - 1) / columns;
  char *path = fileio_join(r->folder, name), *bytes = NULL;
  uint8_t *tiled = malloc((size_t)rows * columns * latent_frame_bytes(codec));
  size_t size = 0;
  enum vkd_status status = path && tiled ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %s", name);
  if (status) goto done;
  media_tile(videos, (uint32_t)count, codec->frames, codec->height, codec->width, columns, tiled);
  status =
      media_write_gif(path, tiled, codec->frames, rows * codec->height, columns * codec->width, FRAMES_PER_SECOND, err);
  if (!status) status = fileio_read_whole(path, GIF_LIMIT, &bytes, &size, err);
  if (!status && !(*uri = data_uri((const unsigned char *)bytes, size)))
    status = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %s", name);
done:
  free(bytes);
  free(tiled);
  free(path);
  return status;
}

static enum vkd_status draw(struct reproduce *r, const struct run_model *m, uint8_t *videos, struct vkd_error *err) {
  const struct latent_codec *codec = &m->state.codec;
  const struct sweep *grid = &r->stage[STAGE_GRID].sweep;
  int count = grid->samples.count, classes = m->state.model.class_rows - 1;
  float *latents = malloc((size_t)count * latent_count(codec) * sizeof *latents);
  int32_t *labels = calloc((size_t)count, sizeof *labels);
  enum vkd_status status =
      latents && labels ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %d samples", count);
  for (int i = 0; labels && i < count; i++) labels[i] = classes > 0 ? i % classes : -1;
  struct sample_params p = {.params = m->params,
                            .kind = PARAMS_WEIGHT,
                            .prediction = prediction_of(m->config.train.objective),
                            .count = count,
                            .steps = grid->samples.steps,
                            .shift = m->config.train.shift,
                            .cfg = grid->samples.cfg,
                            .seed = 1,
                            .labels = labels};
  if (!status) status = sample_run(&p, latents, err);
  for (int i = 0; i < count && !status; i++)
    status = latent_decode(codec, latents + (size_t)i * latent_count(codec),
                           videos + (size_t)i * latent_frame_bytes(codec), err);
  free(labels);
  free(latents);
  return status;
}

// Held-out clips, class by class where there are classes: what the samples should look like.
static enum vkd_status read_clips(const struct reproduce *r, const struct latent_codec *codec, uint8_t *videos,
                                  int *count, struct vkd_error *err) {
  struct dataset *data = NULL;
  char *path = sweep_data_path(r->folder, &r->stage[STAGE_GRID].sweep.cells[r->best].config);
  enum vkd_status status = path ? dataset_open(path, &data, err) : vkd_fail(err, VKD_ERR_HOST_MEMORY, "out of memory");
  free(path);
  if (status) return status;
  const struct dataset_info *info = dataset_get_info(data);
  int want = *count;
  *count = 0;
  for (int i = 0; i < want && !status; i++) {
    uint32_t held = info->split_clips[DATA_HELDOUT], k = 0,
             skip = info->classes ? (uint32_t)i / info->classes : (uint32_t)i;
    for (; k < held; k++) {
      struct dataset_clip clip = dataset_get_clip(data, dataset_split_clip(data, DATA_HELDOUT, k));
      if (info->classes && clip.label != (int32_t)((uint32_t)i % info->classes)) continue;
      if (!skip--) break;
    }
    if (k == held) continue;
    status = dataset_read_raw(data, dataset_split_clip(data, DATA_HELDOUT, k),
                              videos + (size_t)(*count)++ * latent_frame_bytes(codec), err);
  }
  dataset_close(&data);
  return status;
}

enum vkd_status reproduce_open(const struct reproduce *r, int cell, struct vkd_device *device, struct run_model *out,
                               struct vkd_error *err) {
  const char *name = r->stage[STAGE_GRID].sweep.cells[cell].name;
  size_t size = strlen(r->folder) + strlen(name) + sizeof "/sweep/runs/";
  char *run = malloc(size);
  if (!run) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "out of memory");
  snprintf(run, size, "%s/sweep/runs/%s", r->folder, name);
  enum vkd_status status = run_model_open(out, run, false, NULL, device, err);
  free(run);
  return status;
}

// Videos drawn by a run of the ladder, tiled into DIR/NAME.
static enum vkd_status sample_cell(struct reproduce *r, int cell, const char *name, struct vkd_device *device,
                                   struct run_model *m, char **uri, struct vkd_error *err) {
  enum vkd_status status = reproduce_open(r, cell, device, m, err);
  if (status) return status;
  if (m->state.codec.kind == LATENT_RAW) return VKD_OK; // made elsewhere: no pictures
  int count = r->stage[STAGE_GRID].sweep.samples.count;
  uint8_t *videos = malloc((size_t)count * latent_frame_bytes(&m->state.codec));
  if (!videos) status = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %d videos", count);
  if (!status) status = draw(r, m, videos, err);
  if (!status) status = write_gif(r, name, videos, count, &m->state.codec, uri, err);
  free(videos);
  if (status) run_model_close(m);
  return status;
}

enum vkd_status reproduce_sample(struct reproduce *r, struct vkd_device *device, struct vkd_error *err) {
  struct run_model m;
  uint8_t *videos = NULL;
  int count = r->stage[STAGE_GRID].sweep.samples.count;
  enum vkd_status status;
  if (r->smallest != r->best) {
    if ((status = sample_cell(r, r->smallest, "samples-smallest.gif", device, &m, &r->samples.small, err)))
      return status;
    run_model_close(&m);
  }
  if ((status = sample_cell(r, r->best, "samples.gif", device, &m, &r->samples.drawn, err))) return status;
  r->samples.step = m.state.step;
  if (!r->samples.drawn) goto done;
  videos = malloc((size_t)count * latent_frame_bytes(&m.state.codec));
  if (!videos) {
    status = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %d videos", count);
    goto done;
  }
  if ((status = read_clips(r, &m.state.codec, videos, &count, err)) || !count) goto done;
  status = write_gif(r, "clips.gif", videos, count, &m.state.codec, &r->samples.real, err);
done:
  free(videos);
  run_model_close(&m);
  return status;
}
