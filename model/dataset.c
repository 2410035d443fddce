#include "vkdm/dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "json_in.h"
#include "vkd/bytes.h"
#include "vkd/hash.h"
#include "vkd_format.h"

struct dataset {
  int fd;
  char *path;
  struct dataset_info info;
  struct vkd_header header;
  json_t *meta;
  const char **class_names; // point into meta
  struct vkd_clip *clips;
  struct vkd_text *texts;
  uint32_t *by_split[DATA_SPLITS];
};

static enum vkd_status read_at(const struct dataset *d, uint64_t offset, void *out, size_t size,
                               struct vkd_error *err) {
  uint8_t *p = out;
  while (size) {
    ssize_t n = pread(d->fd, p, size, (off_t)offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return vkd_fail(err, VKD_ERR_IO, "%s: reading failed: %s", d->path, strerror(errno));
    if (n == 0)
      return vkd_fail(err, VKD_ERR_INPUT, "%s: truncated: it ends at byte %llu", d->path, (unsigned long long)offset);
    p += n, offset += (uint64_t)n, size -= (size_t)n;
  }
  return VKD_OK;
}

static enum vkd_status corrupt(const struct dataset *d, const char *what, struct vkd_error *err) {
  return vkd_fail(err, VKD_ERR_INPUT, "%s: corrupt: %s; build it anew", d->path, what);
}

static enum vkd_status read_header(struct dataset *d, struct vkd_error *err) {
  struct stat st;
  if (fstat(d->fd, &st)) return vkd_fail(err, VKD_ERR_IO, "%s: %s", d->path, strerror(errno));
  if (!S_ISREG(st.st_mode)) return vkd_fail(err, VKD_ERR_INPUT, "%s: is no regular file", d->path);
  const uint64_t size = (uint64_t)st.st_size;
  uint8_t bytes[VKD_HEADER_BYTES] = {0};
  enum vkd_status status = read_at(d, 0, bytes, size < VKD_HEADER_BYTES ? (size_t)size : VKD_HEADER_BYTES, err);
  if (status != VKD_OK) return status;
  if ((status = vkd_header_get(bytes, &d->header, err)) != VKD_OK) {
    if (err) vkd_error_prefix(err, "%s", d->path);
    return status;
  }
  const struct vkd_header *h = &d->header;
  if (h->file_bytes != size)
    return vkd_fail(err, VKD_ERR_INPUT,
                    "%s: truncated or overwritten: %llu bytes, but its header says %llu; build it anew", d->path,
                    (unsigned long long)size, (unsigned long long)h->file_bytes);
  if (h->kind > LATENT_RAW ||
      latent_codec_init(&d->info.codec, (enum latent_kind)h->kind, h->channels, h->frames, h->height, h->width,
                        h->levels_t, h->levels_s, NULL) != VKD_OK ||
      d->info.codec.channels != h->channels || vkd_clip_raw_bytes(&d->info.codec) > VKD_MAX_CLIP_BYTES)
    return corrupt(d, "the clip's shape makes no sense", err);
  if (h->clips < 1 || h->clips > INT32_MAX || h->classes > VKD_MAX_CLASSES || h->text_len > VKD_MAX_TEXT ||
      h->text_dim > VKD_MAX_TEXT || (h->texts == 0) != (h->text_len == 0) || (h->texts == 0) != (h->text_dim == 0) ||
      h->texts > INT32_MAX || (uint64_t)h->text_len * h->text_dim * 4 > VKD_MAX_CLIP_BYTES)
    return corrupt(d, "the counts make no sense", err);
  const uint64_t fixed =
      (uint64_t)h->channels * 8 + (uint64_t)h->clips * VKD_CLIP_BYTES + (uint64_t)h->texts * VKD_TEXT_BYTES;
  if (h->tables_offset < VKD_HEADER_BYTES || h->tables_offset > size || h->meta_bytes > size ||
      size - h->tables_offset != fixed + h->meta_bytes)
    return corrupt(d, "the tables do not fit the file", err);
  return VKD_OK;
}

static bool blob_fits(const struct dataset *d, const struct vkd_blob *b, uint64_t raw_bytes) {
  return b->offset >= VKD_HEADER_BYTES && b->offset <= d->header.tables_offset &&
         b->stored_bytes <= d->header.tables_offset - b->offset && b->stored_bytes > 0 && b->raw_bytes == raw_bytes;
}

static enum vkd_status read_clips(struct dataset *d, const uint8_t *p, struct vkd_error *err) {
  const struct vkd_header *h = &d->header;
  const uint64_t raw_bytes = vkd_clip_raw_bytes(&d->info.codec);
  for (uint32_t i = 0; i < h->clips; i++, p += VKD_CLIP_BYTES) {
    struct vkd_clip *c = &d->clips[i];
    vkd_clip_get(p, c);
    if (!blob_fits(d, &c->blob, raw_bytes) || c->label < -1 || c->label >= (int64_t)h->classes || c->text < -1 ||
        c->text >= (int64_t)h->texts || c->split >= DATA_SPLITS)
      return vkd_fail(err, VKD_ERR_INPUT, "%s: corrupt: index entry of clip %u makes no sense; build it anew", d->path,
                      i);
    d->info.split_clips[c->split]++;
    d->info.raw_bytes += c->blob.raw_bytes;
  }
  for (int s = 0; s < DATA_SPLITS; s++) {
    d->by_split[s] = malloc((d->info.split_clips[s] + 1) * sizeof *d->by_split[s]);
    if (!d->by_split[s]) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory for its index", d->path);
    uint32_t n = 0;
    for (uint32_t i = 0; i < h->clips; i++)
      if (d->clips[i].split == (uint32_t)s) d->by_split[s][n++] = i;
  }
  return VKD_OK;
}

static enum vkd_status read_texts(struct dataset *d, const uint8_t *p, struct vkd_error *err) {
  const struct vkd_header *h = &d->header;
  for (uint32_t i = 0; i < h->texts; i++, p += VKD_TEXT_BYTES) {
    struct vkd_text *t = &d->texts[i];
    vkd_text_get(p, t);
    if (t->rows < 1 || t->rows > h->text_len || !blob_fits(d, &t->blob, (uint64_t)t->rows * h->text_dim * 4))
      return vkd_fail(err, VKD_ERR_INPUT, "%s: corrupt: index entry of text %u makes no sense; build it anew", d->path,
                      i);
  }
  return VKD_OK;
}

static enum vkd_status read_meta(struct dataset *d, const char *p, struct vkd_error *err) {
  d->meta = json_in(p, d->header.meta_bytes, JSON_IN_VALUES + 8 * (size_t)d->header.clips, NULL);
  if (!json_is_object(d->meta)) return corrupt(d, "its metadata is no JSON object", err);
  const json_t *names = json_object_get(d->meta, "classes");
  if (json_array_size(names) != d->header.classes) return corrupt(d, "its class names do not fit the count", err);
  d->class_names = calloc((size_t)d->header.classes + 1, sizeof *d->class_names);
  if (!d->class_names) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory for class names", d->path);
  for (uint32_t i = 0; i < d->header.classes; i++) {
    d->class_names[i] = json_string_value(json_array_get(names, i));
    if (!d->class_names[i]) return corrupt(d, "a class name is no string", err);
  }
  return VKD_OK;
}

static enum vkd_status read_tables(struct dataset *d, struct vkd_error *err) {
  const struct vkd_header *h = &d->header;
  const size_t size = (size_t)(h->file_bytes - h->tables_offset);
  enum vkd_status status = VKD_OK;
  uint8_t *tables = malloc(size);
  d->clips = calloc(h->clips, sizeof *d->clips);
  d->texts = calloc((size_t)h->texts + 1, sizeof *d->texts);
  if (!tables || !d->clips || !d->texts) {
    status = vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory for its tables (%zu bytes)", d->path, size);
    goto done;
  }
  if ((status = read_at(d, h->tables_offset, tables, size, err)) != VKD_OK) goto done;
  if (hash_xxh64(tables, size, 0) != h->tables_hash) {
    status = corrupt(d, "the tables do not match their checksum", err);
    goto done;
  }
  struct latent_codec *k = &d->info.codec;
  const uint8_t *p = tables;
  for (uint32_t c = 0; c < k->channels; c++) {
    k->mean[c] = get_f32(p + 4 * c);
    k->scale[c] = get_f32(p + 4 * (k->channels + c));
    // blocks of pixels from -1 to 1, in an orthonormal basis: what becomes of them has to be finite
    const double most = k->kind == LATENT_RAW ? 0 : exp2(0.5 * k->levels_t + k->levels_s);
    if (!isfinite(k->mean[c]) || !isfinite(k->scale[c]) || !(k->scale[c] > 0) ||
        !((most + fabs((double)k->mean[c])) / (double)k->scale[c] < (double)FLT_MAX / 2)) {
      status = corrupt(d, "a channel's mean or scale is no usable number", err);
      goto done;
    }
  }
  p += (size_t)k->channels * 8;
  if ((status = read_clips(d, p, err)) != VKD_OK) goto done;
  p += (size_t)h->clips * VKD_CLIP_BYTES;
  if ((status = read_texts(d, p, err)) != VKD_OK) goto done;
  p += (size_t)h->texts * VKD_TEXT_BYTES;
  status = read_meta(d, (const char *)p, err);
done:
  free(tables);
  return status;
}

enum vkd_status dataset_open(const char *path, struct dataset **out, struct vkd_error *err) {
  *out = NULL;
  enum vkd_status status;
  struct dataset *d = calloc(1, sizeof *d);
  if (!d) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory to open it", path);
  d->fd = -1;
  if (!(d->path = strdup(path))) {
    status = vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory to open it", path);
    goto fail;
  }
  // Not blocking, lest a FIFO of that name hangs us.
  d->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (d->fd < 0) {
    status = vkd_fail(err, VKD_ERR_INPUT, "%s: cannot be opened: %s", path, strerror(errno));
    goto fail;
  }
  if ((status = read_header(d, err)) != VKD_OK || (status = read_tables(d, err)) != VKD_OK) goto fail;
  struct dataset_info *info = &d->info;
  info->clips = d->header.clips;
  info->classes = d->header.classes;
  info->class_names = d->class_names;
  info->text_len = d->header.text_len;
  info->text_dim = d->header.text_dim;
  info->file_bytes = d->header.file_bytes;
  uint8_t bytes[VKD_HEADER_BYTES];
  vkd_header_put(&d->header, bytes);
  info->fingerprint = hash_xxh64(bytes, sizeof bytes, 0);
  info->meta = d->meta;
  *out = d;
  return VKD_OK;
fail:
  dataset_close(&d);
  return status;
}

void dataset_close(struct dataset **dataset) {
  struct dataset *d = *dataset;
  *dataset = NULL;
  if (!d) return;
  if (d->fd >= 0) close(d->fd);
  for (int s = 0; s < DATA_SPLITS; s++) free(d->by_split[s]);
  free(d->clips);
  free(d->texts);
  free(d->class_names);
  json_decref(d->meta);
  free(d->path);
  free(d);
}

const struct dataset_info *dataset_get_info(const struct dataset *d) { return &d->info; }
const char *dataset_path(const struct dataset *d) { return d->path; }

struct dataset_clip dataset_get_clip(const struct dataset *d, uint32_t clip) {
  const struct vkd_clip *c = &d->clips[clip];
  return (struct dataset_clip){.label = c->label,
                               .split = (enum data_split)c->split,
                               .text_len = c->text < 0 ? 0 : d->texts[c->text].rows,
                               .source = c->source,
                               .start = c->start,
                               .content = c->content,
                               .raw_bytes = c->blob.raw_bytes,
                               .stored_bytes = c->blob.stored_bytes};
}

uint32_t dataset_split_clip(const struct dataset *d, enum data_split split, uint32_t k) {
  return d->by_split[split][k];
}

// The compressed bytes, to be freed.
static enum vkd_status read_stored(const struct dataset *d, const struct vkd_blob *b, const char *kind, uint32_t number,
                                   uint8_t **out, struct vkd_error *err) {
  uint8_t *stored = *out = malloc((size_t)b->stored_bytes);
  if (!stored)
    return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory for %s %u (%llu bytes)", d->path, kind, number,
                    (unsigned long long)b->stored_bytes);
  enum vkd_status status = read_at(d, b->offset, stored, (size_t)b->stored_bytes, err);
  if (status == VKD_OK && hash_xxh64(stored, (size_t)b->stored_bytes, 0) != b->stored_hash)
    status = vkd_fail(err, VKD_ERR_INPUT, "%s: corrupt: %s %u does not match its checksum; build it anew", d->path,
                      kind, number);
  return status;
}

