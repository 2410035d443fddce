#include "vkd_writer.h"

#include <math.h>
#include <stdlib.h>
#include <zstd.h>

#include "split.h"
#include "vkd/bytes.h"
#include "vkd/hash.h"
#include "vkd_format.h"
#include "vkdm/fileio.h"

struct vkd_writer {
  struct vkd_writer_params params;
  struct latent_codec codec;
  struct fileio file;
  ZSTD_CCtx *zstd;
  size_t packed_room;
  uint8_t *packed;
  struct vkd_clip *clips;
  struct vkd_text *texts;
  uint32_t clip_count, clip_room, text_count, text_room, text_len, text_dim;
  double *sum, *sum_squares; // [C], of the unscaled latents
  float *latent;             // haar: scratch for one
};

enum vkd_status vkd_writer_open(const struct vkd_writer_params *params, struct vkd_writer **out,
                                struct vkd_error *err) {
  *out = NULL;
  uint64_t raw_bytes = vkd_clip_raw_bytes(params->codec);
  if (raw_bytes > VKD_MAX_CLIP_BYTES)
    return vkd_fail(err, VKD_ERR_USAGE,
                    "a clip would take %llu bytes, but at most %d are possible; lower frames or size",
                    (unsigned long long)raw_bytes, VKD_MAX_CLIP_BYTES);
  if (params->classes > VKD_MAX_CLASSES)
    return vkd_fail(err, VKD_ERR_INPUT, "%u classes, at most %d are possible", params->classes, VKD_MAX_CLASSES);
  enum vkd_status status = VKD_OK;
  struct vkd_writer *w = calloc(1, sizeof *w);
  if (!w) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a dataset writer");
  w->params = *params;
  w->codec = *params->codec;
  w->params.codec = &w->codec;
  w->zstd = ZSTD_createCCtx();
  w->sum = calloc(w->codec.channels, sizeof *w->sum);
  w->sum_squares = calloc(w->codec.channels, sizeof *w->sum_squares);
  if (w->codec.kind == LATENT_HAAR) w->latent = malloc(latent_count(&w->codec) * sizeof *w->latent);
  if (!w->zstd || !w->sum || !w->sum_squares || (w->codec.kind == LATENT_HAAR && !w->latent)) {
    status = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a dataset writer of clips of %llu bytes",
                      (unsigned long long)raw_bytes);
    goto fail;
  }
  ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, params->level);
  if ((status = fileio_begin(&w->file, params->path, err)) != VKD_OK) goto fail;
  const uint8_t empty[VKD_HEADER_BYTES] = {0}; // the true one comes last
  if ((status = fileio_write(&w->file, empty, sizeof empty, err)) != VKD_OK) goto fail;
  *out = w;
  return VKD_OK;
fail:
  vkd_writer_destroy(&w);
  return status;
}

void vkd_writer_destroy(struct vkd_writer **writer) {
  struct vkd_writer *w = *writer;
  *writer = NULL;
  if (!w) return;
  fileio_abort(&w->file);
  ZSTD_freeCCtx(w->zstd);
  free(w->packed);
  free(w->clips);
  free(w->texts);
  free(w->sum);
  free(w->sum_squares);
  free(w->latent);
  free(w);
}

static enum vkd_status write_blob(struct vkd_writer *w, const void *raw, size_t size, struct vkd_blob *blob,
                                  struct vkd_error *err) {
  size_t bound = ZSTD_compressBound(size);
  if (bound > w->packed_room) {
    uint8_t *grown = realloc(w->packed, bound);
    if (!grown) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %zu compressed bytes", bound);
    w->packed = grown;
    w->packed_room = bound;
  }
  size_t stored = ZSTD_compress2(w->zstd, w->packed, w->packed_room, raw, size);
  if (ZSTD_isError(stored)) return vkd_fail(err, VKD_ERR_INTERNAL, "zstd: %s", ZSTD_getErrorName(stored));
  *blob = (struct vkd_blob){w->file.size, stored, size, hash_xxh64(w->packed, stored, 0)};
  return fileio_write(&w->file, w->packed, stored, err);
}

// Room for one more element in an array that doubles.
static enum vkd_status reserve(void **array, uint32_t count, uint32_t *room, size_t size, struct vkd_error *err) {
  if (count < *room) return VKD_OK;
  if (count >= INT32_MAX / 2) return vkd_fail(err, VKD_ERR_INPUT, "more than %u clips; build several files", count);
  uint32_t wanted = *room ? *room * 2 : 256;
  void *grown = realloc(*array, wanted * size);
  if (!grown) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for an index of %u entries", wanted);
  *array = grown;
  *room = wanted;
  return VKD_OK;
}

static enum vkd_status measure(struct vkd_writer *w, const uint8_t *frames, struct vkd_error *err) {
  enum vkd_status status = latent_encode(&w->codec, frames, w->latent, err);
  if (status != VKD_OK) return status;
  const size_t plane = latent_count(&w->codec) / w->codec.channels;
  for (uint32_t c = 0; c < w->codec.channels; c++)
    for (size_t i = 0; i < plane; i++) {
      double x = (double)w->latent[c * plane + i];
      w->sum[c] += x;
      w->sum_squares[c] += x * x;
    }
  return VKD_OK;
}

enum vkd_status vkd_writer_add(struct vkd_writer *w, const void *raw, const struct vkd_writer_clip *clip,
                               struct vkd_error *err) {
  enum vkd_status status = reserve((void **)&w->clips, w->clip_count, &w->clip_room, sizeof *w->clips, err);
  if (status != VKD_OK) return status;
  if (w->codec.kind == LATENT_HAAR && (status = measure(w, raw, err)) != VKD_OK) return status;
  size_t size = (size_t)vkd_clip_raw_bytes(&w->codec);
  struct vkd_clip *c = &w->clips[w->clip_count];
  *c = (struct vkd_clip){.content = hash_xxh64(raw, size, 0),
                         .label = clip->label,
                         .text = clip->text,
                         .source = clip->source,
                         .start = clip->start};
  if ((status = write_blob(w, raw, size, &c->blob, err)) == VKD_OK) w->clip_count++;
  return status;
}

