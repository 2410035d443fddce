#include "vkdm/data_build.h"

#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "vkd/log.h"
#include "vkd_format.h"
#include "vkdm/image.h"
#include "vkdm/synthetic.h"
#include "vkdm/video.h"

enum { ENOUGH_CLIPS = 512, MAX_WINDOW_BYTES = 1 << 30 };

// --- texts

static const struct st_tensor *find_text(const struct build *b, const char *stem, int32_t label, size_t *index) {
  const char *class_name = label < 0      ? NULL
                           : b->synthetic ? synthetic_class_name((uint32_t)label)
                                          : b->sources.classes[label];
  for (int k = 0; k < 2; k++) {
    const char *key = k ? class_name : stem;
    for (size_t i = 0; key && i < st_count(b->text); i++)
      if (!strcmp(st_at(b->text, i)->name, key)) {
        *index = i;
        return st_at(b->text, i);
      }
  }
  return NULL;
}

// Number of the text for a file stem (NULL: none) or class; written when first asked for.
static enum vkd_status text_for(struct build *b, const char *stem, int32_t label, int32_t *id, struct vkd_error *err) {
  *id = -1;
  size_t index = 0;
  const struct st_tensor *tensor = b->text ? find_text(b, stem, label, &index) : NULL;
  if (!tensor) return VKD_OK;
  if (b->text_ids[index] < 0) {
    if (tensor->ndim != 2 || tensor->shape[0] < 1 || tensor->shape[0] > 65536 || tensor->shape[1] < 1 ||
        tensor->shape[1] > 65536)
      return vkd_fail(err, VKD_ERR_INPUT, "%s: tensor %s is no text embedding of shape [tokens, width]", b->p.text,
                      tensor->name);
    float *rows = malloc((size_t)tensor->numel * sizeof *rows);
    if (!rows) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory for tensor %s", b->p.text, tensor->name);
    enum vkd_status status = st_read_f32(tensor, rows, err);
    if (status == VKD_OK && !vkd_all_finite(rows, (size_t)tensor->numel))
      status = vkd_fail(err, VKD_ERR_INPUT, "%s: tensor %s holds numbers that are not finite", b->p.text, tensor->name);
    if (status == VKD_OK)
      status = vkd_writer_add_text(b->writer, rows, (uint32_t)tensor->shape[0], (uint32_t)tensor->shape[1], err);
    free(rows);
    if (status != VKD_OK) return status;
    b->text_ids[index] = (int32_t)b->text_count++;
  }
  *id = b->text_ids[index];
  return VKD_OK;
}

static enum vkd_status open_text(struct build *b, struct vkd_error *err) {
  if (!b->p.text) return VKD_OK;
  enum vkd_status status = st_open(b->p.text, &b->text, err);
  if (status != VKD_OK) return status;
  b->text_ids = malloc((st_count(b->text) + 1) * sizeof *b->text_ids);
  if (!b->text_ids) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory for its tensors", b->p.text);
  for (size_t i = 0; i < st_count(b->text); i++) b->text_ids[i] = -1;
  return VKD_OK;
}

// --- clips

enum vkd_status build_add_clip(struct build *b, const void *raw, const char *name, const char *stem, uint32_t source,
                               uint32_t start, int32_t label, struct vkd_error *err) {
  struct vkd_writer_clip clip = {.label = label, .source = source, .start = start};
  enum vkd_status status = text_for(b, stem, label, &clip.text, err);
  if (status == VKD_OK) status = vkd_writer_add(b->writer, raw, &clip, err);
  if (status != VKD_OK) return status;
  b->done++;
  if (b->p.progress) b->p.progress(b->p.user, name, b->done, b->expected);
  return VKD_OK;
}

static uint32_t span_of(const struct build *b) { return (b->p.frames - 1) * b->p.stride + 1; }

// The last `span` frames of a video, from which clips are cut.
struct window {
  struct build *build;
  struct source *source;
  uint32_t index; // of the source
  uint8_t *ring;  // [span, H, W, 3]; frame n is at n % span
  uint64_t seen;
};