// n: bytes it unpacks to, or zstd's error
static enum vkd_status fail_unpack(const struct dataset *d, const char *kind, uint32_t number, size_t n,
                                   struct vkd_error *err) {
  return vkd_fail(err, VKD_ERR_INPUT, "%s: corrupt: %s %u does not unpack (%s); build it anew", d->path, kind, number,
                  ZSTD_isError(n) ? ZSTD_getErrorName(n) : "wrong size");
}

static enum vkd_status read_blob(const struct dataset *d, const struct vkd_blob *b, const char *kind, uint32_t number,
                                 void *out, struct vkd_error *err) {
  uint8_t *stored;
  enum vkd_status status = read_stored(d, b, kind, number, &stored, err);
  if (status == VKD_OK) {
    size_t n = ZSTD_decompress(out, (size_t)b->raw_bytes, stored, (size_t)b->stored_bytes);
    if (n != b->raw_bytes) status = fail_unpack(d, kind, number, n, err);
  }
  free(stored);
  return status;
}

static enum vkd_status fail_content(const struct dataset *d, uint32_t clip, struct vkd_error *err) {
  return vkd_fail(err, VKD_ERR_INPUT, "%s: corrupt: clip %u unpacks to other data than was stored; build it anew",
                  d->path, clip);
}

