#include "vkdm/latent.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define SQRT_HALF 0.70710678118654752440f

enum { BLOCK_MAX = 1 << (3 * LATENT_MAX_LEVELS) };

static const char *const kind_names[] = {"pixel", "haar", "raw"};

const char *latent_kind_name(enum latent_kind kind) { return kind_names[kind]; }

enum vkd_status latent_codec_init(struct latent_codec *codec, enum latent_kind kind, uint32_t channels, uint32_t frames,
                                  uint32_t height, uint32_t width, uint32_t levels_t, uint32_t levels_s,
                                  struct vkd_error *err) {
  if ((unsigned)kind > LATENT_RAW) return vkd_fail(err, VKD_ERR_INPUT, "latent codec %u is not known", (unsigned)kind);
  const uint32_t sizes[] = {frames, height, width};
  static const char *const names[] = {"frames", "height", "width"};
  for (int i = 0; i < 3; i++)
    if (sizes[i] < 1 || sizes[i] > LATENT_MAX_SIDE)
      return vkd_fail(err, VKD_ERR_INPUT, "%s is %u, but must be 1 to %d", names[i], sizes[i], LATENT_MAX_SIDE);
  if (kind != LATENT_HAAR) levels_t = levels_s = 0;
  if (levels_t > LATENT_MAX_LEVELS || levels_s > LATENT_MAX_LEVELS)
    return vkd_fail(err, VKD_ERR_INPUT, "haar levels are %u in time and %u in space, but at most %d are possible",
                    levels_t, levels_s, LATENT_MAX_LEVELS);
  for (int i = 0; i < 3; i++) {
    uint32_t block = 1u << (i == 0 ? levels_t : levels_s);
    if (sizes[i] % block)
      return vkd_fail(err, VKD_ERR_INPUT, "%s is %u, but haar with %u levels needs a multiple of %u", names[i],
                      sizes[i], i == 0 ? levels_t : levels_s, block);
  }
  if (kind != LATENT_RAW) channels = 3u << (levels_t + 2 * levels_s);
  if (channels < 1 || channels > LATENT_MAX_CHANNELS)
    return vkd_fail(err, VKD_ERR_INPUT, "a latent has %u channels, but must have 1 to %d", channels,
                    LATENT_MAX_CHANNELS);
  memset(codec, 0, sizeof *codec);
  codec->kind = kind;
  codec->frames = frames, codec->height = height, codec->width = width;
  codec->levels_t = levels_t, codec->levels_s = levels_s;
  codec->channels = channels;
  for (uint32_t c = 0; c < channels; c++) codec->scale[c] = 1;
  return VKD_OK;
}

struct latent_shape latent_shape(const struct latent_codec *codec) {
  return (struct latent_shape){codec->channels, codec->frames >> codec->levels_t, codec->height >> codec->levels_s,
                               codec->width >> codec->levels_s};
}

size_t latent_count(const struct latent_codec *codec) {
  struct latent_shape s = latent_shape(codec);
  return (size_t)s.c * s.t * s.h * s.w;
}

size_t latent_frame_bytes(const struct latent_codec *codec) {
  return codec->kind == LATENT_RAW ? 0 : (size_t)codec->frames * codec->height * codec->width * 3;
}

// In place: n = 2^levels values, averages first, then details from coarse to fine.
static void haar_forward(float *x, size_t n, size_t step) {
  float tmp[1 << LATENT_MAX_LEVELS];
  for (size_t len = n; len > 1; len /= 2) {
    for (size_t i = 0; i < len / 2; i++) {
      float a = x[2 * i * step], b = x[(2 * i + 1) * step];
      tmp[i] = (a + b) * SQRT_HALF;
      tmp[len / 2 + i] = (a - b) * SQRT_HALF;
    }
    for (size_t i = 0; i < len; i++) x[i * step] = tmp[i];
  }
}