static enum vkd_status take_frame(void *user, const uint8_t *rgb, bool *stop, struct vkd_error *err) {
  struct window *w = user;
  struct build *b = w->build;
  const uint64_t span = span_of(b);
  const size_t bytes = (size_t)b->p.height * b->p.width * 3;
  memcpy(w->ring + w->seen % span * bytes, rgb, bytes);
  w->seen++;
  if (w->seen < span || (w->seen - span) % b->p.hop) return VKD_OK;
  const uint64_t start = w->seen - span;
  if (start > UINT32_MAX) return vkd_fail(err, VKD_ERR_INPUT, "%s: more than 2^32 frames", w->source->path);
  for (uint32_t k = 0; k < b->p.frames; k++)
    memcpy(b->clip + k * bytes, w->ring + (start + (uint64_t)k * b->p.stride) % span * bytes, bytes);
  enum vkd_status status =
      build_add_clip(b, b->clip, w->source->name, w->source->stem, w->index, (uint32_t)start, w->source->label, err);
  if (status != VKD_OK) return status;
  w->source->clips++;
  *stop = b->p.max_clips && w->source->clips >= b->p.max_clips;
  return VKD_OK;
}

static enum vkd_status add_video(struct build *b, uint32_t index, struct vkd_error *err) {
  struct window w = {.build = b, .source = &b->sources.items[index], .index = index};
  const uint64_t bytes = (uint64_t)span_of(b) * b->p.height * b->p.width * 3;
  if (bytes > MAX_WINDOW_BYTES || !(w.ring = malloc((size_t)bytes)))
    return vkd_fail(err, VKD_ERR_USAGE,
                    "%u frames at stride %u and %ux%u need a window of %llu bytes; lower one of them", b->p.frames,
                    b->p.stride, b->p.height, b->p.width, (unsigned long long)bytes);
  enum vkd_status status = video_decode(w.source->path, b->p.width, b->p.height, take_frame, &w, err);
  free(w.ring);
  if (status != VKD_OK || w.source->clips) return status;
  if (b->sources.count == 1)
    return vkd_fail(err, VKD_ERR_INPUT, "%s: %llu frames, but a clip covers %u; lower --frames or --stride",
                    w.source->path, (unsigned long long)w.seen, span_of(b));
  vkd_log(VKD_LOG_WARN, "%s: left out: %llu frames, but a clip covers %u", w.source->path, (unsigned long long)w.seen,
          span_of(b));
  b->skipped++;
  return VKD_OK;
}

static enum vkd_status add_image(struct build *b, uint32_t index, struct vkd_error *err) {
  struct source *s = &b->sources.items[index];
  enum vkd_status status = image_load(s->path, b->p.width, b->p.height, b->clip, err);
  if (status == VKD_OK) status = build_add_clip(b, b->clip, s->name, s->stem, index, 0, s->label, err);
  if (status == VKD_OK) s->clips++;
  return status;
}

static enum vkd_status add_synthetic(struct build *b, struct vkd_error *err) {
  enum vkd_status status = VKD_OK;
  b->expected = b->p.count;
  for (uint32_t i = 0; i < b->p.count && status == VKD_OK; i++) {
    uint32_t label = synthetic_clip(b->p.scene, b->p.seed, i, b->p.classes, b->p.frames, b->p.height, b->p.width, b->clip);
    status = build_add_clip(b, b->clip, "synthetic", NULL, 0, i, (int32_t)label, err);
  }
  return status;
}

// --- the whole

// Counts frames and images, to choose the hop and to tell how much is to come.
static enum vkd_status choose_hop(struct build *b, struct vkd_error *err) {
  const uint64_t span = span_of(b), apart = (uint64_t)b->p.frames * b->p.stride;
  uint64_t total = 0, starts = 0;
  for (uint32_t i = 0; i < b->sources.count; i++) {
    uint64_t frames = 0;
    if (b->sources.items[i].kind != SOURCE_VIDEO) {
      b->expected++;
      continue;
    }
    enum vkd_status status = video_count_frames(b->sources.items[i].path, &frames, err);
    if (status != VKD_OK) return status;
    total += frames;
    starts += frames >= span ? frames - span + 1 : 0;
  }
  if (!b->p.hop) {
    uint64_t hop = total / ENOUGH_CLIPS;
    b->p.hop = (uint32_t)(hop > apart ? apart : hop < 1 ? 1 : hop);
  }
  b->expected += starts / b->p.hop;
  return VKD_OK;
}