enum vkd_status vkd_writer_add_text(struct vkd_writer *w, const float *rows, uint32_t m, uint32_t text_dim,
                                    struct vkd_error *err) {
  if (m < 1 || m > VKD_MAX_TEXT || text_dim < 1 || text_dim > VKD_MAX_TEXT ||
      (uint64_t)m * text_dim * 4 > VKD_MAX_CLIP_BYTES)
    return vkd_fail(err, VKD_ERR_INPUT, "a text of %u x %u numbers is empty or too large", m, text_dim);
  if (w->text_count && text_dim != w->text_dim)
    return vkd_fail(err, VKD_ERR_INPUT, "texts of width %u and %u cannot be mixed", w->text_dim, text_dim);
  enum vkd_status status = reserve((void **)&w->texts, w->text_count, &w->text_room, sizeof *w->texts, err);
  if (status != VKD_OK) return status;
  struct vkd_text *t = &w->texts[w->text_count];
  t->rows = m;
  if ((status = write_blob(w, rows, (size_t)m * text_dim * sizeof(float), &t->blob, err)) != VKD_OK) return status;
  w->text_count++;
  w->text_dim = text_dim;
  if (m > w->text_len) w->text_len = m;
  return VKD_OK;
}

// The floor keeps channels that hold nothing but sensor noise from being blown up to the size of the picture.
static void set_scales(struct vkd_writer *w) {
  if (w->codec.kind != LATENT_HAAR || !w->clip_count) return;
  const double n = (double)w->clip_count * (double)(latent_count(&w->codec) / w->codec.channels);
  double largest = 0;
  for (uint32_t c = 0; c < w->codec.channels; c++) {
    double mean = w->sum[c] / n, variance = w->sum_squares[c] / n - mean * mean;
    double scale = variance > 0 ? sqrt(variance) : 0;
    w->codec.mean[c] = (float)mean;
    w->codec.scale[c] = (float)scale;
    if (scale > largest) largest = scale;
  }
  const float floor_scale = (float)(largest > 1e-3 ? largest / 64 : 1);
  for (uint32_t c = 0; c < w->codec.channels; c++)
    if (!(w->codec.scale[c] >= floor_scale)) w->codec.scale[c] = floor_scale;
}

// mean [C], scale [C], clip entries, text entries, meta
static uint8_t *pack_tables(const struct vkd_writer *w, const char *meta, size_t meta_bytes, size_t *size) {
  *size = (size_t)w->codec.channels * 8 + (size_t)w->clip_count * VKD_CLIP_BYTES +
          (size_t)w->text_count * VKD_TEXT_BYTES + meta_bytes;
  uint8_t *tables = malloc(*size), *p = tables;
  if (!tables) return NULL;
  for (uint32_t c = 0; c < w->codec.channels; c++, p += 4) put_f32(p, w->codec.mean[c]);
  for (uint32_t c = 0; c < w->codec.channels; c++, p += 4) put_f32(p, w->codec.scale[c]);
  for (uint32_t i = 0; i < w->clip_count; i++, p += VKD_CLIP_BYTES) vkd_clip_put(&w->clips[i], p);
  for (uint32_t i = 0; i < w->text_count; i++, p += VKD_TEXT_BYTES) vkd_text_put(&w->texts[i], p);
  memcpy(p, meta, meta_bytes);
  return tables;
}

enum vkd_status vkd_writer_finish(struct vkd_writer *w, const json_t *meta, struct vkd_error *err) {
  enum vkd_status status = VKD_OK;
  uint8_t *tables = NULL;
  char *text = NULL;
  if (!w->clip_count) return vkd_fail(err, VKD_ERR_INPUT, "%s: no clips came out of the sources", w->params.path);
  set_scales(w);
  split_assign(w->clips, w->clip_count, w->params.span, w->params.holdout, w->params.seed);
  size_t tables_bytes = 0;
  text = json_dumps(meta, JSON_COMPACT | JSON_SORT_KEYS);
  if (text) tables = pack_tables(w, text, strlen(text), &tables_bytes);
  if (!tables) {
    status = vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory for the tables", w->params.path);
    goto done;
  }
  const struct latent_codec *k = &w->codec;
  struct vkd_header header = {.file_bytes = w->file.size + tables_bytes,
                              .tables_offset = w->file.size,
                              .meta_bytes = strlen(text),
                              .tables_hash = hash_xxh64(tables, tables_bytes, 0),
                              .clips = w->clip_count,
                              .texts = w->text_count,
                              .classes = w->params.classes,
                              .text_len = w->text_len,
                              .text_dim = w->text_dim,
                              .kind = (uint32_t)k->kind,
                              .channels = k->channels,
                              .frames = k->frames,
                              .height = k->height,
                              .width = k->width,
                              .levels_t = k->levels_t,
                              .levels_s = k->levels_s};
  uint8_t bytes[VKD_HEADER_BYTES];
  vkd_header_put(&header, bytes);
  if ((status = fileio_write(&w->file, tables, tables_bytes, err)) != VKD_OK) goto done;
  if ((status = fileio_write_at(&w->file, 0, bytes, sizeof bytes, err)) != VKD_OK) goto done;
  status = fileio_commit(&w->file, err);
done:
  free(tables);
  free(text);
  return status;
}