static void haar_inverse(float *x, size_t n, size_t step) {
  float tmp[1 << LATENT_MAX_LEVELS];
  for (size_t len = 2; len <= n; len *= 2) {
    for (size_t i = 0; i < len / 2; i++) {
      float s = x[i * step], d = x[(len / 2 + i) * step];
      tmp[2 * i] = (s + d) * SQRT_HALF;
      tmp[2 * i + 1] = (s - d) * SQRT_HALF;
    }
    for (size_t i = 0; i < len; i++) x[i * step] = tmp[i];
  }
}

// Applies f along each axis of a block [nt, ns, ns].
static void haar_block(float *x, size_t nt, size_t ns, void (*f)(float *, size_t, size_t)) {
  for (size_t i = 0; i < ns * ns && nt > 1; i++) f(x + i, nt, ns * ns);
  if (ns == 1) return;
  for (size_t t = 0; t < nt; t++) {
    for (size_t i = 0; i < ns; i++) f(x + t * ns * ns + i, ns, ns);
    for (size_t i = 0; i < ns; i++) f(x + (t * ns + i) * ns, ns, 1);
  }
}

static uint8_t to_u8(float x) {
  float v = (x + 1.0f) * 127.5f;
  if (!(v > 0.0f)) return 0; // NaN too
  return v >= 255.0f ? 255 : (uint8_t)(v + 0.5f);
}

// Where blocks and their values lie in u8 frames [T, H, W, 3].
struct walk {
  struct latent_shape shape;
  size_t plane, bands, nt, ns;
  size_t offsets[BLOCK_MAX]; // of value b from the block's first value
};

static void walk_init(struct walk *w, const struct latent_codec *k) {
  w->shape = latent_shape(k);
  w->plane = (size_t)w->shape.t * w->shape.h * w->shape.w;
  w->nt = (size_t)1 << k->levels_t;
  w->ns = (size_t)1 << k->levels_s;
  w->bands = w->nt * w->ns * w->ns;
  for (size_t b = 0; b < w->bands; b++)
    w->offsets[b] = ((b / (w->ns * w->ns) * k->height + b / w->ns % w->ns) * k->width + b % w->ns) * 3;
}

static size_t block_offset(const struct walk *w, const struct latent_codec *k, size_t at) {
  const size_t t = at / ((size_t)w->shape.h * w->shape.w) * w->nt, y = at / w->shape.w % w->shape.h * w->ns;
  return ((t * k->height + y) * k->width + at % w->shape.w * w->ns) * 3;
}

// pixel is the case of blocks of one value.  Channel = band * 3 + colour, so the first three are the means.
enum vkd_status latent_encode(const struct latent_codec *k, const uint8_t *frames, float *latent,
                              struct vkd_error *err) {
  if (k->kind == LATENT_RAW)
    return vkd_fail(err, VKD_ERR_UNSUPPORTED, "raw latents come from another encoder; frames cannot be encoded here");
  struct walk w;
  float block[BLOCK_MAX];
  walk_init(&w, k);
  for (size_t at = 0; at < w.plane; at++) {
    const size_t first = block_offset(&w, k, at);
    for (size_t c = 0; c < 3; c++) {
      for (size_t b = 0; b < w.bands; b++) block[b] = (float)frames[first + w.offsets[b] + c] / 127.5f - 1.0f;
      haar_block(block, w.nt, w.ns, haar_forward);
      for (size_t b = 0, ch = c; b < w.bands; b++, ch += 3)
        latent[ch * w.plane + at] = (block[b] - k->mean[ch]) / k->scale[ch];
    }
  }
  return VKD_OK;
}

enum vkd_status latent_decode(const struct latent_codec *k, const float *latent, uint8_t *frames,
                              struct vkd_error *err) {
  if (k->kind == LATENT_RAW)
    return vkd_fail(err, VKD_ERR_UNSUPPORTED,
                    "raw latents need the decoder they came from; write them to a .safetensors file instead");
  struct walk w;
  float block[BLOCK_MAX];
  walk_init(&w, k);
  for (size_t at = 0; at < w.plane; at++) {
    const size_t first = block_offset(&w, k, at);
    for (size_t c = 0; c < 3; c++) {
      for (size_t b = 0, ch = c; b < w.bands; b++, ch += 3)
        block[b] = latent[ch * w.plane + at] * k->scale[ch] + k->mean[ch];
      haar_block(block, w.nt, w.ns, haar_inverse);
      for (size_t b = 0; b < w.bands; b++) frames[first + w.offsets[b] + c] = to_u8(block[b]);
    }
  }
  return VKD_OK;
}