static enum vkd_status fill_defaults(struct build *b, struct vkd_error *err) {
  struct data_build_params *p = &b->p;
  uint32_t kinds[3] = {0};
  for (uint32_t i = 0; i < b->sources.count; i++) kinds[b->sources.items[i].kind]++;
  const bool images = kinds[SOURCE_IMAGE] > 0;
  if (kinds[SOURCE_LATENTS] && kinds[SOURCE_LATENTS] < b->sources.count)
    return vkd_fail(err, VKD_ERR_USAGE, "latents cannot be mixed with images or videos; build them apart");
  if (images && (p->frames > 1 || (!p->frames && kinds[SOURCE_VIDEO])))
    return vkd_fail(err, VKD_ERR_USAGE,
                    kinds[SOURCE_VIDEO] ? "the sources mix images and videos; give --frames 1, or build them apart"
                                        : "images make clips of one frame; leave --frames out or give 1");
  if (!p->frames) p->frames = images ? 1 : 8;
  if (!p->height) p->height = 32;
  if (!p->width) p->width = 32;
  if (!p->stride) p->stride = 1;
  if (!p->count) p->count = 256;
  if (!p->classes) p->classes = SYNTHETIC_CLASSES;
  if (!p->level) p->level = 6;
  if (p->holdout < 0) p->holdout = 0.1;
  if (p->levels_t == DATA_AUTO) p->levels_t = p->frames % 2 == 0;
  if (p->levels_s == DATA_AUTO) p->levels_s = p->height % 2 == 0 && p->width % 2 == 0;
  if (p->classes > SYNTHETIC_CLASSES)
    return vkd_fail(err, VKD_ERR_USAGE, "%u classes asked for, but the shapes make %d", p->classes, SYNTHETIC_CLASSES);
  if (!(p->holdout < 1)) return vkd_fail(err, VKD_ERR_USAGE, "holdout is %g, but must be from 0 up to 1", p->holdout);
  if ((uint64_t)(p->frames - 1) * p->stride >= UINT32_MAX / 2)
    return vkd_fail(err, VKD_ERR_USAGE, "%u frames at stride %u are too long a clip", p->frames, p->stride);
  if (kinds[SOURCE_LATENTS]) return VKD_OK; // the files tell the sizes
  if (latent_codec_init(&b->codec, p->codec, 0, p->frames, p->height, p->width, p->levels_t, p->levels_s, err) ==
      VKD_OK)
    return VKD_OK;
  return VKD_ERR_INPUT;
}

// A name as JSON; bytes outside ASCII become '?' where they are no UTF-8.
static json_t *json_name(const char *name) {
  json_t *json = json_string(name);
  char *copy = json ? NULL : strdup(name);
  if (!copy) return json;
  for (char *p = copy; *p; p++)
    if ((unsigned char)*p >= 0x80) *p = '?';
  json = json_string(copy);
  free(copy);
  return json;
}

static json_t *describe(const struct build *b) {
  json_t *sources = json_array(), *classes = json_array();
  const char *kinds[] = {"video", "image", "latents"};
  if (b->synthetic) {
    json_array_append_new(
        sources, json_pack("{s:s, s:s, s:I}", "name", "synthetic", "kind", "synthetic", "clips", (json_int_t)b->done));
    for (uint32_t i = 0; i < b->p.classes; i++) json_array_append_new(classes, json_string(synthetic_class_name(i)));
  }
  for (uint32_t i = 0; i < b->sources.count; i++) {
    const struct source *s = &b->sources.items[i];
    json_array_append_new(sources, json_pack("{s:o, s:s, s:I}", "name", json_name(s->name), "kind", kinds[s->kind],
                                             "clips", (json_int_t)s->clips));
  }
  for (uint32_t i = 0; i < b->sources.class_count; i++)
    json_array_append_new(classes, json_name(b->sources.classes[i]));
  return json_pack("{s:o, s:o, s:I, s:I, s:I, s:f, s:I}", "sources", sources, "classes", classes, "stride",
                   (json_int_t)b->p.stride, "hop", (json_int_t)b->p.hop, "seed", (json_int_t)b->p.seed, "holdout",
                   b->p.holdout, "skipped", (json_int_t)b->skipped);
}

