#include "observe.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vkd/log.h"
#include "vkdm/fileio.h"
#include "vkdm/media.h"
#include "vkdm/objective.h"
#include "vkdm/sample.h"

enum { PIECE = 1 << 20 }; // floats read back at once
#define FRAMES_PER_SECOND 8.0

enum vkd_status observe_check(const struct config *config, const struct dataset_info *data, struct vkd_error *err) {
  if (!config->log.samples || data->codec.kind != LATENT_RAW) return VKD_OK;
  return vkd_fail(err, VKD_ERR_INPUT,
                  "log.samples %" PRId64
                  ": the data's latents were made elsewhere and cannot become pictures here; set "
                  "it to 0",
                  config->log.samples);
}

// ---- histograms ----------------------------------------------------------------------------------------------------
static enum vkd_status add_tensor(struct params *p, enum params_kind kind, int row, double divisor, float *piece,
                                  struct histogram *h, struct vkd_error *err) {
  uint64_t numel = (uint64_t)p->rows[row].numel;
  enum vkd_status st = VKD_OK;
  memset(h, 0, sizeof *h);
  for (uint64_t at = 0; at < numel && st == VKD_OK; at += PIECE) {
    uint64_t n = numel - at < PIECE ? numel - at : PIECE;
    st = params_read_part(p, kind, row, at, n, piece, err);
    if (st == VKD_OK) histogram_add(h, piece, n, divisor);
  }
  return st;
}

enum vkd_status observe_histograms(struct params *p, double scale, int64_t step, struct tfevents *events,
                                   struct vkd_error *err) {
  static const struct {
    enum params_kind kind;
    const char *tag;
  } kinds[] = {{PARAMS_WEIGHT, "weights"}, {PARAMS_GRAD, "gradients"}};
  float *piece = malloc(PIECE * sizeof *piece);
  struct histogram *h = malloc(sizeof *h);
  enum dit_naming naming = dit_native_naming(&p->config);
  enum vkd_status st = piece && h ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for histograms");
  for (int i = 0; i < p->count && st == VKD_OK; i++) {
    for (int k = 0; k < 2 && !p->rows[i].frozen && st == VKD_OK; k++) {
      char tag[256];
      snprintf(tag, sizeof tag, "%s/%s", kinds[k].tag, p->rows[i].name[naming]);
      st = add_tensor(p, kinds[k].kind, i, k ? scale : 1, piece, h, err);
      if (st == VKD_OK && h->num) st = tfevents_histogram(events, step, tag, h, err);
    }
  }
  free(h);
  free(piece);
  return st;
}

// ---- samples -------------------------------------------------------------------------------------------------------
struct drawing {
  int count;
  int32_t *labels;
  float *latents, *text; // text: NULL where the model takes none
};

static enum vkd_status read_conditions(const struct dataset *data, const struct dit_config *model, struct drawing *d,
                                       struct vkd_error *err) {
  const struct dataset_info *info = dataset_get_info(data);
  size_t row = (size_t)model->text_len * (size_t)model->text_dim;
  enum vkd_status st = VKD_OK;
  for (int i = 0; i < d->count && st == VKD_OK; i++) {
    uint32_t held = info->split_clips[DATA_HELDOUT]; // above 0: the held-out loss needs one
    uint32_t clip = dataset_split_clip(data, DATA_HELDOUT, (uint32_t)i % held);
    d->labels[i] = dataset_get_clip(data, clip).label;
    if (d->text) st = data_read(data, clip, d->latents, d->text + (size_t)i * row, err);
  }
  return st;
}

static enum vkd_status draw(const struct config *config, const struct dataset *data, struct params *params,
                            struct drawing *d, struct vkd_error *err) {
  const struct latent_codec *codec = &dataset_get_info(data)->codec;
  const struct dit_config *model = &params->config;
  d->count = config->log.sample_count;
  d->latents = malloc((size_t)d->count * latent_count(codec) * sizeof *d->latents);
  d->labels = malloc((size_t)d->count * sizeof *d->labels);
  if (!model->class_rows)
    d->text = calloc((size_t)d->count * (size_t)model->text_len * (size_t)model->text_dim, sizeof *d->text);
  if (!d->latents || !d->labels || (!model->class_rows && !d->text))
    return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %d samples", d->count);
  enum vkd_status st = read_conditions(data, model, d, err);
  const struct sample_params p = {.params = params,
                                  .kind = config->train.ema > 0 ? PARAMS_EMA : PARAMS_WEIGHT,
                                  .prediction = prediction_of(config->train.objective),
                                  .count = d->count,
                                  .steps = config->log.sample_steps,
                                  .shift = config->train.shift,
                                  .cfg = 1,
                                  .seed = (uint64_t)config->eval.seed,
                                  .labels = d->labels,
                                  .text = d->text};
  return st == VKD_OK ? sample_run(&p, d->latents, err) : st;
}

static enum vkd_status write_gif(const struct latent_codec *codec, const struct drawing *d, const char *run,
                                 int64_t step, struct vkd_error *err) {
  char name[48], *folder = fileio_join(run, "samples"), *path = NULL;
  uint32_t columns = 1, count = (uint32_t)d->count;
  uint8_t *tiled = NULL;
  while (columns * columns < count) columns++;
  uint32_t rows = (count + columns - 1) / columns;
  snprintf(name, sizeof name, "step-%09" PRId64 ".gif", step);
  if (folder) path = fileio_join(folder, name);
  enum vkd_status st = path ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a path");
  if (st == VKD_OK) st = fileio_make_dirs(folder, err);
  if (st == VKD_OK) st = media_from_latents(codec, d->latents, count, columns, &tiled, err);
  if (st == VKD_OK)
    st = media_write_gif(path, tiled, codec->frames, rows * codec->height, columns * codec->width, FRAMES_PER_SECOND,
                         err);
  free(tiled);
  free(path);
  free(folder);
  return st;
}

static enum vkd_status write_sheet(const struct latent_codec *codec, const struct drawing *d, int64_t step,
                                   struct tfevents *events, struct vkd_error *err) {
  struct media_picture png = {.data = NULL};
  uint8_t *tiled = NULL;
  uint32_t count = (uint32_t)d->count;
  enum vkd_status st = media_from_latents(codec, d->latents, count, 1, &tiled, err);
  if (st == VKD_OK) st = media_png(tiled, codec->frames, count * codec->height, codec->width, codec->frames, &png, err);
  if (st == VKD_OK) st = tfevents_image(events, step, "samples", png.data, png.size, png.height, png.width, err);
  free(png.data);
  free(tiled);
  return st;
}

enum vkd_status observe_samples(const struct config *config, const struct dataset *data, struct params *params,
                                const char *run, int64_t step, struct tfevents *events, struct vkd_error *err) {
  const struct latent_codec *codec = &dataset_get_info(data)->codec;
  struct drawing d = {.count = 0};
  struct vkd_error drawn = {0};
  enum vkd_status st = draw(config, data, params, &d, &drawn);
  if (st == VKD_ERR_DEVICE_MEMORY) {
    vkd_log(VKD_LOG_WARN, "step %" PRId64 ": no samples are drawn: %s", step, drawn.what);
    st = VKD_OK;
  } else if (st != VKD_OK) {
    if (err) *err = drawn;
  } else {
    st = write_gif(codec, &d, run, step, err);
    if (st == VKD_OK) st = write_sheet(codec, &d, step, events, err);
  }
  free(d.latents);
  free(d.labels);
  free(d.text);
  return st;
}