static json_t *float_array(const float *x, uint32_t n) {
  json_t *array = json_array();
  for (uint32_t i = 0; array && i < n; i++)
    if (json_array_append_new(array, json_real((double)x[i]))) {
      json_decref(array);
      return NULL;
    }
  return array;
}

json_t *latent_codec_to_json(const struct latent_codec *k) {
  json_t *json = json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i}", "kind", latent_kind_name(k->kind), "channels",
                           (int)k->channels, "frames", (int)k->frames, "height", (int)k->height, "width", (int)k->width,
                           "levels_t", (int)k->levels_t, "levels_s", (int)k->levels_s);
  if (!json) return NULL;
  // set_new takes the array, and answers -1 when it is NULL
  if (json_object_set_new(json, "mean", float_array(k->mean, k->channels)) ||
      json_object_set_new(json, "scale", float_array(k->scale, k->channels))) {
    json_decref(json);
    return NULL;
  }
  return json;
}

static enum vkd_status get_size(const json_t *json, const char *key, uint32_t *out, struct vkd_error *err) {
  const json_t *value = json_object_get(json, key);
  if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > LATENT_MAX_SIDE)
    return vkd_fail(err, VKD_ERR_INPUT, "latent codec: \"%s\" must be a whole number up to %d", key, LATENT_MAX_SIDE);
  *out = (uint32_t)json_integer_value(value);
  return VKD_OK;
}

static enum vkd_status get_floats(const json_t *json, const char *key, float *out, uint32_t n, bool positive,
                                  struct vkd_error *err) {
  const json_t *array = json_object_get(json, key);
  if (!json_is_array(array) || json_array_size(array) != n)
    return vkd_fail(err, VKD_ERR_INPUT, "latent codec: \"%s\" must hold %u numbers", key, n);
  for (uint32_t i = 0; i < n; i++) {
    const json_t *value = json_array_get(array, i);
    float x = (float)json_number_value(value);
    if (!json_is_number(value) || !isfinite(x) || (positive && !(x > 0)))
      return vkd_fail(err, VKD_ERR_INPUT, "latent codec: \"%s\"[%u] is no usable number", key, i);
    out[i] = x;
  }
  return VKD_OK;
}

enum vkd_status latent_codec_from_json(const json_t *json, struct latent_codec *codec, struct vkd_error *err) {
  const char *name = json_string_value(json_object_get(json, "kind"));
  unsigned kind = 0;
  while (kind <= LATENT_RAW && (!name || strcmp(name, kind_names[kind]))) kind++;
  if (kind > LATENT_RAW) return vkd_fail(err, VKD_ERR_INPUT, "latent codec: \"kind\" must be pixel, haar or raw");
  static const char *const keys[] = {"channels", "frames", "height", "width", "levels_t", "levels_s"};
  uint32_t n[6];
  enum vkd_status status;
  for (int i = 0; i < 6; i++)
    if ((status = get_size(json, keys[i], &n[i], err)) != VKD_OK) return status;
  status = latent_codec_init(codec, (enum latent_kind)kind, n[0], n[1], n[2], n[3], n[4], n[5], err);
  if (status != VKD_OK) return status;
  if (codec->channels != n[0])
    return vkd_fail(err, VKD_ERR_INPUT, "latent codec: \"channels\" is %u, but the levels give %u", n[0],
                    codec->channels);
  if ((status = get_floats(json, "mean", codec->mean, n[0], false, err)) != VKD_OK) return status;
  return get_floats(json, "scale", codec->scale, n[0], true, err);
}