static enum vkd_status find_sources(struct build *b, struct vkd_error *err) {
  const struct data_build_params *p = &b->p;
  if (!p->source_count) return vkd_fail(err, VKD_ERR_USAGE, "no sources; name video files, folders, or synthetic");
  for (uint32_t i = 0; i < p->source_count; i++) b->synthetic = b->synthetic || !strcmp(p->sources[i], "synthetic");
  if (!b->synthetic) return sources_find(p->sources, p->source_count, &b->sources, err);
  if (p->source_count > 1) return vkd_fail(err, VKD_ERR_USAGE, "synthetic cannot be mixed with other sources");
  if (p->labels) return vkd_fail(err, VKD_ERR_USAGE, "synthetic clips have labels of their own; leave --labels out");
  return VKD_OK;
}

static enum vkd_status add_all(struct build *b, struct vkd_error *err) {
  if (b->synthetic) return add_synthetic(b, err);
  enum vkd_status status = VKD_OK;
  for (uint32_t i = 0; i < b->sources.count && status == VKD_OK; i++) switch (b->sources.items[i].kind) {
    case SOURCE_VIDEO:
      status = add_video(b, i, err);
      break;
    case SOURCE_IMAGE:
      status = add_image(b, i, err);
      break;
    case SOURCE_LATENTS:
      status = build_add_latents(b, i, err);
      break;
    }
  return status;
}

enum vkd_status data_build(const struct data_build_params *params, struct vkd_error *err) {
  struct build b = {.p = *params};
  json_t *meta = NULL;
  enum vkd_status status = find_sources(&b, err);
  if (status == VKD_OK) status = fill_defaults(&b, err);
  if (status == VKD_OK && params->labels) status = sources_label(&b.sources, params->labels, err);
  if (status != VKD_OK) goto done;
  const enum source_kind kind = b.synthetic ? SOURCE_VIDEO : b.sources.items[0].kind;
  if (kind == SOURCE_LATENTS)
    status = build_prepare_latents(&b, err);
  else if (!b.synthetic)
    status = choose_hop(&b, err);
  if (status == VKD_OK) status = open_text(&b, err);
  if (status != VKD_OK) goto done;
  const bool overlap = !b.synthetic && kind == SOURCE_VIDEO;
  const struct vkd_writer_params writer = {.path = b.p.output,
                                           .codec = &b.codec,
                                           .classes = b.synthetic ? b.p.classes : b.sources.class_count,
                                           .holdout = b.p.holdout,
                                           .seed = b.p.seed,
                                           .span = overlap ? span_of(&b) : 1,
                                           .level = b.p.level};
  if ((status = vkd_writer_open(&writer, &b.writer, err)) != VKD_OK) goto done;
  const size_t bytes =
      b.codec.kind == LATENT_RAW ? latent_count(&b.codec) * sizeof(float) : latent_frame_bytes(&b.codec);
  if (!(b.clip = malloc(bytes))) {
    status = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a clip of %zu bytes", bytes);
    goto done;
  }
  if ((status = add_all(&b, err)) != VKD_OK) goto done;
  if (b.text && !b.text_count) {
    status = vkd_fail(err, VKD_ERR_INPUT, "%s: no tensor is named like a source file (without its ending) or a class",
                      b.p.text);
    goto done;
  }
  if (!(meta = describe(&b)))
    status = vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory for its metadata", b.p.output);
  else
    status = vkd_writer_finish(b.writer, meta, err);
done:
  json_decref(meta);
  vkd_writer_destroy(&b.writer);
  st_close(&b.text);
  free(b.text_ids);
  free(b.clip);
  sources_free(&b.sources);
  return status;
}