static enum vkd_status fail_finite(const struct dataset *d, const char *kind, uint32_t number, struct vkd_error *err) {
  return vkd_fail(err, VKD_ERR_INPUT, "%s: %s %u holds numbers that are not finite", d->path, kind, number);
}

enum vkd_status dataset_read_raw(const struct dataset *d, uint32_t clip, void *out, struct vkd_error *err) {
  if (clip >= d->header.clips)
    return vkd_fail(err, VKD_ERR_USAGE, "%s: no clip %u; it holds %u", d->path, clip, d->header.clips);
  const struct vkd_clip *c = &d->clips[clip];
  enum vkd_status status = read_blob(d, &c->blob, "clip", clip, out, err);
  if (status == VKD_OK && hash_xxh64(out, (size_t)c->blob.raw_bytes, 0) != c->content)
    return fail_content(d, clip, err);
  return status;
}

static enum vkd_status read_text(const struct dataset *d, uint32_t text, float *out, struct vkd_error *err) {
  const struct vkd_text *t = &d->texts[text];
  enum vkd_status status = read_blob(d, &t->blob, "text", text, out, err);
  if (status == VKD_OK && !vkd_all_finite(out, (size_t)t->rows * d->header.text_dim))
    return fail_finite(d, "text", text, err);
  return status;
}

enum vkd_status dataset_read_text(const struct dataset *d, uint32_t clip, float *out, struct vkd_error *err) {
  if (clip >= d->header.clips)
    return vkd_fail(err, VKD_ERR_USAGE, "%s: no clip %u; it holds %u", d->path, clip, d->header.clips);
  const size_t n = (size_t)d->header.text_len * d->header.text_dim;
  memset(out, 0, n * sizeof *out);
  return d->clips[clip].text < 0 ? VKD_OK : read_text(d, (uint32_t)d->clips[clip].text, out, err);
}

// ---- verifying -----------------------------------------------------------------------------------------------------
// Few bytes unpack to a clip of a gigabyte: what is only looked at is looked at piece by piece.
enum { PIECE = 1 << 16, WINDOW_LOG = 24 }; // the window of zstd's level 19

struct checker {
  ZSTD_DCtx *zstd;
  float piece[PIECE / sizeof(float)];
};

// Unpacks a blob and finds its hash; floats: that they are finite.
static enum vkd_status check_blob(struct checker *c, const struct dataset *d, const struct vkd_blob *b,
                                  const char *kind, uint32_t number, bool floats, uint64_t *content,
                                  struct vkd_error *err) {
  uint8_t *stored;
  struct hash_stream hash;
  uint64_t size = 0;
  size_t left = 1; // of the frame: 0 at its end
  enum vkd_status status = read_stored(d, b, kind, number, &stored, err);
  ZSTD_inBuffer in = {stored, (size_t)b->stored_bytes, 0};
  hash_begin(&hash, 0);
  ZSTD_DCtx_reset(c->zstd, ZSTD_reset_session_only);
  while (status == VKD_OK && left) {
    ZSTD_outBuffer out = {c->piece, PIECE, 0};
    size_t stuck;
    do {
      stuck = in.pos + out.pos;
      left = ZSTD_decompressStream(c->zstd, &out, &in);
    } while (left && !ZSTD_isError(left) && out.pos < out.size && in.pos + out.pos > stuck);
    hash_add(&hash, c->piece, out.pos);
    size += out.pos;
    if (ZSTD_isError(left) || (left && out.pos < out.size) || size > b->raw_bytes)
      status = fail_unpack(d, kind, number, left, err);
    else if (floats && !vkd_all_finite(c->piece, out.pos / sizeof(float)))
      status = fail_finite(d, kind, number, err);
  }
  if (status == VKD_OK && (size != b->raw_bytes || in.pos != in.size)) status = fail_unpack(d, kind, number, 0, err);
  *content = hash_end(&hash);
  free(stored);
  return status;
}

enum vkd_status dataset_verify(const struct dataset *d, struct vkd_error *err) {
  enum vkd_status status = VKD_OK;
  uint64_t content;
  struct checker *c = calloc(1, sizeof *c);
  if (c) c->zstd = ZSTD_createDCtx();
  if (!c || !c->zstd || ZSTD_isError(ZSTD_DCtx_setParameter(c->zstd, ZSTD_d_windowLogMax, WINDOW_LOG)))
    status = vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory to unpack it", d->path);
  const bool floats = d->info.codec.kind == LATENT_RAW;
  for (uint32_t i = 0; i < d->header.clips && status == VKD_OK; i++) {
    status = check_blob(c, d, &d->clips[i].blob, "clip", i, floats, &content, err);
    if (status == VKD_OK && content != d->clips[i].content) status = fail_content(d, i, err);
  }
  for (uint32_t i = 0; i < d->header.texts && status == VKD_OK; i++)
    status = check_blob(c, d, &d->texts[i].blob, "text", i, true, &content, err);
  if (c) ZSTD_freeDCtx(c->zstd);
  free(c);
  return status;
}
